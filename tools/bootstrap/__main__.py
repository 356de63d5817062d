# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Sets the workspace up when something changed, then becomes the command that was asked for."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import stamp
from state import Failure, State, find_state

OVERVIEW = """\
serl: teach a robot arm contact-rich manipulation by reinforcement learning, on ROS 2.

  ./serl run TASK            train a policy from demonstrations, evaluate it, write runs/TASK/<time>/
  ./serl run TASK --quick    the same in about two minutes: a taste of every stage, not a result
  ./serl eval TASK           evaluate a checkpoint
  ./serl demos TASK          record demonstrations: --device says whose, else the scripted expert's
  ./serl bc TASK             behaviour cloning on demonstrations, for comparison
  ./serl pretrain TASK       an image backbone on the task's rendered scenes; run does it by itself
  ./serl compare TASK        methods over seeds: a table and a plot; given again, it goes on
  ./serl analyze RUN         where the policy was, critical states, Q, and the policy over time
  ./serl label BAG           mark frames of success and failure in the browser, or judge an episode
  ./serl classifier train    a reward classifier from labelled frames; report and test, too
  ./serl replay BAG          rebuild a replay buffer from a bag and say what is in it
  ./serl tasks               the tasks that can be run
  ./serl new-task NAME       a task of your own in tasks/NAME/: parameters, scene, expert and test
  ./serl device NAME         what a person's device reads: spacemouse, gamepad, keyboard
  ./serl doctor              what was found on this machine and what is missing
  ./serl bench               the project's figures, measured here
  ./serl COMMAND --help      the options of one command

  ./serl setup               only set up: environment and build (every other command does it by itself)
  ./serl test [PYTEST ARGS]  set up, then run every test
  ./serl lint [--fix]        check the style of the sources
  ./serl clean               delete the environment and everything built

Start with:  ./serl run pcb_insertion --quick

Needs Linux with Python 3.10 to 3.14 (venv and headers) and a C++17 compiler; no ROS 2 and no root. Where a
ROS 2 distribution is sourced, it is used instead of the packaged one. The environment lives in .serl/ of this
repository; SERL_HOME=DIR moves it."""


def ready_environment(state: State, testing: bool = False) -> dict[str, str]:
    """Return the environment of the commands, setting up first whatever is missing or out of date."""
    ready = stamp.read_current(state, testing)
    if ready is None:
        import workspace

        ready = workspace.bring_up_to_date(state, testing)
    return stamp.command_environment(state, ready["environment"], os.environ)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(OVERVIEW)
        return 0
    state = find_state(Path(__file__).resolve().parents[2], os.environ)
    command, rest = arguments[0], arguments[1:]
    if command == "clean":
        import workspace

        return workspace.clean(state)
    if command == "lint":
        import lint

        return lint.run(state, rest)
    if command == "test":
        import testing

        return testing.run(state, ready_environment(state, testing=True), rest)
    environment = ready_environment(state)
    if command == "setup":
        print(f"serl: ready in {state.folder}", file=sys.stderr)
        return 0
    python = str(state.python)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(python, [python, "-m", "serl_bringup.cli", *arguments], environment)
    raise AssertionError("execve does not return")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        for line in failure.lines:
            print(f"serl: {line}", file=sys.stderr)
        sys.exit(failure.code)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = ". Make room, or name a folder on another disk: SERL_HOME=DIR ./serl" if full else ""
        print(f"serl: {error}{remedy}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("serl: interrupted. Nothing is broken: the next call goes on from here.", file=sys.stderr)
        sys.exit(130)

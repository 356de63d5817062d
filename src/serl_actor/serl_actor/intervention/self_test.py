# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Shows what a device reads and what would be done with it, without ROS and without a robot.

`./serl device gamepad --set dead_zone=0.1`, or `ros2 run serl_actor intervention_self_test --device gamepad`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.factory import ATTACHED, make_teleoperation
from serl_actor.intervention.teleoperation import Teleoperation
from serl_core.errors import ConfigError, SerlError, suggest
from serl_core.parameters import from_mapping
from serl_core.types import Intervention, Observation

HALF_WIDTH = 16
"""Characters of a bar from rest to full deflection."""

NOWHERE = Observation(0, 0, 0.0, {"tcp_pose": np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])})
"""A tool whose axes are those of the base, so that both frames show the same numbers."""


def bar(value: float) -> str:
    """Draw a number of [-1, 1] as a bar to the left or right of a middle line."""
    length = round(HALF_WIDTH * min(1.0, abs(value)))
    left, right = ("█" * length, "") if value < 0.0 else ("", "█" * length)
    return f"{left:>{HALF_WIDTH}}│{right:<{HALF_WIDTH}}"


def picture(teleoperation: Teleoperation, word: Intervention) -> Table:
    """Draw what the first device read, and the word that came of it."""
    hand = teleoperation.hands[0]
    device, reading = hand.device.device, hand.reading
    table = Table(
        title=f"{device.name}: {'IN CONTROL' if word.active else 'hands off'}", title_justify="left"
    )
    for column in ("axis", "deflection", "", "action", "value"):
        table.add_column(column, no_wrap=True)
    axes = [] if reading is None else list(zip(device.axis_names, reading.axes, strict=True))
    for row in range(max(len(axes), len(word.data))):
        name, value = axes[row] if row < len(axes) else ("", 0.0)
        action = (str(row), f"{word.data[row]:+.2f}") if row < len(word.data) else ("", "")
        table.add_row(name, bar(value) if name else "", f"{value:+.2f}" if name else "", *action)
    pressed = (
        [] if reading is None else [n for n, p in zip(device.button_names, reading.buttons, strict=True) if p]
    )
    table.caption = hand.device.lost or f"pressed: {', '.join(pressed) or 'nothing'}    Ctrl-C ends"
    return table


def run(config: InterventionConfig, console: Console, seconds: float) -> int:
    """Show readings for `seconds`; return how many came."""
    teleoperation = make_teleoperation(config)
    readings, end = 0, time.monotonic() + seconds
    try:
        with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
            while (now := time.monotonic()) < end:
                word = teleoperation.word(NOWHERE, now)
                readings += teleoperation.hands[0].reading is not None
                live.update(picture(teleoperation, word), refresh=True)
                time.sleep(1.0 / config.rate_hz)
    finally:
        teleoperation.end()
    return readings


def show(device: str, source: str, settings: Sequence[str], seconds: float) -> int:
    """Show a device's readings on standard output; return how many came.

    Args:
        device: One of `ATTACHED`; ConfigError if it is not.
        source: The device's file; "" for the first one found.
        settings: "parameter=value" of `InterventionConfig`; ConfigError, naming it, if one does not fit.
        seconds: How long [s]; until Ctrl-C if infinite.
    """
    if device not in ATTACHED:
        raise ConfigError(
            f"no device {device!r} that is read without ROS{suggest(device, ATTACHED)}; there are"
            f" {', '.join(sorted(ATTACHED))}"
        )
    values: dict[str, Any] = {"rate_hz": 20.0}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected PARAMETER=VALUE")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting}: {text!r} is not YAML") from None
    values |= {"devices": [device], "sources": [source]}
    return run(from_mapping(InterventionConfig, values, "--set"), Console(), seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the self-test; exits 1 if the device was never there."""
    parser = argparse.ArgumentParser(
        prog="serl_actor.intervention.self_test", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--device", choices=sorted(ATTACHED), default="spacemouse")
    parser.add_argument(
        "--source", default="", help="the device's file, e.g. /dev/input/js1; the first one found"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long [s]; until Ctrl-C")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE", dest="settings",
                        help="a parameter of InterventionConfig, e.g. dead_zone=0.1; more than once")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        readings = show(options.device, options.source, options.settings, options.seconds)
    except SerlError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0 if readings else 1


if __name__ == "__main__":
    sys.exit(main())

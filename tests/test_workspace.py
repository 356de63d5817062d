# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Building: two calls at once, interruptions, failures, removed packages."""

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import stamp
import testing
import workspace
from state import Failure, State

BOOTSTRAP = Path(__file__).resolve().parents[1] / "tools" / "bootstrap"


@pytest.fixture
def state(repository: Path, tmp_path: Path) -> State:
    return State(repository, tmp_path / "home", None)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Replace colcon by a record of what it was asked to build; all of it builds well."""
    record: list[set[str]] = []

    def colcon_build(state: State, names: set[str], testing: bool) -> None:
        record.append(set(names))
        for name in names:
            (state.build / name).mkdir(parents=True, exist_ok=True)
            (state.build / name / "colcon_build.rc").write_text("0\n")

    monkeypatch.setattr(workspace, "colcon_build", colcon_build)
    monkeypatch.setattr(workspace, "workspace_environment", lambda state: {"PATH": "/install/bin"})
    monkeypatch.setattr(workspace.machine, "missing", lambda *arguments: [])
    monkeypatch.setattr(workspace.venv_builder, "make", make_environment)
    return record


def make_environment(state: State, stage: object, say: object) -> None:
    state.python.parent.mkdir(parents=True, exist_ok=True)
    state.python.write_text("")


def test_the_first_call_builds_all_and_the_second_nothing(state: State, builds: list[set[str]]) -> None:
    ready = workspace.bring_up_to_date(state, testing=False)
    assert ready["environment"] == {"PATH": "/install/bin"}
    assert workspace.bring_up_to_date(state, testing=False) == ready
    assert builds == [{"low_msgs", "mid_sim", "top_node"}]


def test_tests_of_compiled_packages_are_built_when_asked_for_and_stay(
    state: State, builds: list[set[str]]
) -> None:
    workspace.bring_up_to_date(state, testing=False)
    workspace.bring_up_to_date(state, testing=True)
    workspace.bring_up_to_date(state, testing=False)
    assert builds[1:] == [{"low_msgs", "mid_sim"}]


def test_a_failed_package_is_tried_again_and_the_others_are_not(
    state: State, builds: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = workspace.colcon_build

    def fail(state: State, names: set[str], testing: bool) -> None:
        good(state, names - {"mid_sim"}, testing)
        raise Failure("building mid_sim failed", code=1)

    monkeypatch.setattr(workspace, "colcon_build", fail)
    with pytest.raises(Failure):
        workspace.bring_up_to_date(state, testing=False)
    assert stamp.read_current(state, testing=False) is None
    monkeypatch.setattr(workspace, "colcon_build", good)
    workspace.bring_up_to_date(state, testing=False)
    assert builds[-1] == {"mid_sim"}


def test_an_interrupted_build_goes_on_where_it_was(
    state: State, builds: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = workspace.colcon_build

    def interrupted(state: State, names: set[str], testing: bool) -> None:
        good(state, {"low_msgs"}, testing)
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace, "colcon_build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.bring_up_to_date(state, testing=False)
    monkeypatch.setattr(workspace, "colcon_build", good)
    workspace.bring_up_to_date(state, testing=False)
    assert builds[-1] == {"mid_sim", "top_node"}


def test_an_interrupted_installation_starts_over(
    state: State, builds: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def interrupted(state: State, stage: object, say: object) -> None:
        make_environment(state, stage, say)
        made.append("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace.venv_builder, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.bring_up_to_date(state, testing=False)
    monkeypatch.setattr(
        workspace.venv_builder,
        "make",
        lambda *arguments: (make_environment(*arguments), made.append("whole")),
    )
    workspace.bring_up_to_date(state, testing=False)
    assert made == ["half", "whole"]


def test_what_is_missing_stops_the_set_up_before_anything_is_made(
    state: State, builds: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.machine, "missing", lambda *arguments: ["no C++ compiler found", "no disk"])
    with pytest.raises(Failure) as caught:
        workspace.bring_up_to_date(state, testing=False)
    assert caught.value.lines == ("no C++ compiler found", "no disk")
    assert caught.value.code == 2
    assert not state.venv.exists() and builds == []


def test_nothing_of_a_removed_package_stays_installed(state: State, builds: list[set[str]]) -> None:
    workspace.bring_up_to_date(state, testing=False)
    (state.install / "lib").mkdir(parents=True)
    (state.root / "src/top_node/package.xml").unlink()
    workspace.bring_up_to_date(state, testing=False)
    assert not (state.install / "lib").exists()
    assert builds[-1] == {"low_msgs", "mid_sim"}


def test_a_second_call_waits_for_the_first(state: State) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(BOOTSTRAP)!r})
        from pathlib import Path
        import workspace
        from state import State
        with workspace.locked(State(Path({str(state.root)!r}), Path({str(state.folder)!r}), None)):
            print("in", flush=True)
            sys.stdin.readline()
            print("out", time.monotonic(), flush=True)
    """)

    def start() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    with start() as first:
        assert first.stdout is not None and first.stdin is not None
        assert first.stdout.readline() == "in\n"
        with start() as second:
            assert second.stderr is not None and second.stdout is not None and second.stdin is not None
            assert "waiting" in second.stderr.readline()
            first.stdin.write("\n")
            first.stdin.flush()
            first_left = float(first.stdout.readline().split()[1])
            assert second.stdout.readline() == "in\n"
            second.stdin.write("\n")
            second.stdin.flush()
            assert float(second.stdout.readline().split()[1]) > first_left


def test_a_folder_that_cannot_be_written_to_is_one_line(state: State) -> None:
    state.folder.parent.mkdir(parents=True, exist_ok=True)
    state.folder.write_text("a file where a folder should be")
    with pytest.raises(Failure, match=r"cannot be written .*SERL_HOME"), workspace.locked(state):
        pass


def test_a_folder_of_another_user_is_not_trusted(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.folder.mkdir(parents=True)
    monkeypatch.setattr(workspace.os, "getuid", lambda: state.folder.stat().st_uid + 1)
    with pytest.raises(Failure, match="belongs to another user"), workspace.locked(state):
        pass


def test_progress_and_failures_are_read_from_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    failed = workspace.follow_build(
        [
            "Starting >>> low_msgs\n",
            "Finished <<< low_msgs [6.1s]\n",
            "Failed   <<< mid_sim [2.0s, exited with code 2]\n",
            "Aborted  <<< top_node\n",
        ],
        log,
    )
    assert failed == ["mid_sim"]
    assert "built low_msgs [6.1s]" in capsys.readouterr().err
    assert "Starting >>> low_msgs" in log.getvalue()


def test_a_failed_build_shows_its_last_lines_and_names_the_log(state: State) -> None:
    folder = state.log / "colcon/latest_build/mid_sim"
    folder.mkdir(parents=True)
    (folder / "stdout_stderr.log").write_text("host.cpp:1: error: expected ';'\n")
    failure = workspace.build_failure(state, ["mid_sim"], 2)
    assert failure.code == 1
    assert failure.lines[0].startswith("building mid_sim failed")
    assert any("expected ';'" in line for line in failure.lines)
    assert str(folder / "stdout_stderr.log") in failure.lines[-1]
    (folder / "stdout_stderr.log").write_text("fatal error: No space left on device\n")
    assert "the disk is full" in workspace.build_failure(state, ["mid_sim"], 2).lines[0]


def test_sources_of_an_odd_path_are_linked_into_the_build_folder(tmp_path: Path) -> None:
    root = tmp_path / "my path"
    (root / "src").mkdir(parents=True)
    state = State(root, tmp_path / "home", None)
    state.folder.mkdir()
    workspace.link_sources(state)
    workspace.link_sources(state)
    assert state.sources.resolve() == (root / "src").resolve()


def test_clean_deletes_what_was_made_and_nothing_else(state: State, builds: list[set[str]]) -> None:
    workspace.bring_up_to_date(state, testing=False)
    (state.folder / "src").symlink_to(state.root / "src", target_is_directory=True)
    assert workspace.clean(state) == 0
    assert [path.name for path in state.folder.iterdir()] == ["lock"]
    assert (state.root / "src/mid_sim/host.cpp").exists()


def test_the_summary_counts_all_suites_and_fails_with_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"/></testsuites>')
    assert testing.read_counts(report) == (3, 2, 2)
    report.write_text('<testsuite tests="4" failures="0" disabled="0" skipped="1"/>')
    assert testing.read_counts(report) == (3, 0, 1)
    assert testing.read_counts(tmp_path / "none.xml") == (0, 0, 0)
    good = testing.Result("low_msgs", 3, 0, 1, 1.0, 0)
    crashed = testing.Result("mid_sim (C++)", 0, 0, 0, 1.0, 139)
    empty = testing.Result("top_node", 0, 0, 0, 1.0, testing.NO_TESTS_COLLECTED)
    assert testing.summarize([good], chosen=False, seconds=2.0) == 0
    assert "3 passed, 0 failed, 1 skipped in 2 s" in capsys.readouterr().out
    assert testing.summarize([good, crashed], chosen=False, seconds=2.0) == 1
    assert "failed: mid_sim (C++)" in capsys.readouterr().out
    assert testing.summarize([good, empty], chosen=False, seconds=2.0) == 1, (
        "a suite without tests is not a passed one"
    )
    assert testing.summarize([good, empty], chosen=True, seconds=2.0) == 0

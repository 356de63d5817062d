# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Runs every test of the workspace, package by package: compiled ones by CTest, Python ones by pytest."""

from __future__ import annotations

import os
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from state import State

# Style checks that message packages generate, and pytest suites registered with CTest: pytest runs those.
CTEST_LEAVE_OUT = "linter|pytest|cppcheck|cpplint|flake8|pep257|uncrustify"
NO_TESTS_COLLECTED = 5
PROGRESS_SECONDS = 30.0


@dataclass(frozen=True)
class Result:
    suite: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    code: int


def run(state: State, environment: Mapping[str, str], arguments: list[str]) -> int:
    """Run all tests, or what the pytest arguments choose; return 0 only if nothing failed.

    With a path among the arguments pytest runs just that; with options alone (`-k name`, `-x`) every Python
    suite runs with them. Without arguments the compiled tests run first, which measure time, then the Python suites
    side by side, each in a ROS domain of its own.
    """
    environment = dict(environment)
    environment.setdefault("ROS_DOMAIN_ID", str(own_domain(0)))  # apart from whatever else runs here
    start = time.monotonic()
    reports = state.log / "tests"
    reports.mkdir(parents=True, exist_ok=True)
    for report in reports.glob("*.xml"):
        report.unlink()
    if any(Path(argument.partition("::")[0]).exists() for argument in arguments):
        return pytest(state, environment, "chosen", Path.cwd(), arguments, reports).code
    suites = {
        folder.parent.name if folder.name == "test" else folder.name: folder
        for folder in python_suites(state)
    }
    if not arguments:
        results = [ctest(state, environment, build, reports) for build in compiled_suites(state)]
        return summarize(
            [*results, *side_by_side(state, environment, suites, reports)], False, time.monotonic() - start
        )
    results = []
    for name, folder in suites.items():
        results.append(pytest(state, environment, name, state.root, [*arguments, str(folder)], reports))
        if "-x" in arguments and results[-1].code not in (0, NO_TESTS_COLLECTED):
            break
    return summarize(results, True, time.monotonic() - start)


def side_by_side(
    state: State, environment: Mapping[str, str], suites: Mapping[str, Path], reports: Path
) -> list[Result]:
    """Run suites by name and print what each said when it has ended.

    As many run at once as SERL_TEST_JOBS says, or as there are cores.
    """
    jobs = int(environment.get("SERL_TEST_JOBS") or len(os.sched_getaffinity(0)))
    # Those with the most tests first, so that none is left to run alone at the end.
    order = sorted(suites, key=lambda name: -sum(file.stat().st_size for file in suites[name].rglob("*.py")))
    logs = {name: reports / f"{name}.log" for name in order}
    for log in logs.values():
        log.unlink(missing_ok=True)

    def one(number: int, name: str) -> Result:
        own = {**environment, "ROS_DOMAIN_ID": str(own_domain(number))}
        with open(logs[name], "w+", encoding="utf-8", errors="replace") as log:
            result = pytest(state, own, name, state.root, [str(suites[name])], reports, log)
            log.seek(0)
            print(log.read(), end="", flush=True)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        try:
            results = [pool.submit(one, number, name) for number, name in enumerate(order)]
            while wait(results, timeout=PROGRESS_SECONDS).not_done:
                print(
                    "... " + ", ".join(progress(logs[name]) for name in order if logs[name].exists()),
                    flush=True,
                )
            return [result.result() for result in results]
        except KeyboardInterrupt:  # which the suites that run got as well
            pool.shutdown(cancel_futures=True)
            raise


def own_domain(number: int) -> int:
    """Return the ROS domain of a suite, 81 to 100: what the tests start themselves takes one of 1 to 80."""
    return 81 + (os.getpid() + number) % 20


def progress(log: Path) -> str:
    """Return how far a suite has come, by what pytest printed last."""
    shares = re.findall(r"\[ *(\d+)%\]", log.read_text("utf-8", errors="replace"))
    return f"{log.stem} {shares[-1] if shares else 0}%"


def compiled_suites(state: State) -> list[Path]:
    return sorted(file.parent for file in state.build.glob("*/CTestTestfile.cmake"))


def python_suites(state: State) -> list[Path]:
    folders = [*sorted((state.root / "src").glob("*/test")), state.root / "tests"]
    return [folder for folder in folders if any(folder.rglob("test_*.py"))]


def ctest(state: State, environment: Mapping[str, str], build: Path, reports: Path) -> Result:
    report = reports / f"{build.name}.ctest.xml"
    command = [
        "ctest", "--test-dir", str(build), "--label-exclude", CTEST_LEAVE_OUT, "--output-on-failure",
        "--no-tests=ignore", "--output-junit", str(report),
    ]  # fmt: skip
    search = {
        **environment,
        "PATH": f"{state.site_packages / 'cmake/data/bin'}{os.pathsep}{environment['PATH']}",
    }
    return finish(f"{build.name} (C++)", command, search, build, report)


def pytest(
    state: State,
    environment: Mapping[str, str],
    name: str,
    folder: Path,
    arguments: list[str],
    reports: Path,
    output: TextIO | None = None,
) -> Result:
    report = reports / f"{name}.xml"
    # A sourced distribution brings pytest plugins of its own (launch_testing, ...), made for its own, older pytest.
    environment = {**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        str(state.python), "-m", "pytest", "-p", "pytest_timeout", "-c", str(state.root / "pyproject.toml"),
        "--rootdir", str(state.root),
        f"--junitxml={report}", *arguments,
    ]  # fmt: skip
    return finish(name, command, environment, folder, report, output)


def finish(
    suite: str,
    command: list[str],
    environment: Mapping[str, str],
    folder: Path,
    report: Path,
    output: TextIO | None = None,
) -> Result:
    """Run a suite to its end; `output`: where what it prints goes instead of the terminal."""
    print(f"\n##### {suite}", file=output, flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output and subprocess.STDOUT,
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    return Result(suite, *read_counts(report), time.monotonic() - start, code)


def read_counts(report: Path) -> tuple[int, int, int]:
    """Return how many tests a JUnit report says passed, failed and were skipped; zeros if there is none."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    total, failed, skipped = (
        sum(int(suite.get(name) or 0) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped", "disabled"))
    )
    return total - failed - skipped, failed, skipped


def summarize(results: list[Result], chosen: bool, seconds: float) -> int:
    """Print one line for each suite and one for all, which took `seconds`; return the exit status."""
    harmless = {0, NO_TESTS_COLLECTED} if chosen else {0}
    broken = [result for result in results if result.code not in harmless]
    print("\n##### summary")
    for result in results:
        verdict = "FAILED" if result in broken else "ok"
        print(
            f"{result.suite:28} {verdict:7}{result.passed:5} passed {result.failed:3} failed "
            f"{result.skipped:3} skipped {result.seconds:7.1f} s"
        )
    passed, failed, skipped = (
        sum(getattr(r, name) for r in results) for name in ("passed", "failed", "skipped")
    )
    outcome = f"failed: {', '.join(result.suite for result in broken)}" if broken else "all suites passed"
    print(
        f"serl: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.0f} s; {outcome}", flush=True
    )
    return 1 if broken else 0

# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Peers are measured in a process of their own, and their absence is no error."""

import ast
from pathlib import Path

import pytest

from serl_bringup import peers
from serl_core.errors import SerlError


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a program that plays the peer's Python."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv(peers.PYTHON, str(program))


def test_programs_for_the_peers_are_python():
    for program in (peers.SERL, peers.GYM_HIL):
        ast.parse(program)


def test_without_a_python_for_peers_there_is_none(monkeypatch):
    monkeypatch.delenv(peers.PYTHON, raising=False)
    peer = peers.SerlAgent(8, 2, 3, 2)
    with peer as agent:
        assert agent is None
    assert peer.missing == peers.WHERE


def test_a_python_without_the_peer_is_none_and_its_last_word_is_told(tmp_path, monkeypatch):
    stand_in(tmp_path, "echo Traceback >&2; echo 'No module named serl_launcher' >&2; exit 1", monkeypatch)
    peer = peers.SerlAgent(8, 2, 3, 2)
    with peer as agent:
        assert agent is None
    assert peer.missing.endswith("did not start: No module named serl_launcher")


def test_updates_are_asked_for_one_by_one(tmp_path, monkeypatch):
    stand_in(tmp_path, "echo noise; echo ready; while read line; do echo 0.5 0.75; done", monkeypatch)
    with peers.SerlAgent(8, 2, 3, 2) as agent:
        assert agent is not None
        assert [agent.update() for _ in range(3)] == [(0.5, 0.75)] * 3


def test_a_peer_that_dies_is_named(tmp_path, monkeypatch):
    stand_in(tmp_path, "echo ready; read line", monkeypatch)
    with peers.SerlAgent(8, 2, 3, 2) as agent:
        assert agent is not None
        with pytest.raises(SerlError, match="ended while it was measured"):
            agent.update()
            agent.update()

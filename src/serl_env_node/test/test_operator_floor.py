# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Two operators at once: the first keeps the arm until it lets go."""

from __future__ import annotations

import numpy as np

from serl_core.types import Intervention
from serl_env_node.operator_floor import OperatorFloor


def says(who: str, active: bool) -> Intervention:
    return Intervention(who, 0, 0, active, np.zeros(6, np.float32))


def test_the_first_operator_keeps_the_arm_until_it_lets_go() -> None:
    floor = OperatorFloor(patience=1.0)
    anna, bert = says("anna", True), says("bert", True)
    assert floor.admit(bert, 0.0) is bert
    for n in range(40):
        assert floor.admit(anna, 0.1 * n + 0.05) is None
        assert floor.admit(bert, 0.1 * n + 0.10) is bert
    assert (floor.holder, floor.ignored) == ("bert", 40)
    let_go = says("bert", False)
    assert floor.admit(let_go, 4.1) is let_go, "that one lets go is heard"
    assert floor.admit(anna, 4.2) is anna
    assert floor.admit(bert, 4.3) is None


def test_hands_off_of_a_bystander_is_no_answer_and_no_offence() -> None:
    floor = OperatorFloor(1.0)
    floor.admit(says("anna", True), 0.0)
    assert floor.admit(says("bert", False), 0.1) is None
    assert (floor.holder, floor.ignored) == ("anna", 0)


def test_with_nobody_in_control_everybody_is_heard() -> None:
    floor = OperatorFloor(1.0)
    for who in ("anna", "bert", "anna"):
        assert floor.admit(says(who, False), 0.0) is not None
    assert floor.holder == ""


def test_a_holder_that_died_does_not_lock_the_others_out() -> None:
    floor = OperatorFloor(patience=1.0)
    floor.admit(says("anna", True), 0.0)
    assert floor.admit(says("bert", True), 1.0) is None
    assert floor.admit(says("bert", True), 1.01) is not None
    assert floor.holder == "bert"

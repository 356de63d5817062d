# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A person's hands on their devices, as one word on each observation."""

from __future__ import annotations

import numpy as np

from serl_actor.intervention.device import Reading, Reconnecting
from serl_actor.intervention.mapping import Mapping
from serl_actor.intervention.takeover import Takeover
from serl_core.errors import ConfigError
from serl_core.types import Intervention, Observation

HOLD = np.zeros(0, np.float32)
"""No data: an active word with none asks the environment to hold."""


class Hand:
    """One device for one arm. Not thread-safe.

    Args:
        device: Read by `update`.
        mapping: From its readings to the arm's actions.
        takeover: When the person has the arm.
        clutch: Button of the device that takes over; "" for the device's own choice.

    Attributes:
        reading: What the device said last; None while it is lost.
    """

    def __init__(self, device: Reconnecting, mapping: Mapping, takeover: Takeover, clutch: str = "") -> None:
        clutch = clutch or device.device.default_clutch
        names = device.device.button_names
        if clutch and clutch not in names:
            raise ConfigError(
                f"clutch_button: {device.device.name} has no {clutch!r}, only {', '.join(names)}"
            )
        self.device = device
        self.mapping = mapping
        self.takeover = takeover
        self._clutch = names.index(clutch) if clutch else None
        self.reading: Reading | None = None
        self._anchored_in: int | None = None

    @property
    def lost_in_hand(self) -> bool:
        """Whether the device went away while the person had the arm."""
        return self.takeover.engaged and self.reading is None

    def update(self, now: float) -> bool:
        """Read the device and return whether the person has the arm; `now` [s].

        A device lost during an intervention leaves the person in control, as they cannot say otherwise; when it
        is back, they have the hold time to go on.
        """
        was_lost = self.reading is None
        self.reading = self.device.read(now)
        if self.reading is None:
            self._anchored_in = None
            return self.takeover.engaged
        if was_lost:
            self.takeover.extend(now)
        clutch = self._clutch is not None and self.reading.buttons[self._clutch]
        self.takeover.update(clutch, self.mapping.effort(self.reading), now)
        if not self.takeover.wished:
            self._anchored_in = None  # a device set elsewhere while nothing was asked of it starts from there
        return self.takeover.engaged

    def act(self, observation: Observation) -> np.ndarray:
        """Return the arm's action (n,); zero, which leaves its target where it is, unless the reading asks for it."""
        if self.reading is None or not self.takeover.wished:
            return np.zeros(self.mapping.size, np.float32)
        # An episode begins with another pose of the arm: motion counts from there.
        taken_over = self._anchored_in != observation.episode_id
        self._anchored_in = observation.episode_id
        return self.mapping.action(self.reading, observation, taken_over)


class Teleoperation:
    """All hands of one person: whoever moves one arm of two has both, and the other arm's target rests.

    Args:
        hands: In the order of the arms in the action.
        label: Who speaks; operators of one environment must differ.
    """

    def __init__(self, hands: tuple[Hand, ...], label: str) -> None:
        self.hands = hands
        self.label = label
        self.size = sum(hand.mapping.size for hand in hands)

    @property
    def lost(self) -> dict[str, str]:
        """Devices that are away, with the reason."""
        return {
            f"device_{index}": hand.device.lost for index, hand in enumerate(self.hands) if hand.device.lost
        }

    @property
    def holding(self) -> bool:
        """Whether the arm must hold because a device was lost in an intervention."""
        return any(hand.lost_in_hand for hand in self.hands)

    def word(self, observation: Observation, now: float) -> Intervention:
        """Read the devices and return the person's word on an observation; `now` [s]."""
        engaged = [hand.update(now) for hand in self.hands]
        active, data = any(engaged), HOLD
        if active and not self.holding:
            data = np.concatenate([hand.act(observation) for hand in self.hands])
        return Intervention(self.label, observation.episode_id, observation.step, active, data)

    def let_go(self, observation: Observation) -> Intervention:
        """Hand back at once and return the word that says so."""
        for hand in self.hands:
            hand.takeover.end()
        return Intervention(self.label, observation.episode_id, observation.step, False, HOLD)

    def end(self) -> None:
        """Let go of the devices."""
        for hand in self.hands:
            hand.device.close()

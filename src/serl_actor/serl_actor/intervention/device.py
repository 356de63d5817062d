# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What an input device is asked for, and how one that is unplugged is found again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serl_core.errors import SerlError


class DeviceLost(SerlError):
    """The device is not there, or no longer: unplugged, switched off, or its stream fell silent."""


@dataclass(frozen=True)
class Reading:
    """What a device says at one instant.

    Attributes:
        stamp: When the device said so [s], on the clock of the caller of `Device.read`.
        axes: (n,) float64, one for each of `Device.axis_names`; a device that is pushed or turned gives its
            deflection in [-1, 1], a leader arm its pose.
        buttons: Whether each of `Device.button_names` is pressed.
    """

    stamp: float
    axes: np.ndarray
    buttons: tuple[bool, ...]


class Device(Protocol):
    """An input device. One thread opens, reads and closes it."""

    @property
    def name(self) -> str:
        """Kind of the device."""

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, in the order of `Reading.axes`."""

    @property
    def button_names(self) -> tuple[str, ...]:
        """Names of the buttons, in the order of `Reading.buttons`."""

    @property
    def default_map(self) -> tuple[str, ...]:
        """Axis of the device for each element of a 6-D twist; see `AxisMapping`."""

    @property
    def default_clutch(self) -> str:
        """Button that takes over where nothing else is said; "" for none."""

    def open(self) -> None:
        """Find the device; DeviceLost if it is not there, ConfigError if it never can be."""

    def read(self, now: float) -> Reading:
        """Return the present reading without waiting; DeviceLost when it went away. `now` [s]."""

    def close(self) -> None:
        """Let go of the device; does nothing when it is not open."""


class Reconnecting:
    """Reads a device, and looks for it again at intervals after it was lost.

    Args:
        device: Opened by the first `read`.
        retry_seconds: Interval between attempts [s].

    Attributes:
        lost: Why there is no reading; "" while there is one.
        losses: How often the device went away.
    """

    def __init__(self, device: Device, retry_seconds: float) -> None:
        self.device = device
        self.lost = "not opened yet"
        self.losses = 0
        self._retry_seconds = retry_seconds
        self._next_attempt = -math.inf
        self._open = False

    def read(self, now: float) -> Reading | None:
        """Return the present reading, or None while the device is lost; `now` [s] never goes back."""
        if not self._open and now < self._next_attempt:
            return None
        try:
            if not self._open:
                self.device.open()
                self._open = True
            reading = self.device.read(now)
        except DeviceLost as error:
            self.losses += not self.lost
            self.lost = str(error)
            self.close()
            self._next_attempt = now + self._retry_seconds
            return None
        self.lost = ""
        return reading

    def close(self) -> None:
        """Let go of the device; the next `read` looks for it again."""
        if self._open:
            self._open = False
            self.device.close()

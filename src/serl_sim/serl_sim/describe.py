# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The command `describe`: writes what `ros2_control`, rviz and the camera node need to know of a scene."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serl_core.errors import SerlError
from serl_sim import description
from serl_sim.scenes import SceneConfig, pcb_insertion


def write(folder: Path, hardware: str, config: SceneConfig) -> list[Path]:
    """Write robot.urdf and scene.mjb, and for mujoco_ros2_control scene.xml too, into a folder.

    Args:
        folder: Made if it is not there; files of an earlier call are replaced.
        hardware: See `description.urdf`.
        config: Of the scene.

    Returns:
        The files written.

    Raises:
        SerlError: see `description.urdf`.
        OSError: if the folder cannot be written.
    """
    folder = folder.absolute()
    scene = pcb_insertion.build(config)
    files: dict[str, str | bytes] = {"scene.mjb": scene.model_bytes()}
    if hardware == "mujoco_ros2_control":
        files["scene.xml"] = description.mjcf(pcb_insertion.specify(config), scene.tcp_site)
    model_path = folder / ("scene.xml" if "scene.xml" in files else "scene.mjb")
    files["robot.urdf"] = description.urdf(hardware, model_path, scene)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return [folder / name for name in files]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits 2 with one line on standard error if it cannot be done."""
    default = SceneConfig()
    parser = argparse.ArgumentParser(prog="describe", description=__doc__)
    parser.add_argument("task", choices=["pcb_insertion"])
    parser.add_argument(
        "--hardware", default="mujoco", help=f"one of {', '.join(description.HARDWARE)} (%(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write robot.urdf and scene.mjb to")
    parser.add_argument("--clearance-m", type=float, default=default.clearance_m,
                        help="width of the socket minus that of the plug (%(default)s) [m]")  # fmt: skip
    parser.add_argument("--friction", type=float, default=default.friction,
                        help="friction coefficient of plug and socket (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        config = SceneConfig(clearance_m=options.clearance_m, friction=options.friction)
        for path in write(options.out, options.hardware, config):
            print(path)
    except (SerlError, ValueError, OSError) as error:
        print(f"describe: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

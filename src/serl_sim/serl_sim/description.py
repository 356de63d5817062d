# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The arm as ROS describes one: a URDF with its `ros2_control` tag, made from the scene's MuJoCo model.

Nothing is written twice: links, inertias, joints, limits and shapes are read from the model that `scenes` compiled,
so controllers, rviz and physics mean the same arm. What a URDF cannot say is left out: the rotor inertias of the
joints (MuJoCo's `armature`), and contact properties. A capsule becomes a cylinder with a sphere on either end.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import mujoco
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from serl_core.codec import BASE_FRAME
from serl_core.errors import ConfigError, suggest
from serl_sim.kinematics import ARM_JOINTS
from serl_sim.scenes.arm import JOINT_SPEEDS
from serl_sim.scenes.pcb_insertion import build
from serl_sim.scenes.scene import Scene

HARDWARE = {
    "mujoco": "serl_sim/LockstepSystem",
    "mock": "mock_components/GenericSystem",
    "mujoco_ros2_control": "mujoco_ros2_control/MujocoSystemInterface",
}
"""Plugin of each kind of hardware, by the name that launch files use."""

SYSTEM = "lockstep_system"
"""Name of the hardware; its services lie below it."""
WRENCH_SENSOR = "tcp_wrench"
GOAL_FRAME = "goal"

_WRENCH_INTERFACES = [f"{kind}.{axis}" for kind in ("force", "torque") for axis in "xyz"]
_PLANE_THICKNESS_M = 0.002
_Z_TO_MINUS_Z = Rotation.from_euler("x", np.pi)


def optical_frame(camera: str) -> str:
    """Name of a camera's frame with z into the picture, x right and y down (REP 103)."""
    return f"{camera}_color_optical_frame"


def urdf(hardware: str = "mujoco", model_path: str | Path = "", scene: Scene | None = None) -> str:
    """Describe a scene's arm to ROS.

    Args:
        hardware: "mujoco" (this package's lockstep hardware), "mock" (states mirror commands, nothing moves) or
            "mujoco_ros2_control".
        model_path: File that the hardware loads: scene.mjb for "mujoco", scene.xml for "mujoco_ros2_control".
        scene: What to describe; the PCB insertion with its defaults if None.

    Returns:
        The URDF. Its root link is the arm's base B; `tcp`, an optical frame per camera and `goal` (where the tcp is
        when the task is done) are links without mass. Joint positions start at the scene's home.

    Raises:
        ConfigError: if there is no such hardware, or it needs a model and none is named.
    """
    if hardware not in HARDWARE:
        raise ConfigError(
            f"there is no hardware {hardware!r}{suggest(hardware, HARDWARE)}, only {', '.join(HARDWARE)}"
        )
    if hardware != "mock" and not str(model_path):
        raise ConfigError(f"hardware {hardware} needs the path of a model, which `describe` writes")
    scene = scene or build()
    robot = ET.Element("robot", name="serl_arm")
    _add_materials(robot, scene.model)
    for body in range(scene.model.nbody):
        _add_body(robot, scene.model, body)
    _add_frames(robot, scene)
    _add_ros2_control(robot, hardware, str(model_path), scene)
    ET.indent(robot)
    return '<?xml version="1.0"?>\n' + ET.tostring(robot, encoding="unicode") + "\n"


def mjcf(specification: mujoco.MjSpec, tcp_site: str) -> str:
    """Write a scene as MJCF for mujoco_ros2_control: with the two sensors that its force-torque sensor is made of."""
    for kind, sensor in (
        ("force", mujoco.mjtSensor.mjSENS_FORCE),
        ("torque", mujoco.mjtSensor.mjSENS_TORQUE),
    ):
        specification.add_sensor(
            name=f"{WRENCH_SENSOR}_{kind}", type=sensor, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=tcp_site
        )
    specification.compile()
    return specification.to_xml()


def _numbers(values: ArrayLike) -> str:
    """Shortest text that reads back to the same numbers; what rounding left of a zero is one."""
    flat = np.atleast_1d(np.asarray(values, np.float64))
    return " ".join(repr(float(value)) for value in np.where(np.abs(flat) < 1e-15, 0.0, flat))


def _rotation(quaternion_wxyz: ArrayLike) -> Rotation:
    return Rotation.from_quat(np.roll(np.asarray(quaternion_wxyz, np.float64), -1))


def _roll_pitch_yaw(rotation: Rotation) -> tuple[float, float, float]:
    """Angles about the fixed axes x, y, z; where roll and yaw turn about the same axis, all of it is roll."""
    R = rotation.as_matrix()
    cosine = float(np.hypot(R[0, 0], R[1, 0]))
    pitch = float(np.arctan2(-R[2, 0], cosine))
    if cosine < 1e-9:
        return float(np.arctan2(-R[1, 2], R[1, 1])), pitch, 0.0
    return float(np.arctan2(R[2, 1], R[2, 2])), pitch, float(np.arctan2(R[1, 0], R[0, 0]))


def _add_origin(parent: ET.Element, position: ArrayLike, rotation: Rotation) -> None:
    ET.SubElement(parent, "origin", xyz=_numbers(position), rpy=_numbers(_roll_pitch_yaw(rotation)))


def _link_name(model: mujoco.MjModel, body: int) -> str:
    return BASE_FRAME if body == 0 else model.body(body).name


def _material(rgba: ArrayLike) -> str:
    return "rgba_" + "_".join(f"{value:.3g}" for value in np.asarray(rgba))


def _add_materials(robot: ET.Element, model: mujoco.MjModel) -> None:
    for name, rgba in {_material(rgba): rgba for rgba in model.geom_rgba}.items():
        material = ET.SubElement(robot, "material", name=name)
        ET.SubElement(material, "color", rgba=" ".join(f"{value:.3g}" for value in rgba))


def _add_body(robot: ET.Element, model: mujoco.MjModel, body: int) -> None:
    """Add a body as a link, and the joint to its parent."""
    link = ET.SubElement(robot, "link", name=_link_name(model, body))
    if model.body_weldid[body] != 0:  # what stands still needs no inertia
        _add_inertial(link, model, body)
    for geom in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]):
        _add_visuals(link, model, geom)
    if body == 0:
        return
    number = int(model.body_jntadr[body])
    joint = (
        ET.SubElement(robot, "joint", name=f"{model.body(body).name}_mount", type="fixed")
        if number < 0
        else ET.SubElement(robot, "joint", name=model.joint(number).name, type="revolute")
    )
    _add_origin(joint, model.body_pos[body], _rotation(model.body_quat[body]))
    ET.SubElement(joint, "parent", link=_link_name(model, int(model.body_parentid[body])))
    ET.SubElement(joint, "child", link=link.get("name", ""))
    if number >= 0:
        lower, upper = model.jnt_range[number]
        ET.SubElement(joint, "axis", xyz=_numbers(model.jnt_axis[number]))
        ET.SubElement(
            joint,
            "limit",
            lower=_numbers(lower),
            upper=_numbers(upper),
            effort=_numbers(model.actuator_ctrlrange[number][1]),
            velocity=_numbers(JOINT_SPEEDS[number]),
        )
        ET.SubElement(joint, "dynamics", damping=_numbers(model.dof_damping[model.jnt_dofadr[number]].sum()))


def _add_inertial(link: ET.Element, model: mujoco.MjModel, body: int) -> None:
    inertial = ET.SubElement(link, "inertial")
    R = _rotation(model.body_iquat[body]).as_matrix()
    inertia = R @ np.diag(model.body_inertia[body]) @ R.T
    _add_origin(inertial, model.body_ipos[body], Rotation.identity())
    ET.SubElement(inertial, "mass", value=_numbers(model.body_mass[body]))
    entries = {"ixx": (0, 0), "iyy": (1, 1), "izz": (2, 2), "ixy": (0, 1), "ixz": (0, 2), "iyz": (1, 2)}
    ET.SubElement(inertial, "inertia", {name: _numbers(inertia[entry]) for name, entry in entries.items()})


def _add_visuals(link: ET.Element, model: mujoco.MjModel, geom: int) -> None:
    rotation, size = _rotation(model.geom_quat[geom]), model.geom_size[geom]
    for shape, attributes, offset in _shapes(int(model.geom_type[geom]), size):
        visual = ET.SubElement(link, "visual")
        _add_origin(visual, model.geom_pos[geom] + rotation.apply(offset), rotation)
        ET.SubElement(ET.SubElement(visual, "geometry"), shape, attributes)
        ET.SubElement(visual, "material", name=_material(model.geom_rgba[geom]))


def _shapes(kind: int, size: np.ndarray) -> Iterable[tuple[str, dict[str, str], tuple[float, float, float]]]:
    """Yield the URDF shapes that a geom is made of: tag, attributes, centre in the geom's frame [m]."""
    types, centre = mujoco.mjtGeom, (0.0, 0.0, 0.0)
    if kind == types.mjGEOM_BOX:
        yield "box", {"size": _numbers(2 * size)}, centre
    elif kind == types.mjGEOM_SPHERE:
        yield "sphere", {"radius": _numbers(size[0])}, centre
    elif kind in (types.mjGEOM_CYLINDER, types.mjGEOM_CAPSULE):
        yield "cylinder", {"radius": _numbers(size[0]), "length": _numbers(2 * size[1])}, centre
        if kind == types.mjGEOM_CAPSULE:
            for end in (size[1], -size[1]):
                yield "sphere", {"radius": _numbers(size[0])}, (0.0, 0.0, float(end))
    elif kind == types.mjGEOM_PLANE:
        sides = [2 * size[0], 2 * size[1], _PLANE_THICKNESS_M]
        yield "box", {"size": _numbers(sides)}, (0.0, 0.0, -_PLANE_THICKNESS_M / 2)


def _add_frames(robot: ET.Element, scene: Scene) -> None:
    model = scene.model
    site = model.site(scene.tcp_site)
    _add_frame(robot, scene.tcp_site, _link_name(model, int(site.bodyid[0])), site.pos, _rotation(site.quat))
    for name in scene.cameras:
        camera = model.camera(name)
        # MuJoCo's cameras look along -z with y up.
        rotation = _rotation(camera.quat) * _Z_TO_MINUS_Z
        parent = _link_name(model, int(camera.bodyid[0]))
        _add_frame(robot, optical_frame(name), parent, camera.pos, rotation)
    _add_frame(
        robot, GOAL_FRAME, BASE_FRAME, scene.goal_position, Rotation.from_quat(scene.goal_quaternion_xyzw)
    )


def _add_frame(robot: ET.Element, name: str, parent: str, position: ArrayLike, rotation: Rotation) -> None:
    ET.SubElement(robot, "link", name=name)
    joint = ET.SubElement(robot, "joint", name=f"{name}_mount", type="fixed")
    _add_origin(joint, position, rotation)
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=name)


def _add_ros2_control(robot: ET.Element, hardware: str, model_path: str, scene: Scene) -> None:
    system = ET.SubElement(robot, "ros2_control", name=SYSTEM, type="system")
    plugin = ET.SubElement(system, "hardware")
    ET.SubElement(plugin, "plugin").text = HARDWARE[hardware]
    parameters = {
        "mujoco": {
            "model_path": model_path,
            "tcp_site": scene.tcp_site,
            "tool_geoms": " ".join(scene.tool_geoms),
        },
        "mujoco_ros2_control": {"mujoco_model": model_path, "headless": "true"},
        "mock": {},
    }[hardware]
    for name, value in parameters.items():
        ET.SubElement(plugin, "param", name=name).text = value
    for number in range(ARM_JOINTS):
        joint = ET.SubElement(system, "joint", name=scene.model.joint(number).name)
        ET.SubElement(joint, "command_interface", name="effort")
        for name, start in (("position", scene.q_home[number]), ("velocity", 0.0), ("effort", 0.0)):
            _add_state_interface(joint, name, start)
    sensor = ET.SubElement(system, "sensor", name=WRENCH_SENSOR)
    for name in _WRENCH_INTERFACES:
        _add_state_interface(sensor, name, 0.0)
    if hardware == "mujoco_ros2_control":
        for name, value in (("mujoco_type", "fts"), ("mujoco_sensor_name", WRENCH_SENSOR)):
            ET.SubElement(sensor, "param", name=name).text = value
    if hardware == "mujoco":
        _add_state_interface(ET.SubElement(system, "gpio", name="physics"), "steps", 0.0)


def _add_state_interface(parent: ET.Element, name: str, start: float) -> None:
    interface = ET.SubElement(parent, "state_interface", name=name)
    ET.SubElement(interface, "param", name="initial_value").text = _numbers(start)

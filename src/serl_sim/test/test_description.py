# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What ROS is told of the arm is what MuJoCo simulates: judged by reading the URDF with nothing but numpy."""

from xml.etree import ElementTree as ET

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError
from serl_sim import describe, description
from serl_sim.scenes.pcb_insertion import build
from serl_sim.scenes.workcell import SceneConfig

JOINTS = [f"joint{number}" for number in range(1, 8)]


def numbers(text):
    return np.array([float(word) for word in text.split()])


def origin(element):
    X = np.eye(4)
    found = element.find("origin")
    X[:3, :3] = Rotation.from_euler("xyz", numbers(found.get("rpy"))).as_matrix()
    X[:3, 3] = numbers(found.get("xyz"))
    return X


class UrdfArm:
    """Forward kinematics and mass matrix as the URDF's own definition has them."""

    def __init__(self, text):
        self.robot = ET.fromstring(text)
        self.mounts = {joint.find("child").get("link"): joint for joint in self.robot.findall("joint")}

    def poses(self, q):
        """X_B<link> of every link, and for each link the poses X_BJ of the joints it hangs on."""
        angle = dict(zip(JOINTS, q, strict=True))
        poses, chains = {"base": np.eye(4)}, {"base": {}}

        def place(link):
            if link in poses:
                return
            joint = self.mounts[link]
            parent = joint.find("parent").get("link")
            place(parent)
            X = poses[parent] @ origin(joint)
            chains[link] = dict(chains[parent])
            if joint.get("type") == "revolute":
                axis = numbers(joint.find("axis").get("xyz"))
                chains[link][joint.get("name")] = (X[:3, :3] @ axis, X[:3, 3])
                turn = np.eye(4)
                turn[:3, :3] = Rotation.from_rotvec(angle[joint.get("name")] * axis).as_matrix()
                X = X @ turn
            poses[link] = X

        for link in self.mounts:
            place(link)
        return poses, chains

    def mass_matrix(self, q):
        poses, chains = self.poses(q)
        M = np.zeros((7, 7))
        for link in self.robot.findall("link"):
            inertial = link.find("inertial")
            if inertial is None:
                continue
            X = poses[link.get("name")] @ origin(inertial)
            xx, yy, zz, xy, xz, yz = (
                float(inertial.find("inertia").get(name))
                for name in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
            )
            inertia = X[:3, :3] @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ X[:3, :3].T
            linear, angular = np.zeros((3, 7)), np.zeros((3, 7))
            for number, name in enumerate(JOINTS):
                if name in chains[link.get("name")]:
                    axis, point = chains[link.get("name")][name]
                    angular[:, number] = axis
                    linear[:, number] = np.cross(axis, X[:3, 3] - point)
            mass = float(inertial.find("mass").get("value"))
            M += mass * linear.T @ linear + angular.T @ inertia @ angular
        return M


def random_postures(scene, count=10):
    lower, upper = scene.model.jnt_range.T
    return np.random.default_rng(2).uniform(lower, upper, (count, 7))


def simulated(scene, q):
    data = mujoco.MjData(scene.model)
    data.qpos[:] = q
    mujoco.mj_forward(scene.model, data)
    return data


def simulated_mass_matrix(scene, data):
    M = np.zeros((7, 7))
    mujoco.mj_fullM(scene.model, data, M)
    return M - np.diag(scene.model.dof_armature)


@pytest.fixture(scope="module")
def arm(scene):
    return UrdfArm(description.urdf("mock", scene=scene))


def test_every_link_and_frame_is_where_mujoco_has_it(arm, scene):
    model = scene.model
    for q in random_postures(scene):
        poses, _ = arm.poses(q)
        data = simulated(scene, q)
        for body in range(1, model.nbody):
            X = poses[model.body(body).name]
            np.testing.assert_allclose(X[:3, 3], data.xpos[body], atol=1e-12)
            np.testing.assert_allclose(X[:3, :3], data.xmat[body].reshape(3, 3), atol=1e-12)
        np.testing.assert_allclose(poses["tcp"][:3, 3], data.site("tcp").xpos, atol=1e-12)
        np.testing.assert_allclose(poses["tcp"][:3, :3], data.site("tcp").xmat.reshape(3, 3), atol=1e-12)
        for name in scene.cameras:
            X = poses[description.optical_frame(name)]
            np.testing.assert_allclose(X[:3, 3], data.camera(name).xpos, atol=1e-12)
            x, y, z = data.camera(name).xmat.reshape(3, 3).T
            np.testing.assert_allclose(X[:3, :3], np.column_stack([x, -y, -z]), atol=1e-12)


def test_the_goal_frame_is_the_seated_pose_of_the_tcp(arm, scene):
    poses, _ = arm.poses(scene.q_home)
    np.testing.assert_allclose(poses["goal"][:3, 3], scene.goal_position, atol=1e-12)
    lift = poses["tcp"][:3, 3] - poses["goal"][:3, 3]
    np.testing.assert_allclose(lift, [0, 0, 0.08], atol=1e-5)
    np.testing.assert_allclose(poses["tcp"][:3, :3], poses["goal"][:3, :3], atol=1e-5)


def test_masses_and_inertias_are_those_that_mujoco_moves(arm, scene):
    for q in random_postures(scene):
        expected = simulated_mass_matrix(scene, simulated(scene, q))
        np.testing.assert_allclose(arm.mass_matrix(q), expected, atol=1e-9)


def test_pinocchio_reads_the_same_arm(scene):
    try:
        import pinocchio
    except ImportError as error:
        pytest.skip(f"Pinocchio's Python package cannot be imported: {error}")
    model = pinocchio.buildModelFromXML(description.urdf("mock", scene=scene))
    data = model.createData()
    assert list(model.names)[1:] == JOINTS
    np.testing.assert_allclose(model.effortLimit, scene.model.actuator_ctrlrange[:, 1])
    for q in random_postures(scene):
        reference = simulated(scene, q)
        pinocchio.framesForwardKinematics(model, data, q)
        X = data.oMf[model.getFrameId("tcp")]
        np.testing.assert_allclose(X.translation, reference.site("tcp").xpos, atol=1e-12)
        M = np.triu(pinocchio.crba(model, data, q))
        M = M + np.triu(M, 1).T
        np.testing.assert_allclose(M, simulated_mass_matrix(scene, reference), atol=1e-9)
        reference.qvel[:] = np.linspace(-1, 1, 7)
        mujoco.mj_forward(scene.model, reference)
        bias = reference.qfrc_bias - reference.qfrc_gravcomp
        C = pinocchio.computeCoriolisMatrix(model, data, q, reference.qvel)
        np.testing.assert_allclose(C @ reference.qvel, bias, atol=1e-9)


def test_joint_limits_are_those_of_the_scene(arm, scene):
    for number, name in enumerate(JOINTS):
        limit = arm.robot.find(f"joint[@name='{name}']/limit")
        np.testing.assert_array_equal(
            [float(limit.get("lower")), float(limit.get("upper"))], scene.model.jnt_range[number]
        )
        assert float(limit.get("effort")) == scene.model.actuator_ctrlrange[number][1]
        assert 2.0 < float(limit.get("velocity")) < 6.0


def test_shapes_cover_what_mujoco_draws(arm, scene):
    """Each geom's centre is the mean of its shapes' centres, and the sizes are full ones."""
    model, types = scene.model, mujoco.mjtGeom
    shapes = {types.mjGEOM_BOX: 1, types.mjGEOM_PLANE: 1, types.mjGEOM_CYLINDER: 1, types.mjGEOM_CAPSULE: 3}
    shapes = {int(kind): count for kind, count in shapes.items()}
    visuals = [v for link in arm.robot.findall("link") for v in link.findall("visual")]
    assert len(visuals) == sum(shapes[kind] for kind in model.geom_type)
    plug = arm.robot.find("link[@name='connector']").findall("visual")[1]
    np.testing.assert_array_equal(numbers(plug.find("geometry/box").get("size")), 2 * model.geom("plug").size)
    np.testing.assert_array_equal(origin(plug)[:3, 3], model.geom("plug").pos)
    named = {material.get("name") for material in arm.robot.findall("material")}
    assert {visual.find("material").get("name") for visual in visuals} == named


@pytest.mark.parametrize(
    ("hardware", "plugin"),
    [
        ("mujoco", "serl_sim/LockstepSystem"),
        ("mock", "mock_components/GenericSystem"),
        ("mujoco_ros2_control", "mujoco_ros2_control/MujocoSystemInterface"),
    ],
)
def test_every_hardware_offers_the_same_interfaces(scene, hardware, plugin):
    system = ET.fromstring(description.urdf(hardware, "/scene", scene)).find("ros2_control")
    assert system.find("hardware/plugin").text == plugin
    assert system.get("name") == "lockstep_system"
    for number, name in enumerate(JOINTS):
        joint = system.findall("joint")[number]
        assert joint.get("name") == name
        assert [i.get("name") for i in joint.findall("command_interface")] == ["effort"]
        states = {i.get("name"): float(i.find("param").text) for i in joint.findall("state_interface")}
        assert states == pytest.approx({"position": scene.q_home[number], "velocity": 0.0, "effort": 0.0})
    wrench = [i.get("name") for i in system.findall("sensor[@name='tcp_wrench']/state_interface")]
    assert wrench == ["force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"]


def test_the_lockstep_hardware_is_told_what_it_needs(scene):
    system = ET.fromstring(description.urdf("mujoco", "/a folder/scene.mjb", scene)).find("ros2_control")
    parameters = {p.get("name"): p.text for p in system.findall("hardware/param")}
    assert parameters == {"model_path": "/a folder/scene.mjb", "tcp_site": "tcp", "tool_geoms": "plug"}
    assert system.find("gpio[@name='physics']/state_interface").get("name") == "steps"


def test_bad_hardware_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"no hardware 'mujco' \(did you mean mujoco"):
        description.urdf("mujco", "x")
    with pytest.raises(ConfigError, match="hardware mujoco needs the path of a model"):
        description.urdf("mujoco")


def test_describe_writes_files_that_load(tmp_path, capsys):
    describe.main(
        [
            "pcb_insertion",
            "--out",
            str(tmp_path / "new"),
            "--clearance-m",
            "0.001",
            "--hardware",
            "mujoco_ros2_control",
        ]
    )
    written = [tmp_path / "new" / name for name in ("scene.mjb", "scene.xml", "robot.urdf")]
    assert capsys.readouterr().out.split("\n")[:-1] == [str(path) for path in written]
    expected = build(SceneConfig(clearance_m=0.001)).model
    binary = mujoco.MjModel.from_binary_path(str(written[0]))
    text = mujoco.MjModel.from_xml_path(str(written[1]))
    for model in (binary, text):
        np.testing.assert_allclose(model.geom_size, expected.geom_size, rtol=1e-5)
        np.testing.assert_allclose(model.body_inertia, expected.body_inertia, rtol=1e-5)
        assert model.opt.timestep == expected.opt.timestep
        assert (model.body_gravcomp[1:8] == 1).all()
    assert [text.sensor(number).name for number in range(2)] == ["tcp_wrench_force", "tcp_wrench_torque"]
    system = ET.parse(written[2]).getroot().find("ros2_control")
    assert system.find("hardware/param[@name='mujoco_model']").text == str(written[1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--hardware", "robot"], "no hardware 'robot'"),
        (["--clearance-m", "1"], "clearance_m must be between"),
    ],
)
def test_describe_refuses_in_one_line_and_writes_nothing(tmp_path, capsys, arguments, told):
    with pytest.raises(SystemExit) as exit_status:
        describe.main(["pcb_insertion", "--out", str(tmp_path / "new"), *arguments])
    assert exit_status.value.code == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()

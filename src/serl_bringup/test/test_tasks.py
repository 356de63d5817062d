# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Tasks: what is in the shipped ones, completion and checking of parameters, and what a wrong one is told."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from serl_actor.config import ActorConfig
from serl_actor.intervention.config import OperatorConfig
from serl_bringup import nodes_schema as shipped
from serl_bringup.config import RunConfig
from serl_bringup.stage_parameters import (
    EVALUATION_SEED,
    for_demonstrations,
    for_evaluation,
    for_training,
    of_robot,
)
from serl_bringup.tasks import describe_task, list_tasks, load_task
from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_env_node.config import EnvConfig
from serl_reward.pose import PoseRewardConfig


@dataclass(frozen=True)
class LampConfig:
    brightness: float = parameter(1.0, "brightness [cd]", 0.0, 1e20)
    label: str = parameter("", "text on the lamp")
    rate_hz: float = parameter(10.0, "rate [Hz], also the environment's", 0.0, 50.0)


SCHEMAS = {
    "env": lambda values: (EnvConfig, PoseRewardConfig) if values.get("reward") else (EnvConfig, LampConfig),
    "actor": (ActorConfig,),
    "operator": (OperatorConfig,),
    "run": (RunConfig,),
}


def write(folder, name, **files):
    task = folder / "tasks" / name
    task.mkdir(parents=True)
    for node, text in files.items():
        (task / f"{node}.yaml").write_text(text)
    return task


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    write(tmp_path, "lamp", env="env: {ros__parameters: {task: lamp, rate_hz: 20}}")
    return tmp_path


def error(*arguments, schemas=SCHEMAS):
    with pytest.raises(ConfigError) as raised:
        load_task(*arguments, schemas=schemas)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# What is shipped.


def test_shipped_tasks_load_and_are_complete():
    assert {"pcb_insertion", "pendulum"} <= set(list_tasks())
    pcb = load_task("pcb_insertion", schemas=shipped.SCHEMAS)
    assert pcb.config("env", EnvConfig).rate_hz == 10.0
    assert pcb.config("env", EnvConfig).reset_xy == 0.05, "Table II: a region of 10 cm x 10 cm"
    assert pcb.config("env", PoseRewardConfig).goal_tolerance_m[2] < 0.001
    assert pcb.config("operator", OperatorConfig).expert == "serl_sim.experts:InsertionExpert"
    assert (pcb.config("run", RunConfig).demos, pcb.config("run", RunConfig).eval_episodes) == (20, 100)
    assert pcb.parameters["actor"]["seed"] == 0, "filled in from the default"
    pendulum = load_task("pendulum", schemas=shipped.SCHEMAS).config("env", EnvConfig)
    assert (pendulum.env_id, pendulum.max_steps, pendulum.arm) == ("Pendulum-v1", 200, "")


@pytest.mark.parametrize("name", ["ram_insertion", "peg_insertion", "cable_routing", "block_lift"])
def test_simulated_tasks_keep_the_truth_and_may_learn_from_images(name):
    """The classifier's settings come with the reward that is named, and the truth's beside them."""
    task = load_task(name, schemas=shipped.SCHEMAS)
    truth = task.parameters["env"]["reward"]
    parts = ["serl_reward.classifier.reward:ClassifierReward", "serl_reward.height:HeightReward"]
    learned = load_task(
        name,
        [
            "env.reward=serl_reward.combination:AllOf",
            f"env.reward_parts={parts}",
            f"ground_truth={truth}",
            "env.classifier=x",
        ],
        shipped.SCHEMAS,
    )
    env = learned.parameters["env"]
    assert {"success_height", "classifier", "scene", "ground_truth"} <= set(env)
    for key in ("goal_tolerance_m", "part_tolerance_m"):
        assert env.get(key) == task.parameters["env"].get(key), "the truth is measured as before"
    assert describe_task(name)


@pytest.mark.parametrize("observed, mean", [("state", True), ("image", False)])
def test_how_a_policy_acts_in_evaluation_is_the_tasks_to_say(observed, mean, tmp_path):
    task = load_task("pcb_insertion", [f"obs={observed}"], shipped.SCHEMAS)
    actor = for_evaluation(task, tmp_path, tmp_path / "bag", 100, seed=3).parameters["actor"]
    assert actor["deterministic"] is mean
    assert actor["seed"] == EVALUATION_SEED + 3, "other draws than in training"


@pytest.mark.parametrize(
    "settings, node, switch",
    [
        (["env.reward=serl_reward.vice:ViceReward"], "env", "vice_learns"),
        (
            [
                "env.reward=serl_reward.combination:AllOf",
                "env.reward_parts=[eye=serl_reward.vice:ViceReward, serl_reward.height:HeightReward]",
            ],
            "env",
            "eye_vice_learns",
        ),
        (
            [
                "env.reward=serl_reward.awaited:AwaitedReward",
                "reward.reward=serl_reward.vice:ViceReward",
            ],
            "reward",
            "vice_learns",
        ),
    ],
)
def test_vice_learns_while_the_policy_trains_and_in_no_other_stage(settings, node, switch, tmp_path):
    truth = load_task("ram_insertion", schemas=shipped.SCHEMAS).parameters["env"]["reward"]
    task = load_task("ram_insertion", [*settings, f"ground_truth={truth}"], shipped.SCHEMAS)
    stages = (
        for_training(task, tmp_path, None, seed=0, pace=True),
        for_demonstrations(task, tmp_path / "demos", 20, seed=0),
        for_evaluation(task, tmp_path, tmp_path / "bag", 100, seed=0),
    )
    assert [stage.parameters[node][switch] for stage in stages] == [True, False, False]


@pytest.mark.parametrize("checkpoint", ["", "checkpoints", "checkpoints/100"])
def test_vice_goes_on_and_is_evaluated_with_what_it_learned_in_the_run(checkpoint, tmp_path):
    (tmp_path / "checkpoints" / "100").mkdir(parents=True)
    parts = ["env.reward=serl_reward.combination:AllOf", "env.reward_parts=[eye=serl_reward.vice:ViceReward]"]
    truth = ["ground_truth=serl_reward.pose:PoseReward"]
    task = load_task("ram_insertion", [*parts, *truth], shipped.SCHEMAS)
    training = for_training(task, tmp_path, None, seed=0, pace=True)
    kept = training.parameters["env"]["eye_vice_state"]
    assert kept == str(tmp_path / "eye_vice.safetensors")
    trials = for_evaluation(task, tmp_path / checkpoint, tmp_path / "bag", 100, seed=0)
    assert trials.parameters["env"]["eye_vice_state"] == kept
    own = load_task("ram_insertion", [*parts, *truth, "env.eye_vice_state=/mine"], shipped.SCHEMAS)
    assert for_training(own, tmp_path, None, 0, True).parameters["env"]["eye_vice_state"] == "/mine"
    robots = [of_robot(training, i).parameters["env"]["eye_vice_state"] for i in range(3)]
    assert robots[0] == kept and len(set(robots)) == 3, "none writes over another's"


def test_paper_numbers_of_the_simulated_tasks():
    ram, cable = (
        load_task(n, schemas=shipped.SCHEMAS).config("env", EnvConfig)
        for n in ("ram_insertion", "cable_routing")
    )
    assert (ram.max_steps, ram.reset_xy, ram.rate_hz) == (100, 0.02, 10.0), "HIL-SERL, Table 2"
    assert ram.reset_yaw == pytest.approx(np.deg2rad(6), abs=1e-3)
    assert (cable.max_steps, cable.reset_xy) == (120, 0.02), "HIL-SERL, Table 5"
    assert cable.reset_yaw == pytest.approx(np.deg2rad(10), abs=1e-3)


# Reading and overriding.


def test_a_task_of_the_working_directory_may_not_take_a_shipped_name(here):
    write(here, "pendulum", env="env: {ros__parameters: {max_steps: 7}}")
    message = error("pendulum")
    assert "'pendulum' is ambiguous, rename all but one: tasks/pendulum, /" in message
    assert {"lamp", "pendulum"} <= set(list_tasks())


def test_in_a_checkout_the_tasks_of_the_working_directory_are_the_shipped_ones(here, monkeypatch):
    monkeypatch.chdir(Path(shipped.__file__).resolve().parents[1])
    assert load_task("pendulum", schemas=SCHEMAS).parameters["env"]["max_steps"] == 200


def test_tasks_are_found_where_a_variable_says(here, monkeypatch):
    write(here / "shelf", "bulb", env="env: {ros__parameters: {max_steps: 8}}")
    monkeypatch.setenv("SERL_TASK_PATH", f"{here / 'missing'}:{here / 'shelf' / 'tasks'}:")
    assert load_task("bulb", schemas=SCHEMAS).parameters["env"]["max_steps"] == 8
    assert {"bulb", "lamp"} <= set(list_tasks())


def test_tasks_are_found_in_a_ros_prefix(here, monkeypatch):
    (here / "prefix" / "share" / "serl_bringup").mkdir(parents=True)
    write(here / "prefix" / "share" / "serl_bringup", "far", env="env: {ros__parameters: {}}")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(here / "prefix"))
    assert load_task("far", schemas=SCHEMAS).name == "far"


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [((), 9), (["obs=image"], 5), (["env.obs=image", "max_steps=6"], 6), (["obs=state"], 9)],
)
def test_a_task_may_say_what_is_other_with_images(here, overrides, steps):
    folder = write(here, "eye", env="env: {ros__parameters: {max_steps: 9, rate_hz: 20}}")
    (folder / "observations").mkdir()
    (folder / "observations" / "image.yaml").write_text(
        "env: {ros__parameters: {max_steps: 5}}\nactor: {ros__parameters: {seed: 4}}"
    )
    task = load_task("eye", overrides, SCHEMAS)
    assert task.parameters["env"]["max_steps"] == steps and task.parameters["env"]["rate_hz"] == 20.0
    assert task.parameters["actor"]["seed"] == (4 if steps < 9 else 0)


SEES = "env: {ros__parameters: {obs: image, policy_keys_image: [wrist_1]}}"


@pytest.mark.parametrize(("own", "side"), [("", 64), ("env: {ros__parameters: {image_size: 96}}", 96)])
def test_what_is_other_with_images_is_said_for_all_tasks_and_may_be_said_by_one(here, own, side):
    folder = write(here, "eye", env=SEES, run="run: {ros__parameters: {train_minutes: 1.0}}")
    if own:
        (folder / "observations").mkdir()
        (folder / "observations" / "image.yaml").write_text(own)
    parameters = load_task("eye", (), shipped.SCHEMAS).parameters
    assert parameters["env"]["image_size"] == side
    assert parameters["learner"]["privileged_keys"] == ("goal_pose",)
    assert parameters["run"]["train_minutes"] == 40.0
    assert load_task("eye", ["train_minutes=2"], shipped.SCHEMAS).parameters["run"]["train_minutes"] == 2.0


@pytest.mark.parametrize(
    "name", ["pcb_insertion", "ram_insertion", "peg_insertion", "cable_routing", "block_lift"]
)
def test_with_images_the_critics_know_of_a_shipped_task_what_the_policy_has_to_see(name):
    parameters = load_task(name, ["obs=image"], shipped.SCHEMAS).parameters
    env = parameters["env"]
    unseen = set(env["policy_keys_state"]) - set(env["policy_keys_image"])
    assert unseen == set(parameters["learner"]["privileged_keys"]) and "goal_pose" in unseen
    assert parameters["learner"]["encoder"] == "resnet10"


def test_an_environment_without_cameras_is_told_nothing_of_them(here):
    assert (
        load_task("pendulum", ["obs=image"], shipped.SCHEMAS).parameters["learner"]["privileged_keys"] == ()
    )


def test_a_robot_has_the_word_after_the_observations(here):
    folder = write(here, "eye", env="env: {ros__parameters: {obs: image}}")
    for layer, steps in (("observations/image", 5), ("robots/hand", 7)):
        (folder / layer).parent.mkdir()
        (folder / f"{layer}.yaml").write_text(f"env: {{ros__parameters: {{max_steps: {steps}}}}}")
    assert load_task("eye", (), SCHEMAS).parameters["env"]["max_steps"] == 5
    assert load_task("eye", (), SCHEMAS, robot="hand").parameters["env"]["max_steps"] == 7


def test_overrides_by_bare_and_full_name(here):
    task = load_task("lamp", ["max_steps=5", "env.seed=3", "box_low=[-1, -1, 0]", "max_steps=6"], SCHEMAS)
    env = task.config("env", EnvConfig)
    assert (env.max_steps, env.seed, env.box_low, env.rate_hz) == (6, 3, (-1.0, -1.0, 0.0), 20.0)
    assert task.parameters["actor"]["seed"] == 0


def test_an_override_may_bring_a_part_with_its_own_parameters(here):
    task = load_task("lamp", ["reward=a:B", "goal_tolerance_m=[1,1,1]"], SCHEMAS)
    assert task.config("env", PoseRewardConfig).goal_tolerance_m == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("text", ["on", "12", "1e5", "null", "", "a: b", "x=y"])
def test_a_text_stays_the_text_that_was_typed(here, text):
    assert load_task("lamp", [f"label={text}"], SCHEMAS).parameters["env"]["label"] == text


def test_with_values_is_a_checked_copy(here):
    task = load_task("lamp", schemas=SCHEMAS)
    changed = task.with_values("env", max_steps=9).with_values("actor", checkpoint="x")
    assert (changed.parameters["env"]["max_steps"], changed.parameters["actor"]["checkpoint"]) == (9, "x")
    assert task.parameters["env"]["max_steps"] == 100
    with pytest.raises(ConfigError, match=r"max_step.*did you mean max_steps"):
        task.with_values("env", max_step=9)
    with pytest.raises(ConfigError, match=r"'envs' .did you mean env"):
        task.with_values("envs", max_steps=9)


def test_a_name_in_two_classes_must_suit_both(here):
    assert "rate_hz must lie in [0.0, 50.0], got 60.0" in error("lamp", ["rate_hz=60"])


# Writing.


def test_what_is_written_is_what_rcl_reads_under_any_namespace(here):
    task = load_task(
        "lamp", ["brightness=1e16", "label=on", "policy_keys_state=['1', 'yes', \"a'b\"]"], SCHEMAS
    )
    task = task.with_values("env", force_limit=60, action_timeout_s=0.001)
    task.write(here / "p.yaml")
    code = """if True:
        import json, sys, rclpy
        rclpy.init(args=["--ros-args", "--params-file", sys.argv[1]])
        found = []
        for namespace in ("", "/left"):
            declare = {"automatically_declare_parameters_from_overrides": True}
            node = rclpy.create_node("env", namespace=namespace, **declare)
            names = [n for n in json.loads(sys.argv[2]) if node.has_parameter(n)]
            values = [(p.name, p.value) for p in node.get_parameters(names)]
            found.append({n: v if isinstance(v, (bool, int, float, str)) else list(v) for n, v in values})
        print(json.dumps(found))
    """
    wanted = {k: list(v) if isinstance(v, tuple) else v for k, v in task.parameters["env"].items() if v != ()}
    arguments = [sys.executable, "-c", code, str(here / "p.yaml"), json.dumps(list(task.parameters["env"]))]
    read = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout
    # As JSON text, 60 and 60.0, "on" and true are different.
    for found in json.loads(read):
        assert json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert yaml.safe_load((here / "p.yaml").read_text())["/**/env"]["ros__parameters"] == wanted


def test_what_a_robot_has_of_its_own_counts_in_its_namespace_alone(here):
    task = load_task("lamp", [], SCHEMAS)
    task.write(here / "p.yaml", {"left": task, "right": task.with_values("env", seed=5)})
    code = """if True:
        import sys, rclpy
        rclpy.init(args=["--ros-args", "--params-file", sys.argv[1]])
        for namespace in ("", "/left", "/right"):
            declare = {"automatically_declare_parameters_from_overrides": True}
            print(rclpy.create_node("env", namespace=namespace, **declare).get_parameter("seed").value)
    """
    arguments = [sys.executable, "-c", code, str(here / "p.yaml")]
    read = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout
    assert read.split() == ["0", "0", "5"]


# Mistakes.


def test_unknown_task_names_the_closest(here):
    message = error("pcb_insertoin")
    assert "unknown task 'pcb_insertoin' (did you mean pcb_insertion" in message and "lamp" in message


@pytest.mark.parametrize("name", ["", ".", "..", "../tasks/lamp", "/etc"])
def test_a_task_is_a_name_not_a_path(here, name):
    assert "unknown task" in error(name)


def test_task_without_env_yaml(here):
    write(here, "empty")
    assert "no env.yaml" in error("empty")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("env: {ros__parameters: {max_steps: many}}", "max_steps must be a whole number, got 'many'"),
        ("env: {ros__parameters: {max_steps: 1.5}}", "max_steps must be a whole number, got 1.5"),
        ("env: {ros__parameters: {box_low: 3}}", "box_low must be a list of float, got 3"),
        ("env: {ros__parameters: {policy: 1}}", "policy must be true or false, got 1"),
        ("env: {ros__parameters: {rate: 3}}", "unknown parameter 'rate' (did you mean rate_hz"),
        ("env: {max_steps: 3}", "there must be ros__parameters"),
        ("env: {ros__parameters: [1, 2]}", "must hold names and values"),
        ("environment: {ros__parameters: {}}", "must hold one key, 'env'"),
        ("", "found: none"),
        ("env: {ros__parameters: {", "not YAML"),
        ("env:\n\tros__parameters:", "not YAML"),
    ],
)
def test_a_wrong_file_is_named(here, text, told):
    write(here, "wrong", env=text)
    message = error("wrong")
    assert message.startswith("tasks/wrong/env.yaml") and told in message


def test_a_file_that_is_not_text(here):
    write(here, "binary", env="")
    (here / "tasks" / "binary" / "env.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not YAML" in error("binary")


def test_a_file_of_an_unknown_node(here):
    write(here, "odd", env="env: {ros__parameters: {}}", actr="actr: {ros__parameters: {seed: 1}}")
    assert "actr.yaml: no node 'actr' (did you mean actor?)" in error("odd")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("max_steps", "expected parameter=value"),
        ("=3", "expected parameter=value"),
        ("env.=3", "expected parameter=value"),
        ("seed=3", "say which: env.seed, actor.seed, operator.seed"),
        ("max_step=3", "unknown parameter 'max_step' (did you mean max_steps"),
        ("env.max_step=3", "unknown parameter 'max_step' (did you mean max_steps"),
        ("en.seed=3", "no node 'en' (did you mean env?)"),
        ("max_steps=many", "max_steps must be a whole number, got 'many'"),
        ("max_steps=0", "must lie in [1, 100000], got 0"),
        ("obs=pictures", "must be one of state, image"),
        ("box_low=[1, 2", "is not YAML"),
    ],
)
def test_a_wrong_override_is_named(here, override, told):
    message = error("lamp", [override])
    assert message.startswith("--set ") and told in message

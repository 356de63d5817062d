# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The loop from transitions to policies, its pace, and going on after a stop."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import shutil
import sys
import threading
import types

import jax
import numpy as np
import pytest
from learner_cases import SPEC, recording, transition

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.types import Source
from serl_learner import checkpoint, weights
from serl_learner.agents import rlpd
from serl_learner.agents.config import ResidualConfig, RLPDConfig
from serl_learner.bag.labels import relabelled
from serl_learner.intake import Intake
from serl_learner.metrics import RateMeter
from serl_learner.training_loop import UNLIMITED, LoopConfig, TrainingLoop

AGENT = RLPDConfig(hidden_sizes=(16,), ensemble_size=2, batch_size=8, utd_ratio=2)
CONFIG = LoopConfig(min_online=10, lead_steps=4, replay_capacity=1000, demo_capacity=1000)


def loop_with(run=None, transitions=(), agent=AGENT, spec=SPEC, seed=0, pace=0.0) -> TrainingLoop:
    loop = TrainingLoop(spec, CONFIG, agent, run, seed, pace)
    for each in transitions:
        loop.ingest(each)
    return loop


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """A run with two checkpoints, and what its next step after the second one led to."""
    run = tmp_path_factory.mktemp("run")
    loop = loop_with(run, recording(4, 10))
    for i in range(3):
        loop.step(float(i))
    loop.save(1.0)
    for i in range(2):
        loop.step(float(i))
    loop.save(2.0)
    weights_then = loop.policy_weights(2.0)
    loop.step(9.0)
    metrics = loop.metrics
    state = jax.tree.map(np.array, loop._state)
    loop.close()
    return run, weights_then, metrics, state


def test_a_restored_loop_takes_a_bit_equal_step(trained_run):
    run, _, metrics, state = trained_run
    loop = loop_with(None, recording(4, 10), seed=5)
    loop.restore(run)
    assert loop.critic_updates == 10 and loop.env_steps == 40
    loop.step(0.0)
    assert loop.metrics == metrics
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(loop._state), strict=True):
        assert np.array_equal(a, b)


def test_the_policy_of_a_checkpoint_needs_no_learner(trained_run):
    run, weights_then, _, _ = trained_run
    for path in (run, run / "checkpoints", run / "checkpoints" / "10", str(run)):
        loaded = checkpoint.load_policy(path)
        assert loaded.weights == weights_then
        assert loaded.spec == SPEC
    assert checkpoint.load_policy(run / "checkpoints" / "6").weights.version == 4
    assert weights.decode(loaded.weights, loaded.spec).mean(np.zeros(3, np.float32)).shape == (2,)
    assert loaded.metadata["env_steps"] == 40 and loaded.metadata["agent"]["discount"] == 0.97


def test_a_save_that_was_killed_leaves_the_one_before(trained_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_run[0], run)
    # What a kill in the middle leaves: a folder that was never renamed, its parts incomplete.
    partial = run / "checkpoints" / "99.orbax-checkpoint-tmp"
    shutil.copytree(run / "checkpoints" / "10", partial)
    (partial / "policy" / "policy.safetensors").write_bytes(b"half")
    assert checkpoint.find_checkpoint(run).name == "10"
    loop = loop_with(run, recording(4, 10))
    loop.restore(run)
    loop.step(0.0)
    loop.save(3.0)
    loop.close()
    assert checkpoint.find_checkpoint(run).name == "12"
    assert not partial.exists()


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    loop = loop_with(tmp_path, recording(4, 10))
    loop.step(0.0)
    disk, rename = threading.Event(), os.rename

    def slow_rename(*given, **named):
        assert disk.wait(30.0), "the save was waited for"
        rename(*given, **named)

    monkeypatch.setattr(os, "rename", slow_rename)
    then = jax.tree.map(np.array, loop._state)
    loop.save(1.0)
    for i in range(3):
        loop.step(float(i))
    now = jax.tree.map(np.array, loop._state)
    assert not (tmp_path / "checkpoints" / "2").exists(), "nothing is finished yet"
    disk.set()
    loop.close()
    other = loop_with(None, recording(4, 10), seed=5)
    other.restore(tmp_path)
    assert other.critic_updates == 2
    for saved, before in zip(jax.tree.leaves(other._state), jax.tree.leaves(then), strict=True):
        assert np.array_equal(saved, before)
    assert not np.array_equal(now.actor["mean/kernel"], then.actor["mean/kernel"])


def test_checkpoints_are_kept_by_count(tmp_path):
    config = dataclasses.replace(CONFIG, keep_checkpoints=2)
    loop = TrainingLoop(SPEC, config, AGENT, tmp_path, 0)
    for each in recording(2, 10):
        loop.ingest(each)
    for i in range(4):
        loop.step(float(i))
        loop.save(float(i))
    loop.save(9.0)
    loop.close()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()) == ["6", "8"]
    assert list((tmp_path / "tensorboard").iterdir())


def test_checkpoints_that_do_not_fit_are_refused_in_one_line(trained_run, tmp_path):
    run = trained_run[0]
    other_task = dataclasses.replace(SPEC, task="socket")
    cases = [
        (loop_with(spec=other_task), run, "task 'point', not of 'socket'"),
        (
            loop_with(spec=dataclasses.replace(SPEC, step_seconds=0.2)),
            run,
            "another observation or action schema",
        ),
        (loop_with(agent=dataclasses.replace(AGENT, hidden_sizes=(8,))), run, r"hidden_sizes was \(16,\)"),
        (loop_with(agent=dataclasses.replace(AGENT, max_grad_norm=1.0)), run, "max_grad_norm was 0.0"),
        (loop_with(agent=dataclasses.replace(AGENT, std_min=0.01)), run, "std_min was 1e-05, now 0.01"),
        (loop_with(agent=dataclasses.replace(AGENT, std_max=2.0)), run, "std_max was 5.0, now 2.0"),
        (loop_with(), tmp_path, "holds no checkpoint"),
        (loop_with(), tmp_path / "nowhere", "holds no checkpoint"),
    ]
    damaged = tmp_path / "damaged"
    shutil.copytree(run / "checkpoints" / "10", damaged)
    (damaged / "policy" / "policy.safetensors").write_bytes(b"nothing")
    cases.append((loop_with(), damaged, "damaged: the checksum"))
    hollow = tmp_path / "hollow"
    shutil.copytree(run / "checkpoints" / "10", hollow)
    shutil.rmtree(hollow / "learner")
    (hollow / "learner").mkdir()
    cases.append((loop_with(), hollow, "cannot be restored"))
    foreign = tmp_path / "foreign"
    (foreign / "policy").mkdir(parents=True)
    (foreign / "policy" / "metadata.json").write_text("{}")
    cases.append((loop_with(), foreign, "not a readable checkpoint"))
    for loop, path, message in cases:
        with pytest.raises(SchemaError, match=message) as caught:
            loop.restore(path)
        assert "\n" not in str(caught.value)


def test_a_residual_of_another_scale_is_named(tmp_path):
    shape = {field.name: getattr(AGENT, field.name) for field in dataclasses.fields(AGENT)}
    residual = ResidualConfig(**{**shape, "bc_updates": 1})
    loop = loop_with(tmp_path, agent=residual)
    loop.save(0.0)
    loop.close()
    loop_with(agent=residual).restore(tmp_path)
    with pytest.raises(SchemaError, match="residual_scale was 0.3, now 0.1"):
        loop_with(agent=dataclasses.replace(residual, residual_scale=0.1)).restore(tmp_path)


def test_a_policy_alone_can_be_saved_and_loaded_but_not_trained_on(tmp_path):
    loop = loop_with()
    packed = loop.policy_weights(0.0)
    for _ in range(2):
        checkpoint.save_policy(tmp_path, 5, packed, SPEC, {"method": "bc"})
    loaded = checkpoint.load_policy(tmp_path)
    assert loaded.weights == packed and loaded.metadata["method"] == "bc"
    with pytest.raises(SchemaError, match="policy only"):
        loop.restore(tmp_path)


def test_rows_go_where_their_source_says():
    loop = loop_with()
    for source, sequence in ((Source.POLICY, 1), (Source.HUMAN, 2), (Source.HOLD, 3)):
        loop.ingest(transition(sequence, sequence, 0, last=True, source=source))
    assert (len(loop._online), len(loop._demo)) == (3, 1)
    for each in recording(1, 5, env_id="recorded"):
        assert loop.ingest(each, demo=True) == 1
    assert (len(loop._online), len(loop._demo)) == (3, 6)
    assert loop.env_steps == 3
    status = loop.status("waiting", 0.0)
    assert status.demo_transitions == 6 and status.env_steps == 3


def test_a_late_word_changes_the_last_row_of_its_episode_in_both_buffers():
    loop = loop_with(transitions=recording(3, 4, source=Source.HUMAN))

    def outcomes(buffer):
        return [(buffer._rows["reward"][row], buffer._rows["discount"][row]) for row in range(12)]

    before = outcomes(loop._online)
    words = {("env", 1): False, ("env", 7): True, ("elsewhere", 1): True}
    assert loop.relabel(words) == 1, "others have not come"
    for buffer in (loop._online, loop._demo):
        after = outcomes(buffer)
        assert after[7] == (0.0, 1.0) and before[7] == (1.0, 0.0)
        assert after[:7] + after[8:] == before[:7] + before[8:]
    assert loop.relabel(words) == 0, "nothing is new"
    for each in (transition(13, 7, 0, last=True), transition(14, 8, 0, last=False)):
        loop.ingest(each)
    assert loop.relabel({**words, ("env", 8): True}) == 1, "8 has not ended"
    assert (loop._online._rows["reward"][12], loop._online._rows["discount"][12]) == (1.0, 0.0)
    assert loop.relabel({("env", 1): True}) == 1 and outcomes(loop._online)[7] == (1.0, 0.0)


def test_a_word_on_an_episode_that_was_evicted_changes_nothing():
    loop = TrainingLoop(SPEC, dataclasses.replace(CONFIG, replay_capacity=4), AGENT, None, 0)
    for each in recording(3, 4):
        loop.ingest(each)
    rows = loop._online._rows["reward"].copy()
    assert loop.relabel({("env", 0): False}) == 0
    assert np.array_equal(loop._online._rows["reward"], rows)


@pytest.mark.parametrize("seed", range(4))
def test_a_late_word_leaves_a_loop_as_a_resumed_one_is(seed):
    """Rows, share of successes and return are those of a run that read the word with the episode, and no news to it."""
    rng = np.random.default_rng(seed)
    agent = dataclasses.replace(AGENT, decay_episodes=10, decay_success_rate=0.5, reward_bias=-0.1)
    success, helped = rng.random(15) < 0.5, rng.random(15) < 0.3
    row = [
        dataclasses.replace(
            t,
            success=bool(t.last and success[t.episode_id]),
            source=Source.HUMAN if helped[t.episode_id] and t.step == 1 else Source.POLICY,
        )
        for t in recording(15, 4)
    ]
    words = {("env", int(e)): bool(rng.random() < 0.5) for e in rng.permutation(15)[:9]}
    live, resumed = loop_with(transitions=row, agent=agent), loop_with(transitions=[], agent=agent)
    before = live.status("waiting", 0.0).return_mean
    assert live.relabel(words) == len(words)
    for each in relabelled(row, words):
        resumed.ingest(each)
    assert resumed.relabel(words) == 0, "it would be told as news"
    share = np.mean([words.get(("env", e), success[e]) and not helped[e] for e in range(5, 15)])
    assert live._successes.share() == resumed._successes.share() == pytest.approx(share)
    returns = [loop.status("waiting", 0.0).return_mean for loop in (live, resumed)]
    assert returns[0] == returns[1] < before, "a failure pays nothing"
    for name in ("reward", "discount"):
        for mine, theirs in ((live._online, resumed._online), (live._demo, resumed._demo)):
            assert np.array_equal(mine._rows[name][: len(mine)], theirs._rows[name][: len(theirs)])
    assert resumed.relabel({**words, **{key: not word for key, word in words.items()}}) == len(words)


def test_demonstrations_alone_do_not_start_training():
    loop = loop_with()
    for each in recording(4, 10):
        loop.ingest(each, demo=True)
    assert not loop.ready()


def test_neither_side_runs_away_nor_both_wait():
    loop = loop_with(pace=4.0)
    transitions = iter(recording(40, 10))
    sent = done = 0
    for _ in range(200):
        limit = loop.step_limit(sent)
        progress = False
        if sent < limit:
            loop.ingest(next(transitions))
            sent += 1
            progress = True
        while loop.ready():
            loop._critic_updates += AGENT.utd_ratio  # what a step adds, without its arithmetic
            done += 1
            progress = True
        assert progress, "environment and learner wait for each other"
        ahead = loop.critic_updates - 4.0 * (sent - CONFIG.min_online)
        assert ahead <= AGENT.utd_ratio or not done
    assert done > 300
    # Without the learner, the environment stops at its lead; without the environment, the learner stops.
    while sent < loop.step_limit(sent):
        loop.ingest(next(transitions))
        sent += 1
    assert sent == CONFIG.min_online + loop.critic_updates // 4 + CONFIG.lead_steps


@pytest.mark.parametrize("away", [False, True], ids=["both at work", "one away"])
def test_environments_share_the_pace(away):
    """Two environments through the intake: together they keep to the pace of one, and none waits for the other."""
    loop = loop_with(pace=4.0)
    log = types.SimpleNamespace(write=lambda *given: None, flush=lambda: None)
    intake = Intake(log, "/transition", 1, loop.step_limit)
    ahead = {env_id: iter(recording(60, 10, env_id=env_id)) for env_id in ("a", "b")}
    limit, sent, done = {}, dict.fromkeys(ahead, 0), 0
    for env_id in ahead:
        intake.greet(env_id)
    rng = np.random.default_rng(0)
    for turn in range(600):
        limit.update({ack.env_id: ack.step_limit for ack in intake.acks()})
        progress = False
        for env_id in rng.permutation(["a"] if away and turn > 20 else ["a", "b"]):
            if sent[env_id] < limit[env_id]:
                each = next(ahead[env_id])
                receipt = intake.receive(env_id, each.sequence, 0, b"")
                assert receipt.new and receipt.ack.sequence == each.sequence
                loop.ingest(each)
                sent[env_id] += 1
                progress = True
        while loop.ready() and rng.random() < 0.9:
            loop._critic_updates += AGENT.utd_ratio
            done += 1
            progress = True
        progress = progress or loop.ready()
        assert progress, "environments and learner wait for each other"
        paid = CONFIG.min_online + loop.critic_updates / 4.0
        assert loop.env_steps == sum(sent.values()) <= paid + CONFIG.lead_steps + 1
    assert done > 300 and (away or abs(sent["a"] - sent["b"]) < 20)
    if not away:
        loop._online.check_valid()
        assert {loop._online._keys[slot][0] for slot in loop._online._rows["frame"][: len(loop._online)]} == {
            "a",
            "b",
        }


def test_in_real_time_nobody_waits():
    loop = loop_with(transitions=recording(2, 10))
    assert loop.step_limit(123) == UNLIMITED
    loop._critic_updates = 10**9
    assert loop.ready()


def test_status_tells_what_was_done():
    loop = loop_with(transitions=recording(3, 10))
    loop.ingest(recording(3, 10)[4])
    for i in range(3):
        loop.step(0.5 * i)
    status = loop.status("training", 1.0)
    assert (status.critic_updates, status.actor_updates, status.policy_version) == (6, 3, 4)
    assert status.update_rate == pytest.approx(4.0)
    assert status.update_to_data == pytest.approx(6 / 20)
    # Every episode pays 1 at its tenth step: the mean of 0.97^0 ... 0.97^9.
    assert status.return_mean == pytest.approx(np.mean(0.97 ** np.arange(10)))
    assert status.target_entropy == -1.0 and math.isfinite(status.q_mean)
    assert loop.policy_weights(0.0).version == 4


def test_prefetching_does_not_hide_a_step():
    loop = loop_with(transitions=recording(3, 10))
    first = loop.policy_weights(0.0).checksum
    loop.step(0.0)
    assert loop.policy_weights(0.0).checksum != first


def test_the_next_batches_are_drawn_while_an_update_runs(monkeypatch):
    loop = loop_with(transitions=recording(3, 10))
    order = []
    update, get, sample = rlpd.update, jax.device_get, loop._sampler.sample
    monkeypatch.setattr(rlpd, "update", lambda *given: order.append("update") or update(*given))
    monkeypatch.setattr(jax, "device_get", lambda given: order.append("wait") or get(given))
    monkeypatch.setattr(loop._sampler, "sample", lambda *given: order.append("draw") or sample(*given))
    for i in range(3):
        loop.step(float(i))
    # From the second call on, an update finds its batches drawn, and the next are drawn before anything is waited for.
    assert order == ["draw", "update", "draw", "update", "draw", "wait", "update", "draw", "wait"]


def test_the_host_stays_one_update_ahead_of_the_device(monkeypatch):
    loop = loop_with(transitions=recording(3, 10))
    order = []
    update, get = rlpd.update, jax.device_get
    monkeypatch.setattr(rlpd, "update", lambda *given: order.append("update") or update(*given))
    monkeypatch.setattr(jax, "device_get", lambda given: order.append("wait") or get(given))
    for i in range(3):
        loop.step(float(i))
    assert order == ["update", "update", "wait", "update", "wait"]
    assert loop.metrics["skipped"] == 0 and order[-1] == "wait" and len(order) == 6
    assert loop.metrics == loop.metrics and len(order) == 6


def test_figures_are_written_at_the_update_that_they_are_of(tmp_path, monkeypatch):
    loop = loop_with(tmp_path, recording(3, 10))
    written = {}
    monkeypatch.setattr(loop._writer, "write", lambda values, step: written.update({step: values}))
    seen = {}
    for i in range(21):
        loop.step(float(i))
        if (i + 1) % 10 == 0:
            seen[2 * (i + 1)] = {f"learner/{name}": value for name, value in loop.metrics.items()}
    loop.close()
    assert written == seen and list(written) == [20, 40]


def test_rates_count_recent_events_only():
    meter = RateMeter(2.0)
    assert meter.rate(0.0) == 0.0
    for i in range(11):
        meter.add(8, i * 0.5)
    assert meter.rate(5.0) == pytest.approx(16.0)
    assert meter.rate(20.0) == 0.0


def test_a_rate_is_read_while_another_thread_adds():
    meter, done, usual = RateMeter(200.0), threading.Event(), sys.getswitchinterval()

    def add():
        for now in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
            meter.add(1, float(now))

    adding = threading.Thread(target=add)
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        adding.start()
        for _ in range(2000):
            meter.rate(meter._marks[-1][0] if meter._marks else 0.0)
    finally:
        done.set()
        adding.join()
        sys.setswitchinterval(usual)
    assert meter.rate(meter._marks[-1][0]) == pytest.approx(1.0)


def test_training_ends_after_too_many_skipped_updates_and_keeps_what_was_good(tmp_path):
    config = dataclasses.replace(CONFIG, max_skipped_in_row=3)
    loop = TrainingLoop(SPEC, config, AGENT, tmp_path, 0)
    for each in recording(2, 10):
        loop.ingest(each)
    for i in range(3):
        loop.step(float(i))
    loop.save(0.0)
    good = jax.tree.map(np.array, loop._state)
    rewards = loop._online._rows["reward"]
    sound = rewards.copy()
    for poison, calls in ((np.nan, 2), (0.0, 2), (np.inf, 10)):
        rewards[:] = sound + poison
        loop._prefetched = None
        if poison == np.inf:
            with pytest.raises(SerlError, match="3 updates in a row") as caught:
                for i in range(calls):
                    loop.step(float(i))
                    loop._prefetched = None
            assert "\n" not in str(caught.value) and i == 3  # the figures of a call come with the next
        else:
            for i in range(calls):
                loop.step(float(i))
                loop._prefetched = None
    assert loop.status("done", 0.0).skipped_updates >= 5
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loop._state.critic))
    loop.close()
    kept = loop_with()
    kept.restore(tmp_path)
    for a, b in zip(jax.tree.leaves(good), jax.tree.leaves(kept._state), strict=True):
        assert np.array_equal(a, b)


def test_a_loop_keeps_to_its_memory(tmp_path):
    config = dataclasses.replace(CONFIG, replay_gigabytes=2e-4, replay_folder="replay")
    loop = TrainingLoop(SPEC, config, AGENT, tmp_path, 0)
    assert loop._online.nbytes + loop._demo.nbytes <= 2e5
    assert loop._online.capacity == loop._demo.capacity and 100 < loop._online.capacity < 1000
    assert f"{loop._online.capacity} online" in loop.replay_size() and "in replay" in loop.replay_size()
    for each in recording(100, 10):
        loop.ingest(each)
    assert loop.ready() and len(loop._online) == loop._online.capacity
    loop.step(0.0)
    loop.close()
    unlimited = loop_with()
    assert (unlimited._online.capacity, unlimited._demo.capacity) == (1000, 1000)
    outside = dataclasses.replace(CONFIG, replay_folder="../elsewhere")
    with pytest.raises(ConfigError, match="not inside the run folder"):
        TrainingLoop(SPEC, outside, AGENT, tmp_path, 0)


def test_n_steps_reach_the_critics():
    """The mean target of constant rewards is what n steps of them are worth, less what the critics add."""
    worth = {}
    for n_step in (1, 4):
        agent = dataclasses.replace(AGENT, n_step=n_step, reward_bias=1.0)
        loop = loop_with(transitions=recording(20, 10), agent=agent)
        batch = loop._sample()
        worth[n_step] = float(np.mean(batch["reward"] + 1.0))
        loop.step(0.0)
        assert math.isfinite(loop.metrics["critic_loss"])
    assert worth[4] > 2.0 * worth[1]
    with pytest.raises(ConfigError, match="n_step must be 1"):
        dataclasses.replace(AGENT, n_step=2, gripper_indices=(1,))


def test_points_go_to_weights_and_biases_when_asked(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, wandb_project="insertion")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb") as caught:
        TrainingLoop(SPEC, config, AGENT, tmp_path / "run", 0)
    assert "\n" not in str(caught.value)
    begun, points, ended = [], [], []
    session = types.SimpleNamespace(log=points.append, finish=lambda: ended.append(True))
    fake = types.SimpleNamespace(init=lambda **given: begun.append(given) or session)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    loop = TrainingLoop(SPEC, config, AGENT, tmp_path / "run", 0)
    loop.write_metrics({"episode/success": 1.0})
    loop.close()
    assert begun[0]["project"] == "insertion" and begun[0]["name"] == "run" and begun[0]["resume"] == "allow"
    assert points == [{"episode/success": 1.0, "critic_updates": 0}] and ended == [True]
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    for folder in (tmp_path / "run", tmp_path / "other" / "run"):
        TrainingLoop(SPEC, config, AGENT, folder, 0).close()
    first, resumed, elsewhere = (given["id"] for given in begun)
    assert first == resumed != elsewhere, "a run goes on as itself, and as no other of its name"

    def refuse(**given):
        raise RuntimeError("no key\nlog in")

    fake.init = refuse
    with pytest.raises(SerlError, match="cannot begin a run in 'insertion': no key log in"):
        TrainingLoop(SPEC, config, AGENT, tmp_path / "run", 0)


@pytest.mark.parametrize("bad", ["rank", "size"])
def test_a_batch_of_another_shape_is_one_line(bad):
    loop = loop_with(transitions=recording(3, 10))
    batches = loop._sample()
    batches["action"] = batches["action"][..., :1] if bad == "size" else batches["action"][0]
    loop._prefetched = batches
    with pytest.raises(SchemaError, match="action must have shape") as caught:
        loop.step(0.0)
    assert "\n" not in str(caught.value)

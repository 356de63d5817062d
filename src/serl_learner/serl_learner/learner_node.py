# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the learner: transitions to disk and into the loop, weights out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

from serl_core import codec, contract
from serl_core.errors import BagError
from serl_core.memory import share_arenas
from serl_core.shell_node import ShellNode, run
from serl_core.specs import EnvSpec
from serl_core.types import TransitionAck
from serl_learner.agents.config import AGENTS
from serl_learner.bag.labels import LabelFile
from serl_learner.config import LearnerConfig
from serl_learner.recorder_node import ACK_SECONDS
from serl_learner.recording import Recording
from serl_learner.resume import fill_demos, resume_run
from serl_learner.training_loop import LoopConfig, TrainingLoop

IDLE_SECONDS = 0.005
COMPILING_SECONDS = 1.0
"""How long `stop` waits for networks that are still being compiled."""


class LearnerNode(ShellNode):
    """Receives in the executor's thread, learns in a thread of its own."""

    stops_for_good = True  # its bag is finished then, and nobody describes an environment to it again

    def __init__(self) -> None:
        super().__init__("learner")
        self._described: list[tuple[str, EnvSpec]] = []
        self._recording: Recording | None = None
        self._loop: TrainingLoop | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._phase = "waiting"
        self._labels: LabelFile | None = None

    def setup(self) -> None:
        """Read parameters and connect the topics."""
        self._config = self.config(LearnerConfig)
        self._loop_config = self.config(LoopConfig)
        self._agent = self.config(AGENTS[self._config.agent])
        self._acks = self._to_robots(contract.TRANSITION_ACK)
        self._policies = self._to_robots(contract.POLICY)
        self._status = contract.publisher(self, contract.LEARNER_STATUS)
        self._from_robots(contract.ENV_DESCRIPTION, self._on_description)
        self._from_robots(contract.TRANSITION, self._on_transition, raw=True)
        self._from_robots(contract.EPISODE, self._on_episode, raw=True)
        self._from_robots(contract.CONTROLLER_STATE, self._on_controller_state, raw=True)
        self.create_timer(ACK_SECONDS, self.guarded(self._acknowledge))
        self.create_timer(1.0, self.guarded(self._publish_status))
        self.create_timer(1.0, self.guarded(self._heed_people))

    def start(self) -> None:
        """Begin to learn as soon as an environment describes itself."""
        self._thread = threading.Thread(target=self.guarded(self._learn), name="learn", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the bag, which is quick, then the present update, and save."""
        self._stop.set()
        self._close_recording()
        if self._thread is not None:
            # Before the loop is ready there is nothing to save, and a compilation cannot be interrupted.
            self._thread.join(timeout=None if self._loop is not None else COMPILING_SECONDS)
            self._thread = None

    def release(self) -> None:
        """Finish checkpoints and TensorBoard events."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        self._close_recording()

    def diagnostics(self) -> dict[str, Any]:
        """Counts of the intake."""
        figures = self._recording.figures() if self._recording is not None else {}
        return {"phase": self._phase, **figures}

    # Every robot's topics.

    def _to_robots(self, topic: contract.Topic) -> list[Any]:
        return [contract.publisher(self, own) for own in contract.of_each(self._config.robots, topic)]

    def _from_robots(self, topic: contract.Topic, callback: Callable[[Any], None], raw: bool = False) -> None:
        for own in contract.of_each(self._config.robots, topic):
            contract.subscription(self, own, self.guarded(callback), raw=raw)

    def _send_ack(self, ack: TransitionAck) -> None:
        message = codec.to_ack(ack)
        for publisher in self._acks:
            publisher.publish(message)

    # The executor's thread.

    def _on_description(self, message: Any) -> None:
        described = (message.env_id, codec.from_description(message))
        self._described.append(described)
        if self._recording is not None:
            self._recording.greet(*described)

    def _on_transition(self, cdr: bytes) -> None:
        recording = self._recording
        if recording is None:
            return  # the environment sends it again
        message = deserialize_message(cdr, contract.TRANSITION.type)
        if not recording.expects(message.env_id):
            return
        transition = codec.from_transition(recording.spec, message)
        receipt = recording.receive(transition, time.time_ns(), cdr)
        if receipt.new and self._loop is not None:
            self._loop.ingest(transition)
        self._send_ack(receipt.ack)

    def _on_episode(self, cdr: bytes) -> None:
        if self._recording is None or self._loop is None:
            return
        self._recording.keep(contract.EPISODE.name, time.time_ns(), cdr)
        episode = codec.from_episode(deserialize_message(cdr, contract.EPISODE.type))
        figures = {"success": float(episode.success), "steps": episode.steps, "duration_s": episode.duration,
                   "peak_force_n": episode.peak_force, "human_steps": episode.human_steps,
                   "interventions": episode.interventions,
                   "longest_intervention_steps": max(episode.intervention_steps, default=0)}  # fmt: skip
        self._loop.write_metrics({f"episode/{name}": float(value) for name, value in figures.items()})

    def _on_controller_state(self, cdr: bytes) -> None:
        if self._recording is not None:
            self._recording.keep(contract.CONTROLLER_STATE.name, time.time_ns(), cdr)

    def _acknowledge(self) -> None:
        recording = self._recording
        for ack in recording.acks() if recording is not None else ():
            self._send_ack(ack)

    def _publish_status(self) -> None:
        if self._loop is None or self._recording is None:
            return
        message = codec.to_learner_status(self._loop.status(self._phase, time.monotonic()), time.time())
        self._status.publish(message)
        self._recording.keep(contract.LEARNER_STATUS.name, time.time_ns(), serialize_message(message))

    def _heed_people(self) -> None:
        if self._loop is None or self._labels is None:
            return
        try:
            changed = self._loop.relabel(self._labels.read().episodes)
        except BagError as error:
            self.get_logger().warning(f"labels not heeded: {error}")
            return
        if changed:
            self.get_logger().info(f"episodes relabelled as people judged them: {changed}")

    # The learning thread.

    def _learn(self) -> None:
        loop = self._begin()
        if loop is None:
            return
        saved = time.monotonic()
        updates = 0
        while not self._stop.is_set():
            if not loop.ready():
                self._phase = "waiting" if loop.critic_updates == 0 else self._phase
                time.sleep(IDLE_SECONDS)
                continue
            self._phase = "training"
            loop.step(time.monotonic())
            updates += 1
            if updates % self._config.publish_updates == 0:
                self._publish_policy(loop)
            self._acknowledge()  # the step limit has risen
            if time.monotonic() - saved > self._config.checkpoint_minutes * 60.0:
                loop.save(time.time())
                saved = time.monotonic()
        self._phase = "saving"
        loop.save(time.time())
        self._phase = "done"

    def _begin(self) -> TrainingLoop | None:
        """Build the loop for the environment that described itself; take up what the run folder holds."""
        while not self._described:
            if self._stop.wait(0.1):
                return None
        spec = self._described[0][1]
        out = Path(self._config.out)
        pace = float(self._agent.utd_ratio) if self._config.pace else 0.0
        loop = TrainingLoop(spec, self._loop_config, self._agent, out, self._config.seed, pace)
        self.get_logger().info(loop.replay_size())
        if self._config.demos:
            fill_demos(loop, Path(self._config.demos), self.get_logger().warning)
        known = resume_run(loop, out, self.get_logger().warning)
        loop.pretrain()
        loop.warm_up()
        self._loop = loop
        self._publish_policy(loop)
        facts = {"seed": self._config.seed}
        recording = Recording(out / "bag", spec, time.time_ns(), loop.step_limit, known, facts)
        self._recording = recording  # from here on, who describes itself is greeted there
        for described in self._described:
            recording.greet(*described)
        self._labels = LabelFile(out / "bag")
        return loop

    def _close_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.close()

    def _publish_policy(self, loop: TrainingLoop) -> None:
        message = serialize_message(codec.to_weights(loop.policy_weights(time.time())))  # once for all robots
        for publisher in self._policies:
            publisher.publish(message)


def main() -> None:
    """Run the learner."""
    share_arenas()
    run(LearnerNode)


if __name__ == "__main__":
    main()

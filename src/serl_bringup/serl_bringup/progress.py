# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the person at the terminal sees of a run while it goes on."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from serl_bringup.statistics import WINDOW, duration_text, mean_interval, moving_rate
from serl_core.types import EpisodeSummary, LearnerStatus

NAN = float("nan")
PLAIN_PERIOD_S = 10.0
"""Without a terminal, one line is printed this often [s], and whenever a stage begins."""

_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"ok": "green", "watch": "yellow", "bad": "bold red"}


@dataclass(frozen=True)
class RunStatus:
    """A run at one instant.

    Attributes:
        stage: What is being done, e.g. "training".
        stage_index, stages: It is the stage_index-th (from 1) of so many; 0: not told.
        episodes: Summaries of the stage's finished episodes, the oldest first.
        learner: The learner's last pulse; None where none learns.
        elapsed_s, time_left_s: Time since the stage began, and estimate of what is left [s]; NaN: unknown.
        fraction: Share of the stage that is done, in [0, 1].
        env_steps_per_s: Rate of environment steps [1/s]; NaN: `Progress` works it out.
        health: The health line; empty: judged by `health_line`.
        warning: The last warning; empty: none.
    """

    stage: str
    stage_index: int = 0
    stages: int = 0
    episodes: Sequence[EpisodeSummary] = ()
    learner: LearnerStatus | None = None
    elapsed_s: float = 0.0
    time_left_s: float = NAN
    fraction: float = 0.0
    env_steps_per_s: float = NAN
    health: str = ""
    warning: str = ""

    @property
    def successes(self) -> list[bool]:
        """Outcome of every episode."""
        return [episode.success for episode in self.episodes]

    @property
    def recent_success(self) -> float:
        """Rate of success over the last `WINDOW` episodes; NaN before the first."""
        recent = self.successes[-WINDOW:]
        return sum(recent) / len(recent) if recent else NAN

    @property
    def cycle_time_s(self) -> float:
        """Mean duration of the last `WINDOW` successes [s]; NaN before the first."""
        return mean_interval([e.duration for e in self.episodes if e.success][-WINDOW:])[0]

    @property
    def interventions(self) -> int:
        """Takeovers by the operator."""
        return sum(episode.interventions for episode in self.episodes)

    @property
    def env_steps(self) -> int:
        """Steps of finished episodes, or those that the learner has stored, whichever is more."""
        return max(sum(e.steps for e in self.episodes), self.learner.env_steps if self.learner else 0)

    @property
    def policy_version(self) -> int:
        """Version of the policy last published, or else last acted by."""
        if self.learner is not None:
            return self.learner.policy_version
        return self.episodes[-1].policy_version if self.episodes else 0


def health_line(status: RunStatus) -> str:
    """Judge a training run in words: "ok: ...", "watch: ..." or "bad: ..." with figures and the reason.

    Empty where nobody learns.

    Looked at are the reward rate, the reward against the truth where that is known, Q against the return (RLPD must
    not overestimate) and the entropy against its target (the temperature adapts until they agree). The worst
    finding gives the verdict.
    """
    if status.learner is None:
        return ""
    judged = (
        _judge_reward(status.episodes),
        _judge_truth(status.episodes),
        _judge_q(status.learner),
        _judge_entropy(status.learner),
        _judge_updates(status.learner),
    )
    findings = [finding for finding in judged if finding is not None]
    if not findings:
        return "ok: nothing to judge yet"
    verdict = max((level for level, _ in findings), key=list(_STYLES).index)
    return f"{verdict}: " + "; ".join(text for _, text in findings)


def _judge_reward(episodes: Sequence[EpisodeSummary]) -> tuple[str, str] | None:
    if not episodes:
        return None
    recent = episodes[-WINDOW:]
    earned = sum(episode.undiscounted_return for episode in recent)
    rate = earned / max(sum(episode.steps for episode in recent), 1)
    text = f"reward {rate:.3g} a step"
    if earned != 0.0:
        return "ok", text
    if len(episodes) >= 100:
        return (
            "bad",
            f"no reward in the last {WINDOW} of {len(episodes)} episodes: are demonstrations and reward right?",
        )
    return "watch" if len(episodes) >= WINDOW else "ok", f"no reward yet in {len(episodes)} episodes"


def _judge_truth(episodes: Sequence[EpisodeSummary]) -> tuple[str, str] | None:
    recent = episodes[-WINDOW:]
    fooled = sum(episode.fooled for episode in recent)
    # One may be a tolerance at its edge; most of what was paid is a policy that learns to fool its reward.
    if fooled < 2:
        return None
    paid = sum(episode.success for episode in recent)
    text = f"{fooled} of the last {len(recent)} episodes were rewarded without having achieved the task"
    return "bad" if 2 * fooled > paid else "watch", text


def _judge_q(learner: LearnerStatus) -> tuple[str, str] | None:
    q, earned = learner.q_mean, learner.return_mean
    if math.isinf(q) or (math.isnan(q) and learner.critic_updates > 0):
        return "bad", f"Q is {q}: the critic has diverged"
    if math.isnan(q):
        return None
    if not math.isfinite(earned):
        return "ok", f"Q {q:.2f}"
    text = f"Q {q:.2f} for a return of {earned:.2f}"
    # Q averages over batches, half demonstrations, the return over recent episodes: only a large gap tells.
    excess = (q - earned) / max(abs(earned), 1.0)
    if excess > 3.0:
        return "bad", f"{text}: the critic overestimates far"
    if excess > 1.0:
        return "watch", f"{text}: the critic is optimistic"
    return "ok", text


def _judge_entropy(learner: LearnerStatus) -> tuple[str, str] | None:
    entropy, target = learner.entropy, learner.target_entropy
    if not math.isfinite(entropy) or not math.isfinite(target):
        return None
    text = f"entropy {entropy:.1f} for a target of {target:.1f}"
    scale = max(abs(target), 1.0)
    if entropy < target - 2.0 * scale:
        return "bad", f"{text}: exploration has collapsed"
    if entropy < target - 0.5 * scale:
        return "watch", f"{text}: it explores little"
    if entropy > target + 3.0 * scale:
        return "watch", f"{text}: still close to random"
    return "ok", text


def _judge_updates(learner: LearnerStatus) -> tuple[str, str] | None:
    if not learner.skipped_updates:
        return None
    return "watch", f"{learner.skipped_updates} updates skipped for gradients that were not finite"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Draw values in [0, 1] as bars, at most `width` of them, each the mean of its share of the values."""
    if not values or width < 1:
        return ""
    n = min(width, len(values))
    edges = [round(i * len(values) / n) for i in range(n + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    return "".join(_BARS[round(min(max(mean, 0.0), 1.0) * (len(_BARS) - 1))] for mean in means)


class Progress:
    """Live display of a run: a panel on a terminal, a line now and then elsewhere, nothing when quiet.

    Args:
        console: Where to draw.
        quiet: Show nothing.
        clock: Monotonic time [s].
    """

    def __init__(
        self, console: Console, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._quiet, self._clock = console, quiet, clock
        self._live: Live | None = None
        self._last_line, self._last_stage = -math.inf, ""
        self._steps: deque[tuple[float, int]] = deque()

    def __enter__(self) -> Progress:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, status: RunStatus) -> None:
        """Show the status."""
        if self._quiet:
            return
        now = self._clock()
        new_stage = status.stage != self._last_stage
        if math.isnan(status.env_steps_per_s):
            status = dataclasses.replace(
                status, env_steps_per_s=self._step_rate(now, status.env_steps, new_stage)
            )
        if self._live is not None:
            self._last_stage = status.stage
            self._live.update(render(status))
        elif new_stage or now - self._last_line >= PLAIN_PERIOD_S:
            self._last_line, self._last_stage = now, status.stage
            self._print(plain_line(status))

    def note(self, text: str) -> None:
        """Print a line that stays, above the panel where there is one."""
        if not self._quiet:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _step_rate(self, now: float, steps: int, new_stage: bool) -> float:
        """Return steps a second over the last 30 s; NaN before two different times are known."""
        if new_stage or (self._steps and steps < self._steps[-1][1]):
            self._steps.clear()
        self._steps.append((now, steps))
        while len(self._steps) > 2 and now - self._steps[0][0] > 30.0:
            self._steps.popleft()
        began, first = self._steps[0]
        return (steps - first) / (now - began) if now > began else NAN


def plain_line(status: RunStatus) -> str:
    """Return the status as one line of text."""
    place = f"{status.stage_index}/{status.stages} " if status.stages else ""
    parts = [
        f"[{place}{status.stage} {status.fraction:.0%}] {status.env_steps} steps",
        f"{len(status.episodes)} episodes",
    ]
    if status.learner is not None:
        parts.append(f"{status.learner.critic_updates} updates")
    if status.successes:
        parts.append(f"success {status.recent_success:.0%} of last {min(len(status.successes), WINDOW)}")
    if math.isfinite(status.cycle_time_s):
        parts.append(f"cycle {status.cycle_time_s:.1f} s")
    parts.append(f"elapsed {duration_text(status.elapsed_s)}")
    if math.isfinite(status.time_left_s):
        parts.append(f"left {duration_text(status.time_left_s)}")
    if health := status.health or health_line(status):
        parts.append(health)
    if status.warning:
        parts.append(f"warning: {status.warning}")
    return ", ".join(parts)


def render(status: RunStatus) -> RenderableType:
    """Return the panel shown on a terminal."""
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    head.add_row(
        f"[bold]{escape(status.stage)}[/]"
        + (f" ({status.stage_index} of {status.stages})" if status.stages else ""),
        ProgressBar(total=1.0, completed=min(max(status.fraction, 0.0), 1.0)),
        f"{status.fraction:.0%}  {duration_text(status.elapsed_s)} elapsed"
        + (f", {duration_text(status.time_left_s)} left" if math.isfinite(status.time_left_s) else ""),
    )
    figures = Table.grid(expand=True, padding=(0, 2))
    for _ in range(3):
        figures.add_column(style="dim", no_wrap=True)
        figures.add_column(justify="right", no_wrap=True, ratio=1)
    learner = status.learner or LearnerStatus("", "", update_rate=NAN, update_to_data=NAN)
    figures.add_row(
        "environment steps", f"{status.env_steps:,}", "episodes", f"{len(status.episodes):,}",
        "critic updates", f"{learner.critic_updates:,}",
    )  # fmt: skip
    figures.add_row(
        "steps/s", _number(status.env_steps_per_s, ".1f"), "updates/s", _number(learner.update_rate, ".0f"),
        "update-to-data", _number(learner.update_to_data, ".1f"),
    )  # fmt: skip
    figures.add_row(
        "cycle time", _number(status.cycle_time_s, ".1f", " s"), "interventions", str(status.interventions),
        "policy version", str(status.policy_version),
    )  # fmt: skip
    rate = _number(status.recent_success, ".0%")
    success = Text.assemble((f"success over the last {WINDOW}  ", "dim"), (rate, "bold"), "  ")
    success.append(sparkline(moving_rate(status.successes)), "cyan")
    lines: list[RenderableType] = [head, figures, success]
    if health := status.health or health_line(status):
        lines.append(Text.assemble(("health  ", "dim"), (health, _STYLES.get(health.partition(":")[0], ""))))
    if status.warning:
        lines.append(Text(f"warning: {status.warning}", "yellow"))
    return Panel(Group(*lines), border_style="dim")


def _number(value: float, form: str, unit: str = "") -> str:
    return format(value, form) + unit if math.isfinite(value) else "-"

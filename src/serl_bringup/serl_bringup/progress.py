# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the person at the terminal sees of a run while it goes on."""

from __future__ import annotations

import math
import time
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

from serl_bringup.statistics import duration_text, moving_rate

NAN = float("nan")
PLAIN_PERIOD_S = 10.0
"""Without a terminal, one line is printed this often [s], and whenever a stage begins."""

_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"ok": "green", "watch": "yellow", "bad": "bold red"}


@dataclass(frozen=True)
class RunStatus:
    """A run at one instant; NaN where there is nothing to tell yet.

    Attributes:
        stage: What is being done, e.g. "training".
        stage_index, stages: It is the stage_index-th (from 1) of so many.
        env_steps, episodes, updates: Counts; `updates` are critic updates.
        updates_per_s, env_steps_per_s: Rates [1/s].
        successes: Outcome of every episode so far, the oldest first.
        cycle_time_s: Mean duration of the last successful episodes [s].
        interventions: Takeovers by the operator.
        policy_version: Version of the policy that acts.
        utd: Critic updates per environment step.
        elapsed_s, left_s: Time since the run began, and the estimate of what is left [s].
        fraction: Share of the stage that is done, in [0, 1].
        reward_rate: Share of recent episodes that earned their reward, in [0, 1].
        q_mean, return_mean: Mean Q of a batch, and mean discounted return of recent episodes.
        entropy, target_entropy: Of the policy [nat].
        health: The health line; empty: judged from the figures by `health_line`.
        warning: The last warning; empty: none.
    """

    stage: str
    stage_index: int = 1
    stages: int = 1
    env_steps: int = 0
    episodes: int = 0
    updates: int = 0
    updates_per_s: float = NAN
    env_steps_per_s: float = NAN
    successes: Sequence[bool] = ()
    cycle_time_s: float = NAN
    interventions: int = 0
    policy_version: int = 0
    utd: float = NAN
    elapsed_s: float = 0.0
    left_s: float = NAN
    fraction: float = 0.0
    reward_rate: float = NAN
    q_mean: float = NAN
    return_mean: float = NAN
    entropy: float = NAN
    target_entropy: float = NAN
    health: str = ""
    warning: str = ""

    @property
    def success_last_20(self) -> float:
        """Rate of success over the last 20 episodes; NaN before the first."""
        recent = self.successes[-20:]
        return sum(recent) / len(recent) if recent else NAN


def health_line(status: RunStatus) -> str:
    """Judge a training run in words: "ok: ...", "watch: ..." or "bad: ..." with figures and the reason.

    Looked at are the reward rate, Q against the return (RLPD must not overestimate) and the entropy against its
    target (the temperature adapts until they agree). The worst finding gives the verdict.
    """
    findings = [finding for judge in (_judge_reward, _judge_q, _judge_entropy) if (finding := judge(status))]
    if not findings:
        return "ok: nothing to judge yet"
    verdict = max((level for level, _ in findings), key=list(_STYLES).index)
    return f"{verdict}: " + "; ".join(text for _, text in findings)


def _judge_reward(status: RunStatus) -> tuple[str, str] | None:
    if not math.isfinite(status.reward_rate):
        return None
    text = f"reward in {status.reward_rate:.0%} of episodes"
    if status.reward_rate > 0.0:
        return "ok", text
    if status.episodes >= 100:
        return "bad", f"{text} after {status.episodes}: are the demonstrations and the reward right?"
    return ("watch", f"{text} so far") if status.episodes >= 20 else ("ok", f"{text} so far")


def _judge_q(status: RunStatus) -> tuple[str, str] | None:
    q, earned = status.q_mean, status.return_mean
    if math.isinf(q) or (math.isnan(q) and status.updates > 0 and math.isfinite(earned)):
        return "bad", f"Q is {q}: the critic has diverged"
    if not math.isfinite(q):
        return None
    if not math.isfinite(earned):
        return "ok", f"Q {q:.2f}"
    text = f"Q {q:.2f} for a return of {earned:.2f}"
    # Q averages over batches, half of them demonstrations, the return over recent episodes: only a large gap tells.
    excess = (q - earned) / max(abs(earned), 1.0)
    if excess > 3.0:
        return "bad", f"{text}: the critic overestimates far"
    if excess > 1.0:
        return "watch", f"{text}: the critic is optimistic"
    return "ok", text


def _judge_entropy(status: RunStatus) -> tuple[str, str] | None:
    entropy, target = status.entropy, status.target_entropy
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


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Draw values in [0, 1] as bars, at most `width` of them, each the mean of its share of the values."""
    if not values or width < 1:
        return ""
    n = min(width, len(values))
    edges = [round(i * len(values) / n) for i in range(n + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:])]
    return "".join(_BARS[round(min(max(mean, 0.0), 1.0) * (len(_BARS) - 1))] for mean in means)


class Progress:
    """Live display of a run: a panel on a terminal, a line now and then elsewhere, nothing when quiet.

    Args:
        console: Where to draw.
        quiet: Show nothing.
        clock: Monotonic time [s].
    """

    def __init__(self, console: Console, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._quiet, self._clock = console, quiet, clock
        self._live: Live | None = None
        self._last_line, self._last_stage = -math.inf, ""

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
        if self._live is not None:
            self._live.update(render(status))
            return
        now = self._clock()
        if status.stage != self._last_stage or now - self._last_line >= PLAIN_PERIOD_S:
            self._last_line, self._last_stage = now, status.stage
            self._console.print(plain_line(status), markup=False, highlight=False, soft_wrap=True)


def plain_line(status: RunStatus) -> str:
    """Return the status as one line of text."""
    parts = [
        f"[{status.stage_index}/{status.stages} {status.stage} {status.fraction:.0%}]",
        f"{status.env_steps} steps",
        f"{status.episodes} episodes",
        f"{status.updates} updates",
    ]
    if status.successes:
        parts.append(f"success {status.success_last_20:.0%} of last {min(len(status.successes), 20)}")
    if math.isfinite(status.cycle_time_s):
        parts.append(f"cycle {status.cycle_time_s:.1f} s")
    parts.append(f"elapsed {duration_text(status.elapsed_s)}")
    if math.isfinite(status.left_s):
        parts.append(f"left {duration_text(status.left_s)}")
    if math.isfinite(status.q_mean) or status.health:
        parts.append(status.health or health_line(status))
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
        f"[bold]{escape(status.stage)}[/] ({status.stage_index} of {status.stages})",
        ProgressBar(total=1.0, completed=min(max(status.fraction, 0.0), 1.0)),
        f"{status.fraction:.0%}  {duration_text(status.elapsed_s)} elapsed, {duration_text(status.left_s)} left",
    )
    figures = Table.grid(expand=True, padding=(0, 2))
    for _ in range(3):
        figures.add_column(style="dim", no_wrap=True)
        figures.add_column(justify="right", no_wrap=True, ratio=1)
    figures.add_row(
        "environment steps", f"{status.env_steps:,}", "episodes", f"{status.episodes:,}",
        "critic updates", f"{status.updates:,}",
    )  # fmt: skip
    figures.add_row(
        "steps/s", _number(status.env_steps_per_s, ".1f"), "updates/s", _number(status.updates_per_s, ".0f"),
        "update-to-data", _number(status.utd, ".1f"),
    )  # fmt: skip
    figures.add_row(
        "cycle time", _number(status.cycle_time_s, ".1f", " s"), "interventions", str(status.interventions),
        "policy version", str(status.policy_version),
    )  # fmt: skip
    rate = _number(status.success_last_20, ".0%")
    success = Text.assemble(("success over the last 20  ", "dim"), (rate, "bold"), "  ")
    success.append(sparkline(moving_rate(status.successes)), "cyan")
    health = status.health or health_line(status)
    lines: list[RenderableType] = [head, figures, success]
    lines.append(Text.assemble(("health  ", "dim"), (health, _STYLES.get(health.partition(":")[0], ""))))
    if status.warning:
        lines.append(Text(f"warning: {status.warning}", "yellow"))
    return Panel(Group(*lines), border_style="dim")


def _number(value: float, form: str, unit: str = "") -> str:
    return format(value, form) + unit if math.isfinite(value) else "-"

"""What a user sees of a sweep: a live table on a terminal, a line per run elsewhere."""

import time
from collections.abc import Sequence
from statistics import mean
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from experiment.live import duration
from sweep.estimate import frames_left
from sweep.plan import RunPlan
from sweep.steps import Outcome, is_trained, mean_return

REFRESH_SECONDS = 2.0
PLAIN_INTERVAL_SECONDS = 60.0


class SweepDisplay:
    """Shows where every run stands; use as a context manager.

    Args:
        plans: all runs of the sweep.
    """

    def __init__(self, plans: Sequence[RunPlan]) -> None:
        self.outcomes: dict[RunPlan, Outcome] = {}
        self._plans = plans
        self._frames_at_start = sum(map(frames_left, plans))
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._is_live = self._console.is_terminal
        self._began = time.time()
        self._shown = self._began

    def __enter__(self) -> "SweepDisplay":
        """Starts the display."""
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the last state on screen."""
        if self._is_live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def end(self, plan: RunPlan, outcome: Outcome) -> None:
        """Takes in how a run ended."""
        self.outcomes[plan] = outcome
        if not self._is_live:
            score = mean_return(plan) if outcome.kind in ("finished", "skipped") else None
            said = outcome.cause if score is None else f"mean return {score:.3f}"
            place = f"[{len(self.outcomes)} of {len(self._plans)}]"
            print(f"{place} {plan.name} {outcome.kind} {said}".rstrip(), flush=True)

    def refresh(self) -> None:
        """Shows the present state, where the last one is old enough."""
        interval = REFRESH_SECONDS if self._is_live else PLAIN_INTERVAL_SECONDS
        if time.time() - self._shown < interval:
            return
        self._shown = time.time()
        if self._is_live:
            self._live.update(self._table(), refresh=True)
        else:
            print(self._progress(), flush=True)

    def _table(self) -> Table:
        groups: dict[str, list[RunPlan]] = {}
        for plan in self._plans:
            groups.setdefault(plan.group, []).append(plan)
        table = Table("runs", "seed by seed", "mean return", caption=self._progress())
        for group, plans in groups.items():
            done = [p for p in plans if p in self.outcomes]
            ended = [p for p in done if self.outcomes[p].kind in ("finished", "skipped")]
            scores = [mean_return(p) for p in ended]
            states = " ".join(self._state(plan) for plan in plans)
            table.add_row(group, states, f"{mean(scores):.3f}" if scores else "")
        return table

    def _state(self, plan: RunPlan) -> str:
        if plan in self.outcomes:
            return self.outcomes[plan].kind
        status = plan.path / "status.json"
        if not status.exists() or status.stat().st_mtime < self._began:
            return "waiting"
        if is_trained(plan):
            return "evaluating"
        return f"{1 - frames_left(plan) / plan.config.total_frames:.0%}"

    def _progress(self) -> str:
        elapsed = time.time() - self._began
        left = sum(frames_left(plan) for plan in self._plans if plan not in self.outcomes)
        done = self._frames_at_start - left
        text = f"{len(self.outcomes)} of {len(self._plans)} runs ended after {duration(elapsed)}"
        if 0 < done < self._frames_at_start:
            text += f"; {duration(elapsed * left / done)} to go at the pace so far"
        return text

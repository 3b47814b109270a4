"""The kinds of run that a report reads."""

from collections.abc import Iterable

from comparison.agent_runs import AGENTS
from comparison.run_kind import RunKind
from comparison.sequence_runs import SEQUENCES

KINDS = (AGENTS, SEQUENCES)


def kind_of(settings: Iterable[str]) -> RunKind:
    """Returns the kind of run that has settings of these names; an agent's where none tells."""
    parts = {name.split(".")[0] for name in settings}
    return next((kind for kind in KINDS if kind.sign in parts), AGENTS)

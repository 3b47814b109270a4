"""The families of tasks; each file ends in its spec, and a new family is one more line here."""

from experiment.complaints import close_hint
from sequences.tasks import code_execution, formal, listops, text
from sequences.tasks.base import (
    NO_ANSWER,
    SPLITS,
    Example,
    Split,
    Task,
    TaskSpec,
    examples,
    find_example,
)

__all__ = [
    "NO_ANSWER",
    "SPLITS",
    "TASKS",
    "Example",
    "Split",
    "Task",
    "TaskSpec",
    "examples",
    "find_example",
    "find_task",
]

TASKS: dict[str, TaskSpec] = {
    module.TASK.name: module.TASK for module in (listops, code_execution, formal, text)
}


def find_task(name: str) -> TaskSpec:
    """Returns the family of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in TASKS:
        hint = close_hint(name, TASKS)
        raise ValueError(f"unknown task {name!r}; choose one of {', '.join(TASKS)}{hint}")
    return TASKS[name]

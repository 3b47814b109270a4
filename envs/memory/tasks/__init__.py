"""The memory tasks by name; a file holds the tasks that ask for one kind of memory."""

from collections.abc import Callable
from functools import partial

from envs.config import EnvConfig
from envs.memory.tasks.base import NO_QUESTION, Task, Tile
from envs.memory.tasks.bind import key_value
from envs.memory.tasks.control import control
from envs.memory.tasks.keep import memory_length, tmaze
from envs.memory.tasks.order import repeat_previous
from envs.memory.tasks.rewrite import endless_tmaze
from envs.memory.tasks.track import parity, word_problem

__all__ = ["KINDS", "NO_QUESTION", "TASKS", "Task", "Tile"]

KINDS: dict[str, dict[str, Callable[[EnvConfig], Task]]] = {
    "keep": {"tmaze": tmaze, "memory_length": memory_length},
    "rewrite": {"endless_tmaze": endless_tmaze},
    "order": {"repeat_previous": repeat_previous},
    "bind": {"key_value": key_value},
    "track": {
        "parity": parity,
        "word_problem_s3": partial(word_problem, 3),
        "word_problem_s5": partial(word_problem, 5),
    },
    "": {"control": control},
}
"""Memory tasks by the kind of memory that they ask for."""

TASKS = {name: make for tasks in KINDS.values() for name, make in tasks.items()}

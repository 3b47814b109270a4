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

__all__ = ["NO_QUESTION", "TASKS", "Task", "Tile"]

TASKS: dict[str, Callable[[EnvConfig], Task]] = {
    "tmaze": tmaze,
    "memory_length": memory_length,
    "endless_tmaze": endless_tmaze,
    "repeat_previous": repeat_previous,
    "key_value": key_value,
    "parity": parity,
    "word_problem_s3": partial(word_problem, 3),
    "word_problem_s5": partial(word_problem, 5),
    "control": control,
}

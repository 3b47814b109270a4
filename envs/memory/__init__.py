"""Memory tasks in NumPy: what a core must remember decides the return, and no emulator is needed.

`tasks.py` says what an episode holds; `env.py` plays B of them at once.
"""

from envs.memory.env import MemoryEnv
from envs.memory.tasks import TASKS

__all__ = ["TASKS", "MemoryEnv"]

"""Settings of an environment: which Atari protocol, which frames, how long a memory task is."""

from dataclasses import dataclass, field
from typing import Literal

PresetName = Literal["default", "paper2021", "impala", "machado2018"]
LifeLoss = Literal["ignore", "zero_discount", "end_episode"]
Backend = Literal["envpool", "gymnasium"]
MAX_SIZES = {"length": 4096, "num_pairs": 256, "k": 4096, "num_values": 256, "num_corridors": 64}
"""Of the memory tasks: a settings file from elsewhere must not ask for all of the memory."""
MAX_THREADS = 1024
"""Where a process cannot begin its threads, envpool ends it without a word."""


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """How the game is played; the fields of other families of games are ignored.

    Args:
        preset: Atari: published protocol (no-ops, FIRE, sticky actions, action set, step limit,
            life loss); see `envs/atari/presets.py` for values and sources.
        life_loss: Atari: what a lost life does; None takes the preset's. `zero_discount` ends
            the return there; `end_episode` also wipes the memory; the emulator goes on always.
        frame_stack: Atari: frames in one observation, 4 or 1.
        frame_size: Atari: height and width of a frame in pixels; 84 as published, 42 is cheaper.
        num_threads: Atari, MiniGrid: threads of envpool; 0 lets envpool choose.
        length: memory tasks: corridor steps of tmaze, at most those of endless_tmaze; steps from
            sign to answer of memory_length; answered or shown steps of the others.
        num_pairs: key_value: key-value pairs shown, and then queried.
        num_values: key_value, repeat_previous, control: distinct values, and so actions.
        k: repeat_previous: steps to look back.
        num_corridors: endless_tmaze: corridors, each with a cue.
    """

    preset: PresetName = "default"
    life_loss: LifeLoss | None = None
    frame_stack: int = 4
    frame_size: int = 84
    num_threads: int = field(default=0, metadata={"role": "incidental"})
    length: int = 20
    num_pairs: int = 4
    num_values: int = 8
    k: int = 4
    num_corridors: int = 8

    def __post_init__(self) -> None:
        if self.frame_stack not in (1, 4):
            raise ValueError(f"frame_stack must be 1 or 4, got {self.frame_stack}")
        if not 16 <= self.frame_size <= 160:
            raise ValueError(f"frame_size must be in 16 to 160 pixels, got {self.frame_size}")
        if not 0 <= self.num_threads <= MAX_THREADS:
            raise ValueError(
                f"env.num_threads must be in 0 to {MAX_THREADS}, got {self.num_threads}"
            )
        for name, most in MAX_SIZES.items():
            least = 2 if name == "num_values" else 1
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be in {least} to {most}, got {getattr(self, name)}")

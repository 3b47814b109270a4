"""The Atari protocols that results have been published under, as data.

What no preset reproduces of the 2021 wrappers: there, losing a life also played no-ops and FIRE,
FIRE lasted a whole agent step, and grey came from OpenCV. Here the emulator goes on after a lost
life, FIRE is one raw frame, and grey comes from the ALE palette.
"""

from dataclasses import dataclass

from envs.config import EnvConfig, LifeLoss, PresetName

FRAME_SKIP = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class AtariPreset:
    """One protocol.

    Args:
        life_loss: what a lost life does, unless the config says otherwise.
        max_episode_steps: step limit in agent steps (`FRAME_SKIP` frames each).
        noop_max: a game begins with 1 to this many raw no-op frames; with FIRE, one fewer.
        fire_reset: one raw frame of FIRE after the no-ops, in games that have FIRE.
        repeat_action_probability: chance per raw frame that the action before repeats.
        full_action_space: all 18 actions instead of the game's own.
    """

    life_loss: LifeLoss
    max_episode_steps: int = 27_000
    noop_max: int = 30
    fire_reset: bool = True
    repeat_action_probability: float = 0.0
    full_action_space: bool = False


PRESETS: dict[PresetName, AtariPreset] = {
    "default": AtariPreset(life_loss="zero_discount"),
    # Irie et al. 2021, Going Beyond Linear Transformers with Recurrent Fast Weight Programmers.
    "paper2021": AtariPreset(life_loss="end_episode", max_episode_steps=100_000),
    # Espeholt et al. 2018, IMPALA (https://arxiv.org/abs/1802.01561).
    "impala": AtariPreset(life_loss="end_episode"),
    # Machado et al. 2018, Revisiting the ALE: 5-minute cap, stickiness in place of no-ops.
    "machado2018": AtariPreset(
        life_loss="ignore",
        max_episode_steps=4_500,
        noop_max=1,
        fire_reset=False,
        repeat_action_probability=0.25,
        full_action_space=True,
    ),
}


def resolve_life_loss(config: EnvConfig) -> LifeLoss:
    """Returns the config's `life_loss`, or its preset's."""
    return config.life_loss or PRESETS[config.preset].life_loss

"""The game itself as a picture: the emulator's screen, a memory task's rows, a MiniGrid's cells."""

from typing import Protocol

from agents.evaluation.player import make_env_of
from agents.evaluation.saved_policy import SavedPolicy
from envs import EnvStep, VecEnv
from envs.gym_atari import GymnasiumAtari
from envs.memory import MemoryEnv
from envs.minigrid import EnvpoolMiniGrid
from watch.canvas import Frame
from watch.grid_picture import draw_grid
from watch.task_picture import Ask, TaskPicture

ATARI_FRAMES_PER_SECOND = 60


class Scene(Protocol):
    """One environment of some family of games, and its picture."""

    action_names: list[str]
    fps: float
    """Steps a second that are comfortable to watch."""
    num_steps: int
    """Steps that the timelines show."""
    episodes: int
    """Games that make a film of some length."""

    @property
    def env(self) -> VecEnv:
        """The environment, which whoever plays steps and closes."""

    def picture(self, step: EnvStep, action: int | None, ask: Ask) -> Frame:
        """Returns the picture of the present row; call it once per row.

        Args:
            step: of one environment.
            action: the policy's answer to it; None where the game is over.
            ask: what the policy would answer to other observations in its present state.
        """


class AtariScene:
    """The emulator's own screen, at the speed of the game."""

    num_steps = 240
    episodes = 1

    def __init__(self, env: GymnasiumAtari) -> None:
        self.env = env
        self.action_names = env.action_names
        self.fps = ATARI_FRAMES_PER_SECOND / env.spec.frame_skip

    def picture(self, step: EnvStep, action: int | None, ask: Ask) -> Frame:
        """Returns the screen [height, width, 3]; see `Scene.picture`."""
        return self.env.screen(0)


class TaskScene:
    """A memory task, slow enough to read along."""

    num_steps = 60
    fps = 2.0
    episodes = 4

    def __init__(self, env: MemoryEnv, picture: TaskPicture) -> None:
        self.env = env
        self.action_names = [f"answer {i}" for i in range(env.spec.num_actions)]
        self._picture = picture

    def picture(self, step: EnvStep, action: int | None, ask: Ask) -> Frame:
        """Returns a drawing; see `Scene.picture`."""
        observation, start = step.observation[0], bool(step.start[0])
        return self._picture.draw(observation, start, action, int(self.env.answers[0]), ask)


class MiniGridScene:
    """The cells in view, slow enough to follow."""

    num_steps = 60
    fps = 4.0
    episodes = 4

    def __init__(self, env: EnvpoolMiniGrid) -> None:
        self.env = env
        self.action_names = [
            "turn left",
            "turn right",
            "forward",
            "pick up",
            "drop",
            "toggle",
            "done",
        ]

    def picture(self, step: EnvStep, action: int | None, ask: Ask) -> Frame:
        """Returns a drawing; see `Scene.picture`."""
        return draw_grid(step.observation[0])


def make_scene(saved: SavedPolicy, seed: int) -> Scene:
    """Returns the scene of a policy's own game.

    Raises:
        ValueError: the game has no picture, or other actions than the policy.
    """
    game, config = saved.spec.game, saved.config.env
    env = make_env_of(saved, 1, seed, "gymnasium")
    if isinstance(env, GymnasiumAtari):
        return AtariScene(env)
    if isinstance(env, MemoryEnv):
        return TaskScene(env, TaskPicture(game, config, env.spec.num_actions))
    if isinstance(env, EnvpoolMiniGrid):
        return MiniGridScene(env)
    raise ValueError(f"there is no picture of {game}: watch shows Atari, MiniGrid and memory tasks")

"""Memory tasks in NumPy: what a core must remember decides the return, and no emulator is needed.

`tasks/` says what an episode holds, `env.py` plays B of them at once, `picture.py` draws one.
"""

from dataclasses import replace

from envs.config import MAX_SIZES, EnvConfig
from envs.family import Family, Scores
from envs.memory.env import MemoryEnv
from envs.memory.tasks import KINDS, TASKS
from envs.scene import Ask, Picture, Scene
from envs.spec import EnvStep


def _scores(game: str, config: EnvConfig) -> Scores:
    task = TASKS[game](config)
    return Scores(floor=task.chance_return, ceiling=task.perfect_return)


def _at_length(game: str, config: EnvConfig, length: int) -> EnvConfig | None:
    """Returns the settings with another length; None where a task's episodes do not heed it."""
    step = 1 if config.length < MAX_SIZES["length"] else -1
    other = replace(config, length=config.length + step)
    if TASKS[game](other).num_steps == TASKS[game](config).num_steps:
        return None
    longer = replace(config, length=length)
    TASKS[game](longer)  # refuses what cannot be
    return longer


def _scene(env: MemoryEnv, config: EnvConfig) -> Scene:
    """Draws the episode so far, slow enough to read along."""
    from envs.memory.picture import TaskPicture

    drawing = TaskPicture(TASKS[env.spec.game](config))

    def picture(step: EnvStep, action: int | None, ask: Ask) -> Picture:
        observation, start = step.observation[0], bool(step.start[0])
        return drawing.draw(observation, start, action, int(env.answers[0]), ask)

    names = [f"answer {i}" for i in range(env.spec.num_actions)]
    return Scene(env=env, picture=picture, action_names=names, fps=2.0)


FAMILY = Family(
    name="memory tasks",
    usage=", ".join(TASKS),
    games=tuple(TASKS),
    canonical=lambda game: game if game in TASKS else None,
    make=MemoryEnv,
    scores=_scores,
    question=lambda game, config: TASKS[game](config).question,
    memory=lambda game: next(kind for kind, tasks in KINDS.items() if game in tasks),
    at_length=_at_length,
    step_limit=lambda game, config: TASKS[game](config).num_steps,
    scene=_scene,
)

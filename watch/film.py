"""Plays games with a saved policy and films them, its memory beside the picture."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from agents.evaluation.board import has_board, show_film
from agents.evaluation.player import Player, make_env_of
from agents.evaluation.results import points
from agents.evaluation.saved_policy import SavedPolicy, load_policy
from envs import FAMILIES, family_of
from envs.canvas import Floats
from envs.scene import Scene
from experiment.files import folder_within, unused_path
from experiment.result_folder import owner_folder
from models.cores import CoreState, core_spec
from models.policy import Policy
from watch.config import WatchConfig
from watch.dashboard import HEIGHT, WIDTH, Dashboard, Moment, refuse_nonfinite
from watch.display import FilmDisplay
from watch.memory_view import MemoryView
from watch.video import FrameSink, check_new_file, png_writer, video_writer


def watch(source: Path, config: WatchConfig) -> Path:
    """Films games of a policy and returns the film's path.

    Args:
        source: run folder, checkpoint or policy.safetensors.
        config: how.

    Raises:
        ValueError: no policy there, no picture of its game, or no place for the film.
    """
    if config.out is not None:
        check_new_file(config.out)
    if config.board and not has_board(source):
        raise ValueError(f"board: training left no TensorBoard with {source}")
    saved = load_policy(source)
    with ExitStack() as stack:
        scene = make_scene(saved, config.seed)
        stack.callback(scene.env.close)
        path = config.out or _default_path(source, saved, config)
        how = "greedy" if config.greedy else "sampled"
        subtitle = f"{saved.config.core.kind} after {saved.frames:,} frames, {how} policy"
        dashboard = Dashboard(saved.spec.game, subtitle, scene.action_names, scene.num_steps)
        sinks: list[FrameSink] = [] if config.frames is None else [png_writer(config.frames)]
        fps, gives_way = config.fps or scene.fps, config.out is None
        film = stack.enter_context(video_writer(path, (WIDTH, HEIGHT), fps, gives_way=gives_way))
        sinks.append(film)
        shown = stack.enter_context(FilmDisplay(f"{saved.spec.game} with {subtitle}, into {path}"))
        for moment in play(saved, scene, config):
            frame = dashboard.draw(moment)
            shown.tell(moment.caption)
            for sink in sinks:
                sink(frame)
    if config.board:
        show_film(source, film.path, saved.frames)
    return film.path


def make_scene(saved: SavedPolicy, seed: int) -> Scene:
    """Makes one environment of a policy's own game, with its picture.

    Raises:
        ValueError: the game has no picture, or other actions or observations than the policy.
    """
    family = family_of(saved.spec.game)
    if family.scene is None:
        shown = ", ".join(family.name for family in FAMILIES if family.scene is not None)
        raise ValueError(f"there is no picture of {saved.spec.game}: watch shows {shown}")
    return family.scene(make_env_of(saved, 1, seed, "gymnasium"), saved.config.env)


@torch.inference_mode()
def play(saved: SavedPolicy, scene: Scene, config: WatchConfig) -> Iterator[Moment]:
    """Plays and yields every row, the last one of each game included.

    Raises:
        ValueError: a number of it is not finite, and cannot be drawn.
    """
    episodes = config.episodes or scene.episodes
    player = Player(saved, 1, config.seed, greedy=config.greedy)
    view = MemoryView(saved.policy.core, core_spec(saved.config.core.kind).state_names)
    games, steps, score = 0, 0, 0.0
    for _ in count() if config.max_steps is None else range(config.max_steps):
        step = scene.env.recv()
        output, chosen = player.act(step)
        memory = view.read(player.state)  # before anything else is asked of the policy
        is_over = not step.valid[0]
        action = None if is_over else int(chosen)
        score += float(step.reward[0])
        probabilities = output.logits[0, 0].softmax(-1).numpy()
        caption = f"game {games + 1}   step {steps}   return {points(score)}"
        refuse_nonfinite(
            caption,
            observation=step.observation,
            reward=step.reward,
            probabilities=probabilities,
            value=output.value.numpy(),
        )
        ask = partial(answers, saved.policy, player.state, player.last_action)
        yield Moment(
            picture=scene.picture(step, action, ask),
            memory=memory,
            probabilities=probabilities,
            action=action,
            value=float(output.value),
            reward=float(step.reward[0]),
            start=bool(step.start[0]),
            caption=caption,
        )
        if is_over:
            games, steps, score = games + 1, 0, 0.0
            if games == episodes:
                break
        else:
            steps += 1
        scene.env.send(chosen.numpy())


@torch.inference_mode()
def answers(policy: Policy, state: CoreState, last_action: Tensor, observations: Floats) -> Floats:
    """Returns the probabilities [Q, A] of actions at observations [Q, size] that came next.

    Args:
        policy: which is asked; it does not notice.
        state: of one environment.
        last_action: [1] what was done in it.
        observations: each is the only one that follows.
    """
    Q = len(observations)
    states = tuple(s.repeat_interleave(Q, dim=0) for s in state)
    no_reward, no_start = torch.zeros(1, Q), torch.zeros(1, Q, dtype=torch.bool)
    asked = torch.from_numpy(observations)[None]
    output, _ = policy(asked, no_reward, last_action.expand(1, Q), no_start, states)
    probabilities: Floats = output.logits[0].softmax(-1).numpy()
    return probabilities


def _default_path(source: Path, saved: SavedPolicy, config: WatchConfig) -> Path:
    """Returns an unused path in the folder of films beside the policy."""
    folder = folder_within(owner_folder(source), "videos")
    how = "greedy" if config.greedy else "sampled"
    suffix = "gif" if config.board else "mp4"
    return unused_path(folder / f"{saved.updates:012d}-{how}-{config.seed}.{suffix}")

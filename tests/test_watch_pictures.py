"""What stands in a frame: it changes with what it shows, and says what a core lacks."""

import numpy as np
import pytest
import torch

from envs import EnvConfig, canvas, make_env
from envs.memory.picture import TaskPicture
from envs.memory.tasks import NO_QUESTION, TASKS
from envs.minigrid.picture import (
    BALL,
    BOX,
    CELL,
    COLOURS,
    DOOR,
    GOAL,
    KEY,
    SIDE,
    TOP,
    draw_grid,
    read_cells,
)
from models.cores import CORES, CoreConfig, make_core
from watch.dashboard import HEIGHT, WIDTH, Dashboard, Moment
from watch.memory_panel import TITLE, MemoryPanel, layout
from watch.memory_view import FastWeights, MemoryView, Units
from watch.timelines import MAX_LANE, Timelines

RNG = np.random.default_rng(0)


def fast_weights(H=2, D=8):
    def draw(*shape):
        return RNG.random(shape, np.float32)

    return FastWeights("layer 1 W", draw(H, D, D) - 0.5, draw(H, D), draw(H), draw(H, D))


def moment(**changes):
    values = {
        "picture": np.full((210, 160, 3), 90, np.uint8),
        "memory": [fast_weights()],
        "probabilities": np.array([0.25, 0.75], np.float32),
        "action": 1,
        "value": 0.5,
        "reward": 0.0,
        "start": False,
        "caption": "step 1",
    }
    return Moment(**values | changes)


def frame_of(shown):
    frame = Dashboard("game", "core", ["left", "right"], num_steps=20).draw(shown)
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8
    return frame


@pytest.mark.parametrize(
    "changes",
    [
        {"picture": np.full((210, 160, 3), 91, np.uint8)},
        {"probabilities": np.array([0.3, 0.7], np.float32)},
        {"action": 0},
        {"value": -0.5},
        {"reward": 1.0},
        {"caption": "step 2"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_frame_changes_with_every_part_of_its_moment(changes):
    base = moment()
    assert (frame_of(base) != frame_of(base._replace(**changes))).any()


def test_a_frame_shows_the_policy_of_the_steps_before_too():
    dashboards = [Dashboard("game", "core", ["left", "right"], num_steps=20) for _ in range(2)]
    now = moment()
    earlier = now._replace(probabilities=np.array([0.9, 0.1], np.float32))
    for dashboard, before in zip(dashboards, (now, earlier), strict=True):
        dashboard.draw(before)
    one, other = (dashboard.draw(now) for dashboard in dashboards)
    changed = np.argwhere((one != other).any(-1))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0) + 1
    assert bottom - top == 2 * MAX_LANE - 1  # both lanes, but for the line below the second
    assert right - left < 40  # one step of twenty


@pytest.mark.parametrize("num_lanes", [1, 18, 64, 300])
def test_the_timelines_of_many_heads_and_actions_stay_within_their_place(num_lanes):
    height, timelines = 242, Timelines(400, num_steps=20)
    for _ in range(30):
        policy = np.full(num_lanes, 1 / num_lanes, np.float32)
        timelines.add([fast_weights(H=num_lanes)], policy, 0.5, 1.0, False)
    frame = canvas.blank(400, height + 40)
    timelines.draw(frame, (0, 0), height)
    assert (frame[:height] != canvas.BACKGROUND).any()
    assert (frame[height + 8 :] == canvas.BACKGROUND).all()


def grid_observation(*cells, facing=0):
    """Returns a view of nothing but these (row, column, object, colour, state)."""
    symbols = np.zeros((SIDE, SIDE, 3), np.uint8)
    for row, column, *symbol in cells:
        symbols[column, row] = symbol  # columns come first, as in MiniGrid
    return np.append(symbols.reshape(-1), np.uint8(facing))


def test_cells_of_a_grid_lie_where_the_agent_sees_them():
    """A step forward brings what was ahead a row nearer; a turn to the right puts it ahead."""
    env = make_env("MiniGrid-MemoryS7-v0", EnvConfig(num_threads=1), 1, seed=3)
    cells = read_cells(env.recv().observation[0])
    env.send(np.array([2]))
    after = read_cells(env.recv().observation[0])
    is_seen = (cells[:-1, :, 0] != 0) & (after[1:, :, 0] != 0)
    assert is_seen.sum() > 8
    assert (cells[:-1][is_seen] == after[1:][is_seen]).all()
    env.send(np.array([1]))
    turned = read_cells(env.recv().observation[0])
    right, ahead = after[-1, SIDE // 2 + 1 :, 0], turned[-2::-1, SIDE // 2, 0][: SIDE // 2]
    assert (right != 0).any()
    assert (right[right != 0] == ahead[: (right != 0).sum()]).all()
    env.close()


@pytest.mark.parametrize("what", [DOOR, KEY, BALL, BOX, GOAL])
def test_an_object_of_a_grid_is_drawn_in_its_colour_and_its_cell(what):
    red, blue = (draw_grid(grid_observation((1, 5, what, colour, 1))) for colour in (0, 2))
    changed = np.argwhere((red != blue).any(-1))
    left = (red.shape[1] - SIDE * CELL) // 2
    assert (changed >= (TOP + CELL, left + 5 * CELL)).all()
    assert (changed < (TOP + 2 * CELL, left + 6 * CELL)).all()
    assert (red[tuple(changed.T)] == COLOURS[0]).all(-1).mean() > 0.5  # edges are smoothed


def test_every_kind_of_cell_looks_different():
    kinds = [
        (0, 0, 0),
        (1, 0, 0),
        (2, 5, 0),
        (4, 1, 0),
        (4, 1, 1),
        *((n, 1, 0) for n in range(5, 10)),
    ]
    pictures = [draw_grid(grid_observation((2, 3, *kind))).tobytes() for kind in kinds]
    assert len(set(pictures)) == len(kinds)
    assert len({draw_grid(grid_observation(facing=f)).tobytes() for f in range(4)}) == 4


def panel_of(memory):
    frame = canvas.blank(400, 300)
    MemoryPanel(400, 300).draw(frame, (0, 0), memory)
    return frame


@pytest.mark.parametrize("part", ["weights", "key", "strength", "query"])
def test_the_memory_panel_changes_with_every_part_of_a_head(part):
    memory = fast_weights()
    other = getattr(memory, part).copy()
    other.flat[-1] = 0.9
    assert (panel_of([memory]) != panel_of([memory._replace(**{part: other})])).any()


def test_a_heat_map_is_dark_at_zero_and_tells_the_signs_apart():
    below, zero, above = canvas.heat(np.array([-1, 0, 1], np.float32), 1.0).astype(int)
    assert tuple(zero) == canvas.SURFACE
    assert below[2] > below[0] + 40
    assert above[0] > above[2] + 40


def test_colours_keep_their_meaning_while_weights_shrink():
    panel, memory = MemoryPanel(400, 300), fast_weights()
    large, small = canvas.blank(400, 300), canvas.blank(400, 300)
    panel.draw(large, (0, 0), [memory])
    panel.draw(small, (0, 0), [memory._replace(weights=memory.weights / 100)])
    assert small.max(axis=-1)[60:150].mean() < large.max(axis=-1)[60:150].mean()


@pytest.mark.parametrize("memory", [[], [Units("c", RNG.random(10, np.float32))]], ids=len)
def test_cores_without_fast_weights_have_a_panel_too(memory):
    assert (panel_of(memory) != canvas.BACKGROUND).any()
    frame_of(moment(memory=memory))  # the timelines do without strengths


def test_the_panel_of_units_changes_with_their_activity():
    activity = np.array([0.1, 0.2, 1.0], np.float32)  # the largest sets the colours of the others
    other = np.array([0.1, 0.9, 1.0], np.float32)
    assert (panel_of([Units("c", activity)]) != panel_of([Units("c", other)])).any()


@pytest.mark.parametrize(("rows", "H", "D"), [(1, 4, 16), (2, 4, 32), (4, 4, 32), (2, 16, 8)])
def test_the_heads_fit_with_whole_pixels_a_weight(rows, H, D):
    grid = layout(rows, H, D, 728, 340)
    assert grid.side % D == 0
    assert grid.height <= 340


def test_large_matrices_are_shrunk_into_the_panel():
    frame = canvas.blank(400, 300)
    assert MemoryPanel(400, 300).draw(frame, (0, 0), [fast_weights(H=3, D=500)]) <= 300


@pytest.mark.parametrize("num_tensors", [10, 34, 512])
@pytest.mark.parametrize(
    ("one", "num_shown"), [(fast_weights(), 10), (Units("c", RNG.random(9, np.float32)), 33)]
)
def test_of_a_memory_of_many_layers_what_fits_is_drawn_and_the_rest_counted(
    one, num_shown, num_tensors
):
    memory = [one] * num_tensors
    width, height = 728, 364
    shown, first = (canvas.blank(width, height + 40) for _ in range(2))
    assert MemoryPanel(width, height).draw(shown, (0, 0), memory) <= height
    MemoryPanel(width, height).draw(first, (0, 0), memory[:num_shown])
    changed = np.argwhere((shown != first).any(-1))
    assert (len(changed) > 0) == (num_tensors > num_shown)
    assert (changed[:, 0] < TITLE).all()
    frame_of(moment(memory=memory))  # the timelines have their room below it


def play_core(kind, num_steps=4):
    torch.manual_seed(0)
    core = make_core(CoreConfig(kind=kind, hidden_size=8, num_heads=2, num_layers=2), 3)
    view, state = MemoryView(core, CORES[kind].state_names), core.initial_state(1)
    with torch.inference_mode():
        for t in range(num_steps):
            before = state
            x, start = torch.randn(1, 1, 3), torch.tensor([[t == num_steps - 1]])
            _, state = core(x, before, start)
    return core, x, before, state, view.read(state)


@pytest.mark.parametrize(
    "kind", ["linear_transformer", "delta_net", "gated_delta_net", "delta_rnn", "rdn"]
)
def test_the_view_shows_the_state_and_forgets_at_a_start(kind):
    core, x, _, state, memory = play_core(kind)
    matrices = [s[0].numpy() for s in state if s.dim() == 4]
    assert len(memory) == len(matrices)
    for row, matrix in zip(memory, matrices, strict=True):
        np.testing.assert_array_equal(row.weights, matrix)
        # The step began an episode: all that is in W was written now, at the key.
        along = row.key / np.linalg.norm(row.key, axis=-1, keepdims=True)
        rest = matrix - along[:, :, None] * np.einsum("hk,hkv->hv", along, matrix)[:, None]
        np.testing.assert_allclose(rest, 0, atol=1e-6)
    with torch.inference_mode():
        view = MemoryView(core)
        core(x, core.initial_state(1), torch.tensor([[False]]))
    for row, fresh in zip(memory, view.read(state), strict=True):
        np.testing.assert_array_equal(row.strength, fresh.strength)


def test_the_view_shows_every_tensor_of_another_state_and_nothing_without_memory():
    *_, state, memory = play_core("lstm")
    names = ["output h", "cell state c"]
    assert [row.label for row in memory] == [f"layer {i} {name}" for i in (1, 2) for name in names]
    for row, tensor in zip(memory, state, strict=True):
        np.testing.assert_array_equal(row.activity, tensor[0].numpy())
    assert play_core("feedforward")[-1] == []


@pytest.mark.parametrize(
    ("game", "expected"),
    [
        ("tmaze", [("cue", {"0", "1"}), ("", {"·"}), ("", {"T"}), ("", {""})]),
        ("key_value", [("A", set("012")), ("B", set("012")), ("A|B", {"?"}), ("A|B", {"?"})]),
        ("repeat_previous", [("", set("012"))] * 2),
        ("parity", [("", {"0", "1"})] * 2),
        ("memory_length", [("cue", {"0", "1"})] * 2 + [("", {"·"}), ("", {""})]),
        ("endless_tmaze", [("cue", {"0", "1"}), ("", {"·", "T"})]),
        ("word_problem_s3", [("", set("012345"))] * 2),
        ("control", [("", set("012"))] * 2),
    ],
)
def test_tiles_say_what_the_rows_of_a_task_show(game, expected):
    config = EnvConfig(length=2, num_pairs=2, num_values=3, k=1)
    env = make_env(game, config, 1, seed=0)
    for label, symbols in expected:
        tile = TASKS[game](config).tile(env.recv().observation[0])
        assert tile.label in label.split("|")
        assert tile.symbol in symbols
        assert tile.value is None or str(tile.value) == tile.symbol
        env.send(np.zeros(1, np.int64))


@pytest.mark.parametrize("game", ["tmaze", "endless_tmaze", "memory_length", "key_value"])
def test_questions_out_of_turn_are_those_the_task_asks(game):
    config = EnvConfig(length=2)
    env = make_env(game, config, 64, seed=0)
    asked = set()
    for _ in range(10):
        step = env.recv()
        asked |= {tuple(o) for o in step.observation[env.answers != NO_QUESTION]}
        env.send(np.zeros(64, np.int64))
    assert {tuple(o) for o in TASKS[game](config).asks.values()} == asked


def test_a_task_s_picture_tells_right_from_wrong_and_shows_what_would_be_answered():
    task = TASKS["key_value"](EnvConfig(num_pairs=2, num_values=3))

    def picture(given=1, right=1, answers=((1, 0, 0), (0, 1, 0))):
        drawn = TaskPicture(task)
        observation = task.asks["B"]
        told = np.array(answers, np.float32)
        return drawn.draw(observation, True, given, right, lambda _: told)

    pictures = [
        picture(),
        picture(right=2),
        picture(given=0),
        picture(given=None),
        picture(right=NO_QUESTION),
        picture(answers=((0, 0, 1), (0, 1, 0))),
    ]
    for i, one in enumerate(pictures):
        for j, other in enumerate(pictures[:i]):
            assert (one != other).any() == ((i, j) != (4, 3)), (i, j)


def test_a_frame_marks_the_value_that_a_key_was_shown_with():
    task = TASKS["key_value"](EnvConfig(num_pairs=2, num_values=3))
    told = np.zeros((2, 3), np.float32)

    def places(value):
        shown = np.zeros(6, np.float32)
        shown[[0, 2 + value]] = 1.0  # key A
        drawn = TaskPicture(task)
        picture = drawn.draw(shown, True, 0, NO_QUESTION, lambda _: told)
        return set(np.flatnonzero((picture[-60:] == canvas.INK).all(-1).any(0)))

    none, *marked = places(0) & places(1), places(0), places(1), places(2)
    assert all(marked[i] - none and max(marked[i]) < max(marked[i + 1]) for i in (0, 1))


@pytest.mark.parametrize(("num_pairs", "num_values"), [(40, 8), (4, 80), (256, 256)])
def test_many_keys_and_values_can_be_drawn(num_pairs, num_values):
    config = EnvConfig(num_pairs=num_pairs, num_values=num_values)
    drawn = TaskPicture(TASKS["key_value"](config))
    told = np.full((num_pairs, num_values), 1 / num_values, np.float32)
    shown = np.zeros(num_pairs + num_values + 1, np.float32)
    shown[[0, num_pairs]] = 1.0
    assert drawn.draw(shown, True, 0, NO_QUESTION, lambda _: told).shape == (630, 480, 3)


def test_of_a_long_episode_the_last_rows_are_on_the_tape():
    def last_frame(right):
        drawn = TaskPicture(TASKS["parity"](EnvConfig()))
        for t in range(119):
            drawn.draw(np.eye(2, dtype=np.float32)[t % 2], t == 0, 1, t % 2, lambda asked: asked)
        return drawn.draw(np.eye(2, dtype=np.float32)[0], False, 1, right, lambda asked: asked)

    frame = last_frame(1)
    assert frame.shape == (630, 480, 3)
    assert (frame[190:] != last_frame(0)[190:]).any()  # of the tape, which has moved on


@pytest.mark.parametrize(
    ("game", "sizes"),
    [
        ("endless_tmaze", {}),
        ("tmaze", {"length": 40}),
        ("key_value", {}),
        ("key_value", {"num_pairs": 10}),
        ("key_value", {"num_pairs": 16}),
        ("key_value", {"num_pairs": 40}),
    ],
)
def test_the_tape_ends_above_what_could_be_asked(game, sizes):
    task = TASKS[game](EnvConfig(**sizes))
    observations, _ = task.draw(np.random.default_rng(0), 1)

    def last_frame(right=0, told=0.0):
        drawn = TaskPicture(task)
        answers = np.full((len(task.asks), task.num_actions), told, np.float32)
        for t, observation in enumerate(observations[0]):
            frame = drawn.draw(observation, t == 0, 0, right, lambda _: answers)
        return frame

    def changed_rows(other):
        return np.flatnonzero((last_frame() != other).any(axis=(1, 2)))

    tape, asked = changed_rows(last_frame(right=1)), changed_rows(last_frame(told=1.0))
    assert tape.max() > 190  # the newest answer is on the tape
    assert tape.max() < asked.min() - 43  # and above the heading of the answers

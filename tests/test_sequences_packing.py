"""Packing loses no token, and a sequence in a lane is what it is alone."""

from itertools import islice

import numpy as np
import pytest

from sequences.packing import NO_SEQUENCE, Segments, pack
from sequences.show import show
from sequences.tasks import NO_ANSWER, Example, Task, examples, find_task


def sequences(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [Example(rng.integers(1, 9, n), rng.integers(NO_ANSWER, 5, n)) for n in lengths]


def finite_task(drawn):
    return Task(
        tokens=tuple("0123456789"),
        answers=tuple("01234"),
        example=lambda split, seed, number: drawn[number],
        num_examples={"train": 0, "validation": len(drawn), "test": len(drawn)},
    )


def unpacked(batches):
    """Returns each sequence read along its lane, by its number."""
    found = {}
    batches = list(batches)
    for lane in range(batches[0].token.shape[1]):
        rows = [
            np.concatenate([field[:, lane] for field in fields])
            for fields in zip(*batches, strict=True)
        ]
        for token, answer, start, number in zip(*rows, strict=True):
            if number == NO_SEQUENCE:
                assert token == 0
                assert answer == NO_ANSWER
                continue
            assert start == (number not in found)
            found.setdefault(number, []).append((token, answer))
    return found


def assert_same(found, drawn):
    assert sorted(found) == list(range(len(drawn)))
    for number, example in enumerate(drawn):
        assert found[number] == list(zip(*example, strict=True))


@pytest.mark.parametrize("num_lanes", [1, 3, 8, 20])
def test_packing_loses_nothing(num_lanes):
    drawn = sequences([3, 1, 9, 4, 4, 12, 7, 1])
    batch = pack(drawn, num_lanes)
    assert_same(unpacked([batch]), drawn)
    assert batch.num_tokens == 41
    assert batch.token.shape == ({1: 41, 3: 14, 8: 12, 20: 12}[num_lanes], num_lanes)


def test_filler_begins_anew():
    batch = pack(sequences([5, 2]), 2)
    lane = int(batch.sequence[0].argmax())
    assert batch.start[:, lane].tolist() == [True, False, True, False, False]
    assert pack(sequences([5]), 2).start[0].all()
    (piece,) = Segments(finite_task(sequences([2])), "test", 0, num_lanes=2, num_steps=4)
    assert piece.start.tolist() == [[True, True], [False, False], [True, False], [False, False]]


def test_lanes_are_filled_almost_alike():
    task = find_task("listops").make(find_task("listops").settings())
    drawn = list(islice(examples(task, "train", seed=0), 64))
    packed, padded = pack(drawn, 16), pack(drawn, 64)
    assert packed.num_tokens == padded.num_tokens
    assert packed.num_tokens / packed.token.size > 0.95
    assert padded.num_tokens / padded.token.size < 0.6


@pytest.mark.parametrize(("num_lanes", "num_steps"), [(1, 1), (2, 5), (3, 100)])
def test_segments_read_every_sequence_to_its_end(num_lanes, num_steps):
    drawn = sequences([3, 1, 9, 4, 4, 12, 7, 1])
    batches = list(
        Segments(finite_task(drawn), "test", 0, num_lanes=num_lanes, num_steps=num_steps)
    )
    assert all(batch.token.shape == (num_steps, num_lanes) for batch in batches)
    assert_same(unpacked(batches), drawn)


def test_segments_waste_no_step_while_there_are_sequences():
    task = find_task("formal").make(find_task("formal").settings())
    for batch in islice(Segments(task, "train", 0, num_lanes=4, num_steps=16), 50):
        assert batch.num_tokens == 64


def test_segments_go_on_where_their_state_was_taken():
    task = find_task("formal").make(find_task("formal").settings())
    whole = Segments(task, "train", 7, num_lanes=3, num_steps=16)
    for _ in range(5):
        next(whole)
    state = whole.state_dict()
    again = Segments(task, "train", 7, num_lanes=3, num_steps=16)
    next(again)
    again.load_state_dict(state)
    for want, got in zip(islice(whole, 20), islice(again, 20), strict=True):
        assert all((a == b).all() for a, b in zip(want, got, strict=True))


def test_an_example_depends_on_split_seed_and_number_alone():
    task = find_task("listops").make(find_task("listops").settings())
    late = next(examples(task, "train", 3, first=5)).tokens
    assert np.array_equal(late, list(islice(examples(task, "train", 3), 6))[5].tokens)
    others = [("test", 3, 5), ("train", 4, 5), ("train", 3, 6)]
    assert not any(np.array_equal(late, task.example(*other).tokens) for other in others)


def test_show_prints_answers_below_their_tokens():
    task = find_task("code_execution").make(find_task("code_execution").settings(num_statements=2))
    above, below = show(task, "test", 0, 1).split("\n")
    assert below.split()[-1] == above.split()[2]  # the first statement's value is printed
    assert above.index(";", 7) == below.index(below.split()[-1])


def test_show_gives_a_wide_answer_a_wide_column():
    task = find_task("formal").make(find_task("formal").settings(min_length=4, max_length=4))
    above, below = show(task, "test", 0, 1).split("\n")
    columns = [i for i, character in enumerate(above) if character != " "]
    assert [below[i:].split()[0] for i in columns] == below.split()
    assert all(i == 0 or below[i - 1] == " " for i in columns)


def test_show_prints_a_single_answer_behind_the_sequence():
    task = find_task("listops").make(find_task("listops").settings(depth=1))
    for line in show(task, "train", 0, 3).split("\n\n"):
        assert line.startswith("[")
        assert line[:-1].endswith("]  ->  ")


def test_an_unknown_task_is_named_with_the_close_one():
    with pytest.raises(ValueError, match=r"unknown task 'list_ops'; .*close: listops"):
        find_task("list_ops")

"""Text: every byte is asked for, documents stay whole, splits stay put."""

from itertools import islice

import numpy as np
import pytest

from sequences.tasks import NO_ANSWER, SPLITS, examples, find_task
from sequences.tasks.text import DOCUMENT_BYTES, cut, split_of

TEXT = find_task("text")
WIKITEXT = {
    "wiki.train.tokens": " \n = One = \n \n the cat , <unk> sat \n = = Part = = \n more \n"
    " = Two = \n the dog \n",
    "wiki.valid.tokens": " \n = Two = \n the cat \n",
    "wiki.test.tokens": " \n = One = \n the <unk> \n",
}


def names_of_each_split():
    """Returns a file name of each split."""
    names = {}
    for number in range(1000):
        names.setdefault(split_of(f"{number}.txt"), f"{number}.txt")
    return [names[split] for split in SPLITS]


NAMES = names_of_each_split()


def make(**settings):
    return TEXT.make(TEXT.settings(**settings))


def folder_of(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(tmp_path)


@pytest.fixture
def small_folder(tmp_path):
    texts = ("café\n" * 30, "tea\n", "milk\n")
    return folder_of(tmp_path, dict(zip(NAMES, texts, strict=True)))


def answered(task, split):
    """Returns the documents of a finite split, from the answers."""
    return [
        [task.answers[answer] for answer in example.answers] for example in examples(task, split, 0)
    ]


def test_every_byte_is_asked_for_one_token_after_the_one_before(small_folder):
    task = make(source=small_folder, files="*.txt")
    (example,) = islice(examples(task, "train", seed=0), 1)
    text = ("café\n" * 30).encode()
    assert bytes(example.answers.tolist()) == text
    assert task.tokens[example.tokens[0]] == "<begin>"
    assert (example.tokens[1:] == example.answers[:-1]).all()
    assert (task.answer_bytes == 1).all()
    assert task.answers[ord("t")] == "t"
    assert task.answers[0xC3] == r"\xc3"


def test_an_epoch_of_train_is_every_document_once_and_the_next_in_another_order(tmp_path):
    names = [f"{i}.txt" for i in range(200)]
    task = make(source=folder_of(tmp_path, {name: name for name in names}), files="*.txt")
    size = task.num_examples["train"]
    drawn = [
        bytes(e.answers.tolist()).decode() for e in islice(examples(task, "train", 0), 2 * size)
    ]
    first, second = drawn[:size], drawn[size:]
    assert sorted(first) == sorted(second) == sorted(n for n in names if split_of(n) == "train")
    assert first != second
    assert task.example("train", 1, 0) is not None
    other = [bytes(e.answers.tolist()).decode() for e in islice(examples(task, "train", 1), size)]
    assert other != first


def test_the_splits_share_no_file_and_hold_a_twentieth_each():
    splits = [split_of(f"package/module_{i}.py") for i in range(20_000)]
    shares = {split: splits.count(split) / len(splits) for split in SPLITS}
    assert shares["validation"] == pytest.approx(0.05, abs=0.008)  # five deviations
    assert shares["test"] == pytest.approx(0.05, abs=0.008)


def test_the_standard_library_is_read_without_its_tests_and_packages():
    task = make()
    (first,) = islice(examples(task, "validation", seed=0), 1)
    assert len(first.answers) > 100
    assert task.num_examples["train"] > 300
    assert all(task.num_examples[split] > 10 for split in SPLITS)


def test_a_long_file_is_cut_after_lines_and_nothing_is_lost():
    text = b"".join(b"%d\n" % i for i in range(40_000))
    documents = cut(text)
    assert b"".join(documents) == text
    assert len(documents) > 3
    assert all(len(d) <= DOCUMENT_BYTES and d.endswith(b"\n") for d in documents)
    assert [len(d) for d in cut(b"x" * (DOCUMENT_BYTES + 1))] == [DOCUMENT_BYTES, 1]
    assert cut(b"") == []


def test_a_long_line_is_cut_after_a_word_and_a_long_word_before_a_character():
    words = b"x" + b"seven ! " * (DOCUMENT_BYTES // 8) + b"seven"
    assert cut(words) == [words[:-7], b"! seven"]
    for text in ("é" * DOCUMENT_BYTES, "x" + "é" * DOCUMENT_BYTES, "x" + "€" * DOCUMENT_BYTES):
        parts = cut(text.encode())
        assert "".join(part.decode() for part in parts) == text
        assert all(len(part) > DOCUMENT_BYTES - 4 for part in parts[:-1])
    broken = b"\x80" * (DOCUMENT_BYTES + 1)  # no UTF-8
    assert b"".join(cut(broken)) == broken


def test_words_are_the_text_with_a_blank_after_each(tmp_path):
    """A form feed ends no line, and a text without a last line end has none."""
    texts = ["the cat \nthe \x0c dog \n", "the cat", "dog\n"]
    source = folder_of(tmp_path, dict(zip(NAMES, texts, strict=True)))
    task = make(source=source, files="*.txt", unit="words")
    assert answered(task, "validation") == [["the", "cat"]]
    (example,) = islice(examples(task, "train", 0), 1)
    said = [task.answers[answer] for answer in example.answers]
    assert said == ["the", "cat", "<eos>", "the", "dog", "<eos>"]
    assert task.answer_bytes[example.answers].sum() == len("the cat \nthe dog \n")


@pytest.mark.parametrize("unit", ["bytes", "byte_pairs"])
def test_units_cover_the_text(small_folder, unit):
    task = make(source=small_folder, files="*.txt", unit=unit, vocabulary_size=300)
    (example,) = islice(examples(task, "train", seed=0), 1)
    assert task.answer_bytes[example.answers].sum() == len("café\n".encode()) * 30
    assert len(task.tokens) == len(task.answers) + 1 == len(task.answer_bytes) + 1


def test_byte_pairs_are_shorter_than_bytes_and_spell_the_text(small_folder):
    task = make(source=small_folder, files="*.txt", unit="byte_pairs", vocabulary_size=300)
    (example,) = islice(examples(task, "train", seed=0), 1)
    assert len(example.answers) < 100
    assert "".join(task.answers[a] for a in example.answers) == "café" + r"\ncafé" * 29 + r"\n"
    assert answered(task, "test") == [["m", "i", "l", "k", r"\n"]]


def test_wikitext_is_split_by_file_and_cut_into_articles(tmp_path):
    task = make(source=folder_of(tmp_path, WIKITEXT), unit="words")
    assert task.num_examples == {"train": 2, "validation": 1, "test": 1}
    assert answered(task, "test") == [["=", "One", "=", "<eos>", "the", "<unk>", "<eos>"]]
    train = [[task.answers[a] for a in task.example("train", 0, i).answers] for i in range(2)]
    assert sorted(words[1] for words in train) == ["One", "Two"]
    assert task.answers[0] == "="  # the most frequent word comes first
    assert task.answer_bytes[task.answers.index("the")] == 4


def test_wikitext_can_be_read_as_bytes(tmp_path):
    task = make(source=folder_of(tmp_path, WIKITEXT), unit="bytes")
    (example,) = examples(task, "validation", 0)
    assert bytes(example.answers.tolist()) == b" = Two = \n the cat \n"


def test_no_answer_is_left_out(small_folder):
    task = make(source=small_folder, files="*.txt")
    assert all((e.answers != NO_ANSWER).all() for e in examples(task, "test", 0))


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({}, {"source": "/nowhere/at/all"}, "no folder /nowhere/at/all: source must be stdlib or"),
        ({}, {}, r"no text for train in the 0 files that match \*.py"),
        ({"empty.py": ""}, {}, r"no text for train in the 1 files that match \*.py"),
        (WIKITEXT | {"wiki.valid.tokens": ""}, {}, "wiki.valid.tokens is empty"),
        (dict(zip(NAMES, "a  ", strict=True)), {"unit": "words", "files": "*.txt"}, "is blank"),
        (
            {k: v for k, v in WIKITEXT.items() if "test" not in k},
            {},
            "has no wiki.test.tokens, which belongs to WikiText-103",
        ),
        (
            WIKITEXT | {"wiki.test.tokens": " = One = \n the zebra \n"},
            {"unit": "words"},
            "the word 'zebra' is not among the 12 words of the vocabulary",
        ),
        (WIKITEXT | {"wiki.test.tokens": b"\xff"}, {"unit": "words"}, "a text is not UTF-8"),
        ({}, {"unit": "letters"}, "unit must be one of bytes, byte_pairs, words, got 'letters'"),
        ({}, {"vocabulary_size": 3}, "vocabulary_size must be in 256 to 1000000, got 3"),
    ],
)
def test_a_text_that_cannot_be_had_is_named(tmp_path, files, settings, message):
    source = folder_of(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        make(**{"source": source} | settings)


def test_a_token_outside_the_vocabulary_is_named(small_folder):
    task = make(source=small_folder, files="*.txt")

    def example(split, seed, number, example=task.example):
        drawn = example(split, seed, number)
        return drawn._replace(tokens=np.where(drawn.tokens == ord("c"), 300, drawn.tokens))

    broken = type(task)(tokens=task.tokens, answers=task.answers, example=example)
    with pytest.raises(
        ValueError, match=r"token 300 at position 1 is outside .* vocabulary of 257"
    ):
        next(examples(broken, "train", 0))

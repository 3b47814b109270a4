"""Text: name the next byte, byte pair or word of a document.

A document is a sequence of its own. Before its first token stands the token BEGIN, so that every
byte of the text is asked for, and bits per byte are those of the whole text: where units are words,
of the text with one blank after every word and no other, as WikiText-103 is written.

The text is that of a folder. By default the source of the Python standard library, which every
machine has. Files are put into train, validation and test by a hash of their path, so that a file
stays where it is when others come. A folder with `wiki.train.tokens`, `wiki.valid.tokens` and
`wiki.test.tokens` is WikiText-103 (Merity et al. 2016, https://arxiv.org/abs/1609.07843): its
splits are the files, its documents the articles.
"""

import re
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequences.tasks.base import SPLITS, Example, Split, Task, TaskSpec
from sequences.tasks.text_units import MAX_VOCABULARY, UNITS, Codec

Unit = Literal["bytes", "byte_pairs", "words"]
Documents = dict[Split, list[bytes]]
STANDARD_LIBRARY = "stdlib"
WIKITEXT_FILES: dict[Split, str] = {
    "train": "wiki.train.tokens",
    "validation": "wiki.valid.tokens",
    "test": "wiki.test.tokens",
}
ARTICLE = re.compile(rb"^(?= = [^=].* = $)", re.MULTILINE)  # a title has one =, a section more
HELD_OUT_PERCENT = 5
"""Of the files of a folder, in validation and in test each."""
DOCUMENT_BYTES = 1 << 16
"""A lane reads a document alone: one of megabytes would leave the other lanes of a batch idle."""
NOT_SOURCE = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
BEGIN = "<begin>"


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Which text, and in which units.

    Args:
        source: folder of the text; "stdlib" is the source of this Python's standard library.
        files: names of the files of a folder that are read, as a pattern: "*.txt", "notes/*.md".
        unit: what is predicted: bytes, byte pairs (needs the package `tokenizers`) or words
            between blanks.
        vocabulary_size: byte pairs and words: how many at most, the most frequent. No word of the
            text may be outside, so that rare ones have to stand in it as "<unk>".
    """

    source: str = STANDARD_LIBRARY
    files: str = "*.py"
    unit: Unit = "bytes"
    vocabulary_size: int = 4096

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {self.unit!r}")
        if not self.files or Path(self.files).is_absolute():
            raise ValueError(f"files must be a pattern within the folder, got {self.files!r}")
        if not 256 <= self.vocabulary_size <= MAX_VOCABULARY:
            raise ValueError(
                f"vocabulary_size must be in 256 to {MAX_VOCABULARY}, got {self.vocabulary_size}"
            )


def split_of(path: str) -> Split:
    """Returns the split of a file by the hash of its path within the folder."""
    percent = int.from_bytes(sha256(path.encode()).digest()[:8]) % 100
    if percent < HELD_OUT_PERCENT:
        return "test"
    return "validation" if percent < 2 * HELD_OUT_PERCENT else "train"


def cut(text: bytes) -> list[bytes]:
    """Returns a text in documents of at most DOCUMENT_BYTES, cut after a line where one ends."""
    documents, begin = [], 0
    while begin < len(text):
        end = len(text)
        if end - begin > DOCUMENT_BYTES:
            end = begin + _last_border(text[begin : begin + DOCUMENT_BYTES])
        documents.append(text[begin:end])
        begin = end
    return documents


def _last_border(text: bytes) -> int:
    """Returns where the last line of a text ends; else its last word, else its last character."""
    for border in (b"\n", b" "):
        if end := text.rfind(border) + 1:
            return end
    is_inside = 0b10  # the two highest bits of a byte of UTF-8 that does not begin a character
    of_last = next((n for n in range(1, 5) if text[-n] >> 6 != is_inside), 1)
    return len(text) - of_last if text[-of_last] >> 6 == 0b11 else len(text)


def read_documents(settings: TextSettings) -> Documents:
    """Returns the documents of each split, as bytes.

    Raises:
        ValueError: no such folder, an empty corpus, or a split without text.
    """
    is_library = settings.source == STANDARD_LIBRARY
    folder = Path(sysconfig.get_path("stdlib") if is_library else settings.source).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"no folder {folder}: source must be {STANDARD_LIBRARY} or a folder of text"
        )
    if (folder / WIKITEXT_FILES["train"]).exists():
        return _read_wikitext(folder)
    paths = sorted(
        path
        for path in folder.rglob(settings.files)
        if path.is_file() and not (is_library and NOT_SOURCE & set(path.relative_to(folder).parts))
    )
    documents: Documents = {split: [] for split in SPLITS}
    for path in paths:
        split = split_of(path.relative_to(folder).as_posix())
        documents[split] += cut(path.read_bytes())
    for split, texts in documents.items():
        if not texts:
            raise ValueError(
                f"{folder}: no text for {split} in the {len(paths)} files that match "
                f"{settings.files}; {HELD_OUT_PERCENT} % of the files go to it, by their path"
            )
    return documents


def _read_wikitext(folder: Path) -> Documents:
    documents: Documents = {}
    for split, name in WIKITEXT_FILES.items():
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}, which belongs to WikiText-103")
        articles = ARTICLE.split((folder / name).read_bytes())
        documents[split] = [
            part for article in articles if article.strip() for part in cut(article)
        ]
        if not documents[split]:
            raise ValueError(f"{folder / name} is empty")
    return documents


def make(settings: TextSettings) -> Task:
    """Reads the text and returns the task.

    Raises:
        ValueError: the text cannot be had, or not in these units.
    """
    documents = read_documents(settings)
    codec: Codec = UNITS[settings.unit](documents["train"], settings.vocabulary_size)
    encoded = {
        split: [numbers for text in documents[split] if len(numbers := codec.encode(text))]
        for split in SPLITS
    }
    for split, examples in encoded.items():
        if not examples:
            raise ValueError(f"{settings.source}: the text for {split} is blank")
    num_examples = {split: len(encoded[split]) for split in SPLITS}
    begin = len(codec.units)

    @lru_cache(maxsize=4)
    def order(seed: int, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, epoch]).permutation(num_examples["train"])

    def example(split: Split, seed: int, number: int) -> Example:
        if split == "train":
            epoch, number = divmod(number, num_examples["train"])
            number = int(order(seed, epoch)[number])
        answers = encoded[split][number].astype(np.int64)
        return Example(np.concatenate([[begin], answers[:-1]]), answers)

    units = tuple(codec.units)
    return Task(
        tokens=(*units, BEGIN),
        answers=units,
        example=example,
        num_examples=num_examples,
        answer_bytes=codec.sizes,
        source_hash=hash_of(documents),
    )


def hash_of(documents: Documents) -> str:
    """Returns the SHA-256 of all documents, their splits and borders included."""
    digest = sha256()
    for split in SPLITS:
        for text in documents[split]:
            digest.update(f"{split} {len(text)} ".encode() + text)
    return digest.hexdigest()


TASK = TaskSpec(
    name="text",
    settings=TextSettings,
    make=make,
    has_segments=True,
    measures=("bits_per_byte", "nats_per_answer"),
    scale=(8.0, 0.0),  # a guess at one of 256 bytes
)

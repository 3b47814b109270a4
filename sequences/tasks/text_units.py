"""The units of text: bytes, byte pairs and words, each a codec that is made from a train split."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAX_VOCABULARY = 1_000_000
UNKNOWN = "<unk>"
LINE_END = "<eos>"


class Codec(Protocol):
    """Turns a text into numbers of units."""

    units: list[str]
    """Each unit, for people to read; not every byte is a character."""
    sizes: NDArray[np.int64]
    """Bytes of each unit."""

    def encode(self, text: bytes) -> NDArray[np.generic]:
        """Returns the numbers of a text's units, as integers [N]; a blank text may have none.

        Raises:
            ValueError: the text has something that the vocabulary lacks.
        """


class Bytes:
    """The 256 bytes."""

    def __init__(self, texts: list[bytes], vocabulary_size: int) -> None:
        self.units = [repr(bytes([byte]))[2:-1] for byte in range(256)]
        self.sizes = np.ones(256, np.int64)

    def encode(self, text: bytes) -> NDArray[np.uint8]:
        """Returns the bytes as they are."""
        return np.frombuffer(text, np.uint8)


class BytePairs:
    """Frequent strings of bytes, by the package `tokenizers`, learned from the train split.

    Source: byte-level byte-pair encoding, as in Radford et al. 2019 (GPT-2).

    Raises:
        ValueError: the package is not installed, or a text is not UTF-8.
    """

    def __init__(self, texts: list[bytes], vocabulary_size: int) -> None:
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        except ImportError:
            raise ValueError(
                "unit byte_pairs needs the package tokenizers: pip install tokenizers"
            ) from None
        self._tokenizer = Tokenizer(models.BPE())
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        self._tokenizer.train_from_iterator(map(_text, texts), trainer)
        numbers = self._tokenizer.get_vocab()
        names = sorted(numbers, key=numbers.__getitem__)
        self.sizes = np.array([len(name) for name in names])  # a character stands for a byte
        self._tokenizer.decoder = decoders.ByteLevel()
        self.units = [repr(self._tokenizer.decode([i]))[1:-1] for i in range(len(names))]

    def encode(self, text: bytes) -> NDArray[np.int32]:
        """Returns the numbers of the pairs."""
        return np.array(self._tokenizer.encode(_text(text)).ids, np.int32)


class Words:
    """Words, a blank after each, and line ends; the most frequent first, for adaptive softmax."""

    def __init__(self, texts: list[bytes], vocabulary_size: int) -> None:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(_words(text))
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:vocabulary_size]
        self.units = frequent
        self.sizes = np.array([len(word.encode()) + 1 for word in frequent])
        self.sizes[[word == LINE_END for word in frequent]] = 1
        self._numbers = {word: number for number, word in enumerate(frequent)}

    def encode(self, text: bytes) -> NDArray[np.int32]:
        """Returns the numbers of the words.

        Raises:
            ValueError: a word is outside the vocabulary. One number for all such words would make
                the text another one, with fewer bits.
        """
        numbers = [self._numbers.get(word) for word in _words(text)]
        if None in numbers:
            word = _words(text)[numbers.index(None)]
            raise ValueError(
                f"the word {word!r} is not among the {len(self.units):,} words of the vocabulary, "
                f"which are the most frequent of the train split, task.args.vocabulary_size at "
                f"most: write {UNKNOWN} for rare words"
            )
        return np.array(numbers, np.int32)


def _text(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"a text is not UTF-8 ({error}); unit bytes takes any") from None


def _words(text: bytes) -> list[str]:
    *lines, rest = _text(text).split("\n")
    words = [word for line in lines for word in (*line.split(), LINE_END)]
    return words + rest.split()


UNITS: dict[str, Callable[[list[bytes], int], Codec]] = {
    "bytes": Bytes,
    "byte_pairs": BytePairs,
    "words": Words,
}

"""A NumPy generator as an integer array, which any checkpoint format can hold."""

import numpy as np
from numpy.typing import NDArray

_WORD = 1 << 64


def pack_generator(rng: np.random.Generator) -> NDArray[np.int64]:
    """Returns the state of a PCG64 generator as int64 [6]."""
    state = rng.bit_generator.state
    words = [state["has_uint32"], state["uinteger"]]
    for big in (state["state"]["state"], state["state"]["inc"]):
        words += [big % _WORD, big // _WORD]
    return np.array(words, np.uint64).view(np.int64)


def unpack_generator(words: NDArray[np.generic]) -> np.random.Generator:
    """Returns a generator that goes on where the packed one stood."""
    has_uint32, uinteger, *halves = (int(w) for w in np.asarray(words, np.int64).view(np.uint64))
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": halves[0] + halves[1] * _WORD, "inc": halves[2] + halves[3] * _WORD},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bits)

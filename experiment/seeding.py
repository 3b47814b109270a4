"""Random seeds: one root per run, and a stream of its own for everything that draws."""

from hashlib import sha256

import numpy as np


def derive_seed(root: int, *path: str | int) -> int:
    """Returns the seed in [0, 2**31) of the stream that `path` names under `root`.

    Streams of different paths are independent (`numpy.random.SeedSequence`); the same root and
    path give the same seed on every machine.
    """
    words = [
        int.from_bytes(sha256(part.encode()).digest()[:4], "little")
        if isinstance(part, str)
        else part
        for part in path
    ]
    state = np.random.SeedSequence([root, *words]).generate_state(1)
    return int(state[0]) >> 1

"""A packed generator goes on exactly where it stood."""

import numpy as np
import pytest

from envs.random_state import pack_generator, unpack_generator


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_draws", [0, 1, 2, 3])
def test_the_stream_continues(seed, num_draws):
    rng = np.random.default_rng(seed)
    rng.integers(7, size=num_draws, dtype=np.int32)  # an odd number leaves half a word over
    packed = pack_generator(rng)
    copy = unpack_generator(packed)
    assert packed.dtype == np.int64
    np.testing.assert_array_equal(
        copy.integers(1000, size=50, dtype=np.int32), rng.integers(1000, size=50, dtype=np.int32)
    )
    np.testing.assert_array_equal(copy.random(50), rng.random(50))

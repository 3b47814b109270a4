"""Which device the tests have, settled before anything imports Triton or the kernels.

Without a CUDA device Triton's kernels run in its interpreter on CPU tensors. A test marked
`gpu` is skipped then, and fails under REQUIRE_CUDA.
"""

import importlib.util
import os

import pytest
import torch

import envs
from tests import probe

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
torch.backends.cudnn.allow_tf32 = False  # results are compared with those in float64
envs.FAMILIES = (*envs.FAMILIES, probe.FAMILY)  # a game that tests alone play

# A machine that only lends a GPU need not have an ffmpeg: `pytest -m gpu` runs there too.
collect_ignore = [] if importlib.util.find_spec("imageio_ffmpeg") else ["test_watch_film.py"]


@pytest.fixture
def one_thread():
    """Runs a test of many small tensors without threads that would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def require_cuda():
    """Skips the test where there is no CUDA device, and fails it where one is required."""
    if torch.cuda.is_available():
        return
    assert not os.environ.get("REQUIRE_CUDA"), "REQUIRE_CUDA is set, but torch sees no CUDA device"
    pytest.skip("no CUDA device")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        require_cuda()

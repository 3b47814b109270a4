"""CUDA graphs: many kernels captured once and launched together from then on."""

import threading
from collections.abc import Callable
from typing import TypeVar

import torch

from agents.impala.streams import new_stream

Result = TypeVar("Result")
WARM_UP = 3
"""Calls before a capture, in which Triton compiles and cuDNN chooses its algorithms."""

_one_at_a_time = threading.Lock()
"""A process captures once at a time, and a wait for the whole device breaks another's capture."""


def capture(
    work: Callable[[], Result],
    device: torch.device,
    *,
    priority: int = 0,
    warm_up: int = WARM_UP,
    generator: torch.Generator | None = None,
) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Captures what `work` asks of a CUDA device, without a lasting effect on tensors.

    Args:
        work: reads and writes tensors that stay where they are; may be called by a thread that
            acts while another learns.
        device: where.
        priority: of its kernels.
        warm_up: calls of `work` before the capture; these do have their effects.
        generator: random stream that it draws from; stands where it stood before the warm-up.

    Returns:
        The graph, and what `work` returned: tensors that every replay writes.
    """
    with _one_at_a_time:
        stream = new_stream(device, priority)
        stream.wait_stream(torch.cuda.current_stream(device))
        drawn = generator.get_state() if generator is not None else None
        with torch.cuda.stream(stream):
            for _ in range(warm_up):
                work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        if generator is not None and drawn is not None:
            generator.set_state(drawn)
            graph.register_generator_state(generator)
        # thread_local: other threads may allocate meanwhile
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = work()
    return graph, result

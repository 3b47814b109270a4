"""The tables of docs/parallel.md: ways to use all cores, exchanges, and what networks cost."""

import statistics
from typing import Any

from benchmarks.processes import cells
from experiment.files import read_json
from tools.pages.files import BENCHMARKS, link, machine, reports, table

GPU_LOOP = "gpu_first_run_nvidia-h100-80gb-hbm3_2026-11-26_1d4c09a.json"
NETWORKS = {  # not measured: nominal bytes a second, and seconds a message
    "1 Gbit/s Ethernet": (125e6, 100e-6),
    "10 Gbit/s Ethernet": (1.25e9, 50e-6),
    "100 Gbit/s InfiniBand": (12.5e9, 5e-6),
}
NVLINK = (100e9, 10e-6)
MACHINES, CORES_EACH, GPUS = 16, 2, 8
SCALARS_BYTES = 36
"""Of a rank in an update: nine numbers in float32."""


def newest() -> tuple[str, dict[str, Any]] | None:
    """Returns name and content of the newest file of `benchmarks.processes`."""
    found = reports("processes_*.json")
    return found[-1] if found else None


def processes_block() -> str:
    """Returns the ways to use all cores, side by side."""
    if (found := newest()) is None:
        return "Not measured yet: `python -m benchmarks.processes`."
    name, report = found
    speed = table(
        ["way", "frames/s", "over the first", "least to most"], map(cells, report["ways"])
    )
    return (
        f"`{report['config']}` with `{report['core']}`, whole runs of the command line in "
        f"{len(report['ways'][0]['ratios'])} turns, first rollouts left out, on "
        f"{machine(report)}: {link(name, report)}. Others ran on the machine, at a load of "
        f"{report['load_before_and_after'][0]:.0f} before and "
        f"{report['load_before_and_after'][3]:.0f} after; this had the higher priority.\n\n"
        f"{speed}"
    )


def exchange_block() -> str:
    """Returns what ranks say to each other in a rollout, and what that takes on one machine."""
    if (found := newest()) is None:
        return "Not measured yet: `python -m benchmarks.processes`."
    name, report = found
    of, update = report["exchanges"], report["update"]
    sizes = {int(size): seconds for size, seconds in of["sum_seconds_by_bytes"].items()}
    sums = table(
        ["sum of", "milliseconds"],
        [[f"{size:,} bytes", f"{1e3 * seconds:.2f}"] for size, seconds in sizes.items()],
    )
    updates = table(
        ["gradients of one update", "milliseconds"],
        [
            ["alone, nothing exchanged", f"{1e3 * update['seconds']['alone']:.1f}"],
            ["one flat sum after the backward pass", f"{1e3 * update['seconds']['flat']:.1f}"],
            [
                "`DistributedDataParallel`: buckets during it",
                f"{1e3 * update['seconds']['buckets']:.1f}",
            ],
        ],
    )
    return "\n\n".join(
        [
            f"{report['processes']} processes, gloo, on {machine(report)}: {link(name, report)}. "
            f"The gradient of this policy is {update['gradient_bytes']:,} bytes; a rollout has "
            f"{update['updates_per_rollout']} updates.",
            sums,
            "Of every rank three scalars, gathered (an update gathers nine; that was not timed): "
            f"{1e3 * of['gather_of_three_seconds']:.2f} ms. The "
            f"agreement after a rollout: {1e3 * of['agreement_seconds']:.2f} ms.",
            updates,
        ]
    )


def ring_seconds(size: float, ranks: int, rate: float, latency: float) -> float:
    """Returns seconds of a sum over ranks in a ring.

    Args:
        size: bytes of each rank.
        ranks: how many.
        rate: bytes a second that a rank can send.
        latency: seconds of a message.

    Source: Thakur, Rabenseifner, Gropp 2005, Optimization of collective communication operations
    in MPICH, section 4.4.
    """
    return 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * size / rate


def efficiency_block() -> str:
    """Returns the share of the time left for work by network, each machine with its own batch."""
    if (found := newest()) is None:
        return "Not measured yet: `python -m benchmarks.processes`."
    report = found[1]
    size, updates = report["update"]["gradient_bytes"], report["update"]["updates_per_rollout"]
    speed = statistics.median(report["ways"][1]["frames_per_second"])  # of several processes
    busy = report["frames_of_a_rollout"] / speed
    ranks = MACHINES * CORES_EACH
    small = f"{MACHINES} machines of {CORES_EACH} cores"
    rows = [
        _row(f"{small}, {name}", ranks, size, updates, busy, network)
        for name, network in NETWORKS.items()
    ]
    loop = read_json(BENCHMARKS / GPU_LOOP)["loop"][0]
    for what, milliseconds in (("acting", loop["collect_ms"]), ("learning", loop["learn_ms"])):
        name = f"{GPUS} GPUs, NVLink, where {what} decides"
        rows.append(_row(name, GPUS, size, loop["updates"], milliseconds / 1e3, NVLINK))
    return table(
        ["ranks", "a rollout, s", "its exchanges, s", "bytes sent by a rank", "efficiency"], rows
    )


def _row(
    name: str, ranks: int, size: int, updates: int, busy: float, network: tuple[float, float]
) -> list[str]:
    exchanged = updates * (
        ring_seconds(size, ranks, *network) + ring_seconds(SCALARS_BYTES * ranks, ranks, *network)
    )
    sent = updates * 2 * (ranks - 1) / ranks * size
    cells = [f"{busy:.3f}", f"{exchanged:.3f}", f"{sent / 1e6:,.1f} MB"]
    return [name, *cells, f"{busy / (busy + exchanged):.0%}"]

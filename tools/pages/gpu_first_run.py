"""The tables of the first run on a GPU, before what it found was mended: docs/gpu.md."""

from typing import Any

from tools.pages.files import link, reports, table

Report = dict[str, Any]
WARPS_AT = ((50, 32, 32), (64, 256, 32))


def first_run() -> list[str]:
    """Returns what the first run found, before anything was mended."""
    (name, report), *_ = reports("gpu_first_run_*.json")
    versions, hardware = report["versions"], report["hardware"]
    return [
        f"**The first run** ({hardware['gpu']}, {hardware['cores']} cores, torch "
        f"{versions['torch']}, triton {versions['triton']}, {link(name, report)}), before what it "
        "found was mended. Milliseconds of a CUDA graph's replay:",
        _warps(report),
        _lstm(report),
        "Of a loop with 256 environments and unroll 32, a pass in 4 updates, acting and learning "
        "in turn:",
        _loop(report),
        _operators(report["operators"]),
        "Tests: " + "; ".join(_tests(row) for row in report["tests"]) + ".",
    ]


def _warps(report: Report) -> str:
    rows = [
        [
            f"`{row['op']}`",
            f"T {row['T']}, B {row['B']}",
            str(row["num_warps"]),
            f"{row['forward_ms']:.3f}",
            f"{row['backward_ms']:.3f}",
        ]
        for row in report["kernels"]
        if (row["T"], row["B"], row["D"]) in WARPS_AT
    ]
    return table(["kernel, D 32", "shape", "warps", "forward ms", "backward ms"], rows)


def _lstm(report: Report) -> str:
    rows = [
        [row["backend"], f"{row['forward_ms']:.2f}", f"{row['backward_ms']:.2f}"]
        for row in report["lstm"]
    ]
    return table(["LSTM, T 50, B 32, N 256", "forward ms", "backward ms"], rows)


def _loop(report: Report) -> str:
    header = [
        "encoder",
        "precision",
        "learning, ms",
        "of it on the device",
        "snapshot, ms",
        "acting, ms a step",
        "environments, ms a step",
        "random play, steps/s",
    ]
    rows = [
        [
            row["encoder"],
            row["precision"],
            f"{row['learn_ms']:.0f}",
            f"{row['learn_device_ms']:.0f}",
            f"{row['snapshot_ms']:.1f}",
            f"{row['inference_ms_per_step']:.2f}",
            f"{row['env_ms_per_step']:.1f}",
            f"{row['random_play_steps_per_second']:,.0f}",
        ]
        for row in report["loop"]
    ]
    return table(header, rows)


def _operators(counts: dict[str, Any]) -> str:
    return (
        f"A rollout's {counts['updates']} updates were {counts['before']:,} operators that launch "
        f"a kernel, and are {counts['after']:,} after the mends (counted on a CPU: RDN, unroll 64, "
        "one pass), which a GPU replays as one graph an update."
    )


def _tests(row: dict[str, Any]) -> str:
    why = f" ({row['why']})" if "why" in row else ""
    return f"{row['what']}: {row['passed']} passed, {row['failed']} failed{why}"

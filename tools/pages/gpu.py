"""The tables of what ran on a GPU: docs/throughput.md. What did not says so."""

from typing import Any

from tools.pages.files import link, reports, table

Report = dict[str, Any]
NOT_YET = "not yet measured: `make gpu`"
WARPS_AT = ((50, 32, 32), (64, 256, 32))


def gpu_block() -> str:
    """Returns the newest results of every part, and those of the first run."""
    return "\n\n".join([loop_part(), kernel_part(), training_part(), *first_run()])


def loop_part() -> str:
    """Returns the loop's speed beside that of the environments alone, by core."""
    found = reports("device_loop_*.json")
    if not found:
        return f"**The loop beside random play** (goal: 0.8 of it, every core): {NOT_YET}."
    newest = {_work(report): (name, report) for name, report in found}
    rows = [
        [
            report["settings"]["encoder"]["kind"],
            str(report["settings"]["learner"]["num_passes"]),
            f"`{row['core']}`",
            f"{row['steps_per_second']:,.0f}",
            f"{row['share_of_random_play']:.2f}",
            report["hardware"]["gpu"],
            link(name, report),
        ]
        for name, report in newest.values()
        for row in report["rows"]
    ]
    header = ["encoder", "passes", "core", "steps/s", "of random play", "GPU", "commit and file"]
    return "**The loop beside random play** (goal: 0.8 of it):\n\n" + table(header, rows)


def _work(report: Report) -> tuple[str, ...]:
    learner, encoder = report["settings"]["learner"], report["settings"]["encoder"]
    return (report["hardware"]["gpu"], encoder["kind"], str(learner["num_passes"]))


def kernel_part() -> str:
    """Returns the ratios and times of the newest kernel benchmark by replays."""
    found = [
        named
        for named in reports("kernels_*.json")
        if named[1]["device"] == "cuda" and all("replayed" in row for row in named[1]["rows"])
    ]
    if not found:
        return (
            "**The kernels by graph replay** (goals: RDN 0.2 ms at T 50, B 32 and 0.5 ms at T 64, "
            f"B 256, forward and backward; LSTM 2.5 ms there): {NOT_YET}."
        )
    name, report = found[-1]
    rows = [[r["name"], f"{r['ratio']:.2f}", r["goal"] or ""] for r in report["ratios"]]
    said = f"**The kernels by graph replay** ({report['hardware']['gpu']}, {link(name, report)}):"
    return f"{said}\n\n{table(['ratio or time', 'value', 'goal'], rows)}"


def training_part() -> str:
    """Returns what training reached in the time of `make gpu`; a run is published by hand."""
    return f"**Training** (goals: Pong to 18 in 90 seconds; Breakout in what is left): {NOT_YET}."


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

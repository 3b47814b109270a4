"""The tables of docs/kernels.md: what the fused kernels gain, and of how their time grows."""

from typing import Any

from tools.pages.files import link, machine, reports, table

STEPS, BATCHES = (20, 50, 100, 200, 400), (8, 64, 128, 256)


def kernel_block() -> str:
    """Returns the newest of each ratio that the kernel benchmark found on the newest's CPU."""
    found = reports("kernels_*-cores_*.json")
    files = [named for named in found if machine(named[1]) == machine(found[-1][1])]
    newest = {
        ratio["name"]: (ratio, report, name)
        for name, report in files
        for ratio in report["ratios"]
        if ratio["ratio"] is not None and "feedforward" not in ratio["name"]
    }
    rows = [
        [r["name"], f"{r['ratio']:.2f}", r["goal"] or "", link(name, report)]
        for r, report, name in newest.values()
    ]
    return "\n".join(
        [
            "Forward plus backward at T = 50, B = 32, H = 4, D = 32 (LSTM: 256 units), float32, "
            "with resets; the median time of the backend named first over that of the second, "
            "side by side in one run of `bench kernels` (`compiled`: the loop under "
            "`torch.compile`). `acting` is a whole core at T = 1, B = 32 over one step of "
            f"`nn.LSTM(257, 256)`. {machine(files[-1][1])}.",
            "",
            table(["ratio", "value", "goal", "commit and file"], rows),
            "",
            *scaling(files),
            "",
            "The Triton kernels are checked in Triton's interpreter and compiled ahead of time for "
            "sm_80 and sm_90; what of them ran on a GPU: [on a GPU](gpu.md).",
        ]
    )


def scaling(files: list[tuple[str, Any]]) -> list[str]:
    """Returns how time grows with T and B, in the newest of the runs that timed most operators."""
    name, report = max(reversed(files), key=lambda named: len(times_per_row(named[1])))
    times = times_per_row(report)
    sizes = [*((T, 32) for T in STEPS), *((50, B) for B in BATCHES)]
    return [
        "Microseconds per step and batch row of the fused kernels, forward plus backward (`lstm`: "
        "256 units): constant where time is linear in T and B. What grows with the largest calls "
        f"is the price of memory ([why](#what-time-per-step-depends-on), {link(name, report)}).",
        "",
        table(
            ["op", *(f"T = {T}, B = {B}" for T, B in sizes)],
            [[f"`{op}`", *(f"{times[op][size]:.2f}" for size in sizes)] for op in times],
        ),
    ]


def times_per_row(report: Any) -> dict[str, dict[tuple[int, int], float]]:
    """Returns microseconds per step and batch row by operator and (T, B) at the main head size."""
    times: dict[str, dict[tuple[int, int], float]] = {}
    for r in report["rows"]:
        if r["backend"] == "cpu" and r["ok"] and r["K"] == (256 if r["H"] == 1 else 32):
            per_row = 1e3 * r["total_ms"] / (r["T"] * r["B"])
            times.setdefault(r["op"], {})[r["T"], r["B"]] = per_row
    return times

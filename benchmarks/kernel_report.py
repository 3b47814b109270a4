"""What `bench kernels` prints and writes: the rows, the ratios that matter, and their goals."""

from typing import Any

import torch
from rich.table import Table

from benchmarks.kernel_cases import Shape
from benchmarks.kernels import LARGE, MAIN, Row, Settings, suited, time_acting, time_kernels
from benchmarks.result_file import RESULTS, ResultFile, show
from experiment.provenance import provenance

GOALS = {"reference": 10.0, "compiled": 3.0, "nn.LSTM": 0.7, "nn.LSTM stepped": 2.0}
"""By how much the fused kernel should beat each other backend at the main shape."""
GPU_GOALS = {"reference": 30.0, "compiled": 3.0, "nn.LSTM stepped": 2.0}
# Most milliseconds that forward and backward may take together on a GPU, with heads and without.
GPU_LIMITS = ((MAIN, True, 0.2), (LARGE, True, 0.5), (LARGE, False, 2.5))
ACTING_GOAL = 2.5


def main(settings: Settings, *, as_json: bool) -> None:
    """Times the kernels, prints a table or JSON, and writes the result file unless quick."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept = ResultFile("kernels", None if settings.quick else RESULTS)
    report = run(settings, device, kept)
    show(report, tables(report), kept.path, as_json=as_json)


def run(settings: Settings, device: torch.device, kept: ResultFile) -> dict[str, Any]:
    """Returns rows, acting times and ratios beside what they were made with; keeps them so far."""
    made_with = provenance()
    torch.backends.cudnn.allow_tf32 = False  # what is called float32 is float32
    acting = time_acting(settings, device)
    rows: list[Row] = []
    report: dict[str, Any] = {}
    for found in time_kernels(settings, device):
        rows = sorted([*rows, *found], key=lambda row: str(row["op"]))
        report = {
            **made_with,
            "device": device.type,
            "threads": torch.get_num_threads(),
            "rows": rows,
            "acting": acting,
            "ratios": [*ratios(rows), *times_within(rows), *acting_ratios(acting, device)],
        }
        kept.write(report)
    return report


def ratios(rows: list[Row]) -> list[Row]:
    """Returns by how much the fused kernel beats each other backend, forward plus backward."""
    times = {
        (r["op"], r["backend"]): r["total_ms"] for r in rows if r["T"] == MAIN.T and _is_main(r)
    }
    fused = "triton" if any(backend == "triton" for _, backend in times) else "cpu"
    goals = GOALS if fused == "cpu" else GPU_GOALS
    found: list[Row] = []
    for (op, backend), slow in times.items():
        fast = times.get((op, fused))
        if backend != fused and isinstance(slow, float) and isinstance(fast, float):
            goal = goals.get(str(backend))
            found.append(_ratio(f"{op}: {backend} / {fused}", slow / fast, goal, at_least=True))
    return found


def times_within(rows: list[Row]) -> list[Row]:
    """Returns the times that have a limit on a GPU, in milliseconds, forward plus backward."""
    found = []
    for shape, has_heads, limit in GPU_LIMITS:
        for r in rows:
            is_asked = r["backend"] == "triton" and r["T"] == shape.T
            if is_asked and (r["H"] != 1) == has_heads and _is_of(r, shape) and r["ok"]:
                name = f"{r['op']}: ms at T = {shape.T}, B = {shape.B}"
                found.append(_ratio(name, float(str(r["total_ms"])), limit, at_least=False))
    return found


def _is_main(row: Row) -> bool:
    return _is_of(row, MAIN)


def _is_of(row: Row, asked: Shape) -> bool:
    """Whether a row is of a shape, apart from its steps."""
    shape = suited(str(row["op"]), asked)
    return row["B"] == shape.B and row["K"] == shape.D


def acting_ratios(acting: list[Row], device: torch.device) -> list[Row]:
    """Returns the cost of each core's step in steps of nn.LSTM(257, 256)."""
    goal = ACTING_GOAL if device.type == "cpu" else None
    unit = acting[0]["step_ms"]
    return [
        _ratio(f"acting: {r['core']} / nn.LSTM", r["step_ms"] / unit, goal, at_least=False)
        for r in acting[1:]
        if isinstance(r["step_ms"], float) and isinstance(unit, float)
    ]


def _ratio(name: str, ratio: float, goal: float | None, *, at_least: bool) -> Row:
    met = None if goal is None else (ratio >= goal if at_least else ratio <= goal)
    sign = ">=" if at_least else "<="
    wanted = None if goal is None else f"{sign} {goal:g}"
    return {"name": name, "ratio": ratio, "goal": wanted, "met": met}


def tables(report: dict[str, Any]) -> list[Table]:
    """Returns the report as tables for a terminal."""
    kernels = Table(title="ms, median [quartiles]")
    for column in ("op", "backend", "T", "B", "H", "K", "forward", "backward", "both"):
        kernels.add_column(column, no_wrap=True)
    kernels.add_column("ok")
    for r in report["rows"]:
        sizes = (str(r[x]) for x in ("T", "B", "H", "K"))
        parts = ("" if not r["ok"] else f"{r[f'{p}_ms']:.3g}" for p in ("forward", "backward"))
        both = _cell(r, "total_ms")
        kernels.add_row(r["op"], r["backend"], *sizes, *parts, both, "yes" if r["ok"] else r["why"])
    acting = Table("core", "step", "ok", title="acting, T = 1, B = 32, whole stack, ms")
    for r in report["acting"]:
        acting.add_row(r["core"], _cell(r, "step_ms"), "yes" if r["ok"] else "no")
    compared = Table("ratio", "value", title="ratios")
    for r in report["ratios"]:
        compared.add_row(r["name"], f"{r['ratio']:.2f}")
    return [kernels, acting, compared]


def _cell(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key}_quartiles"]
    return f"{row[key]:.3g} \\[{low:.3g} {high:.3g}]"

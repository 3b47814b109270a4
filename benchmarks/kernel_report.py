"""What `bench kernels` prints and writes: the rows, the ratios that matter, and their goals."""

from typing import Any

import torch
from rich.table import Table

from benchmarks.kernels import MAIN, Row, Settings, suited, time_acting, time_kernels
from benchmarks.result_file import show, write_result
from experiment.provenance import provenance

GOALS = {"reference": 10.0, "compiled": 3.0, "nn.LSTM": 0.7, "nn.LSTM stepped": 2.0}
"""By how much the fused kernel should beat each other backend at the main shape."""
ACTING_GOAL = 2.5


def main(settings: Settings, *, as_json: bool) -> None:
    """Times the kernels, prints a table or JSON, and writes the result file unless quick."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    report = run(settings, device)
    path = None if settings.quick else write_result("kernels", report)
    show(report, tables(report), path, as_json=as_json)


def run(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Returns rows, acting times and ratios beside what they were made with."""
    made_with = provenance()
    rows = time_kernels(settings, device)
    acting = time_acting(settings, device)
    return {
        **made_with,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "rows": rows,
        "acting": acting,
        "ratios": [*ratios(rows), *acting_ratios(acting)],
    }


def ratios(rows: list[Row]) -> list[Row]:
    """Returns by how much the fused kernel beats each other backend, forward plus backward."""
    times = {
        (r["op"], r["backend"]): r["total_ms"] for r in rows if r["T"] == MAIN.T and _is_main(r)
    }
    fused = "triton" if any(backend == "triton" for _, backend in times) else "cpu"
    found: list[Row] = []
    for (op, backend), slow in times.items():
        fast = times.get((op, fused))
        if backend != fused and isinstance(slow, float) and isinstance(fast, float):
            goal = GOALS.get(str(backend)) if fused == "cpu" else None
            found.append(_ratio(f"{op}: {backend} / {fused}", slow / fast, goal, at_least=True))
    return found


def _is_main(row: Row) -> bool:
    shape = suited(str(row["op"]), MAIN)
    return row["B"] == shape.B and row["K"] == shape.D


def acting_ratios(acting: list[Row]) -> list[Row]:
    """Returns the cost of each core's step in steps of nn.LSTM(257, 256)."""
    unit = acting[0]["step_ms"]
    return [
        _ratio(f"acting: {r['core']} / nn.LSTM", r["step_ms"] / unit, ACTING_GOAL, at_least=False)
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
    compared = Table("ratio", "value", "goal", "met", title="ratios")
    for r in report["ratios"]:
        met = {True: "yes", False: "no", None: ""}[r["met"]]
        compared.add_row(r["name"], f"{r['ratio']:.2f}", r["goal"] or "", met)
    return [kernels, acting, compared]


def _cell(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key}_quartiles"]
    return f"{row[key]:.3g} \\[{low:.3g} {high:.3g}]"

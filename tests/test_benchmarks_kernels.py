"""The kernel benchmark: its documented keys, and no time for a backend that is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import kernel_report
from benchmarks.kernel_cases import OPS, Shape, make_case
from benchmarks.kernels import Settings, time_case
from benchmarks.result_file import ResultFile
from benchmarks.timing import summarise, take_turns

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
TIMES = ("forward_ms", "backward_ms", "forward_ms_quartiles", "backward_ms_quartiles")

pytestmark = pytest.mark.usefixtures("one_thread")


def timed(op="delta_rule", **candidates):
    """Returns the row of each candidate, made from the reference."""
    case = make_case(op, Shape(3, 2, 2, 8), CPU)
    case.candidates.clear()
    for name, spoil in candidates.items():
        case.candidates[name] = lambda *args, spoil=spoil: spoil(*case.reference(*args))
    return {row["backend"]: row for row in time_case(case, rounds=1)}


def test_quick_run_has_the_documented_keys(tmp_path):
    kept = ResultFile("kernels", tmp_path)
    report = kernel_report.run(Settings(quick=True), CPU, kept)
    assert json.loads(kept.path.read_text()) == json.loads(json.dumps(report))
    assert {"command", "commit", "date", "hardware", "versions", "threads"} <= report.keys()
    assert {row["op"] for row in report["rows"]} == set(OPS)
    for row in report["rows"]:
        assert {"op", "backend", "T", "B", "H", "K", "V", "dtype", "ok", *TIMES} <= row.keys()
        assert row["ok"], row
        low, high = row["forward_ms_quartiles"]
        assert 0 < low <= row["forward_ms"] <= high
    lstm = [row["backend"] for row in report["rows"] if row["op"] == "lstm"]
    assert {"reference", "cpu", "nn.LSTM", "nn.LSTM stepped"} <= set(lstm)
    assert all(row["ok"] and row["step_ms"] > 0 for row in report["acting"])
    assert len(list(kernel_report.tables(json.loads(json.dumps(report))))) == 3


def test_a_wrong_backend_has_no_time():
    def fail(*_):
        raise ValueError("no compiler\nhere")

    rows = timed(
        right=lambda y, state: (y, state),
        wrong_output=lambda y, state: (y * 1.001, state),
        wrong_state=lambda y, state: (y, state * 1.001),
        wrong_gradient=lambda y, state: (y.detach() + 0.999 * (y - y.detach()), state),
        nan=lambda y, state: (y * torch.nan, state),
        failing=fail,
    )
    right = rows.pop("right")
    assert right["ok"]
    assert right["forward_ms"] > 0
    for name, row in rows.items():
        assert row["ok"] is False, name
        assert all(row[key] is None for key in TIMES), name
        assert row["why"], name
    assert rows["failing"]["why"] == "no compiler here"


def test_lstm_that_ignores_starts_is_right_only_where_it_says_so():
    case = make_case("lstm", Shape(6, 4, 1, 8), CPU)
    case.start[2] = True
    ignoring = case.candidates["nn.LSTM"]
    case.candidates["cpu"] = ignoring
    rows = {row["backend"]: row for row in time_case(case, rounds=1)}
    assert rows["nn.LSTM"]["ok"]
    assert not rows["nn.LSTM"]["resets"]
    assert rows["nn.LSTM stepped"]["ok"]
    assert not rows["cpu"]["ok"]


def test_calls_take_turns():
    order = []

    def call(name):
        order.append(name)
        return (1.0,)

    samples = take_turns({n: lambda n=n: call(n) for n in "ab"}, rounds=3, warm_up=1)
    assert "".join(order) == "ab" + "ab" * 3
    assert samples == {"a": [(1.0,)] * 3, "b": [(1.0,)] * 3}


def test_summary_is_in_milliseconds():
    timing = summarise([0.001, 0.002, 0.003, 0.004, 0.1])
    assert timing.median == pytest.approx(3.0)
    assert timing.quartiles == pytest.approx((2.0, 4.0))


def test_ratio_goals_compare_the_main_shape():
    base = {"T": 50, "B": 32, "K": 32, "op": "rdn"}
    rows = [
        base | {"backend": "reference", "total_ms": 40.0},
        base | {"backend": "cpu", "total_ms": 2.0},
        base | {"backend": "cpu", "total_ms": 9.0, "B": 8},
        base | {"backend": "compiled", "total_ms": None},
    ]
    (ratio,) = kernel_report.ratios(rows)
    assert ratio == {"name": "rdn: reference / cpu", "ratio": 20.0, "goal": ">= 10", "met": True}


def test_times_on_a_gpu_have_limits():
    large = {"T": 64, "B": 256, "backend": "triton", "ok": True}
    rows = [
        large | {"op": "rdn", "H": 4, "K": 32, "total_ms": 0.4},
        large | {"op": "lstm", "H": 1, "K": 256, "total_ms": 2.6},
        large | {"op": "rdn", "H": 4, "K": 64, "total_ms": 9.0},
        large | {"op": "rdn", "H": 4, "K": 32, "total_ms": 9.0, "backend": "reference"},
    ]
    found = {row["name"]: (row["ratio"], row["met"]) for row in kernel_report.times_within(rows)}
    assert found == {
        "rdn: ms at T = 64, B = 256": (0.4, True),
        "lstm: ms at T = 64, B = 256": (2.6, False),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ops", "rdm"], "got rdm"),
        (["--rounds", "0"], "rounds must be >= 1, got 0"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, ROOT / "run_atari.py", "bench", "kernels", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""Which result files the tables of the pages are made of."""

import pytest

from tools.pages import gpu, kernels, sequences
from tools.pages.throughput import PEER, peer_lines


def on_gpu(commit, gpu_name, **ratios):
    return {
        "device": "cuda",
        "commit": commit,
        "hardware": {"gpu": gpu_name},
        "rows": [{"op": "rdn", "T": 64, "B": 256, "replayed": True}],
        "ratios": [{"name": name, "ratio": ratio, "goal": None} for name, ratio in ratios.items()],
    }


def test_a_later_run_of_one_kernel_leaves_the_others_in_the_table(monkeypatch):
    files = [
        ("a.json", on_gpu("aaaaaaa", "One", rdn=1.0, lstm=2.0)),
        ("b.json", on_gpu("bbbbbbb", "Two", rdn=5.0)),
        ("c.json", on_gpu("ccccccc", "One", rdn=3.0)),
    ]
    monkeypatch.setattr(gpu, "reports", lambda pattern: files)
    one, two = gpu.kernel_part().split("(Two)")
    assert "| rdn | 3.00 |  | [ccccccc]" in one
    assert "| lstm | 2.00 |  | [aaaaaaa]" in one
    assert "| rdn | 5.00 |  | [bbbbbbb]" in two


def timed(date, steps_per_second):
    speeds = {PEER: {"steps_per_second": 100.0, "quartiles": [90.0, 110.0]}}
    named = {"encoder": "small", "core": "lstm", "mode": "serial", "commit": date * 7}
    return f"{date}.json", {
        "date": date,
        "speeds": speeds,
        "steps_per_second": steps_per_second,
        **named,
    }


@pytest.mark.parametrize("turned", [False, True])
def test_the_newest_run_with_a_peer_is_told_wherever_it_stands(turned):
    files = [timed("1", 200.0), timed("2", 300.0)]
    (line,) = peer_lines(files[::-1] if turned else files)
    assert "3.00 times as many (2.73 to 3.33 at" in line
    assert peer_lines([("x.json", {"date": "3", "speeds": {}})]) == []


def test_sequences_timed_on_a_gpu_are_not_shown_as_a_cpus(monkeypatch):
    found = [(n, r) for n, r in sequences.reports("sequences_*.json") if r["device"] == "cpu"]
    newer = ("gpu.json", found[-1][1] | {"device": "cuda", "commit": "0" * 40})
    monkeypatch.setattr(sequences, "reports", lambda pattern: [*found, newer])
    assert "gpu.json" not in sequences.sequences_block()


def test_a_ratio_of_another_machine_is_not_shown_as_the_newest_ones(monkeypatch):
    found = kernels.reports("kernels_*-cores_*.json")
    ratio = {"name": "of another: a / b", "ratio": 2.0, "goal": None}
    hardware = found[-1][1]["hardware"] | {"cpu": "Another"}
    other = ("other.json", found[-1][1] | {"hardware": hardware, "ratios": [ratio]})
    monkeypatch.setattr(kernels, "reports", lambda pattern: [other, *found])
    assert "of another" not in kernels.kernel_block()

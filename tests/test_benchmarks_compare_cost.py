"""The benchmark of `compare`: what it measures of a few run folders."""

from benchmarks.compare_cost import measure
from tests.run_folders import write_seeds


def test_runs_their_metrics_time_and_memory_are_counted(tmp_path):
    for core in ("lstm", "rdn"):
        write_seeds(tmp_path, core, [0.5, 1.0])
    metrics = [path.stat().st_size for path in tmp_path.rglob("metrics.jsonl")]
    before = sorted(tmp_path.rglob("*"))
    found = measure([tmp_path])
    assert (found["num_runs"], found["bytes"]) == (4, sum(metrics))
    assert 0.5 < found["seconds"] < 300
    assert 20e6 < found["peak_memory_bytes"] < 2e9
    assert sorted(tmp_path.rglob("*")) == before

"""Every Triton kernel compiled for sm_80 and sm_90 without a GPU, and what that costs.

A subprocess compiles: this one has Triton's interpreter on, which replaces the compiler.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kernel_cases import has_heads
from models.kernels import operators

pytest.importorskip("triton")

ROOT = Path(__file__).parent.parent
OPERATORS = [*filter(has_heads, operators()), "rdn-sum", "rdn-l2"]
GATED = [name for name in operators() if not has_heads(name)]
T, B, H = 51, 32, 4
# Of a block, at compute capability 8.6 (CUDA C++ Programming Guide).
SMALLEST_SHARED_BYTES = 99 * 1024


def resources(op, *options):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_resources.py"), "--json"]
    done = subprocess.run([*command, "--ops", *op, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def spilling(rows):
    return [row for row in rows if row["stack_bytes"] or row["local_bytes"]]


def assert_one_launch_each_way(rows, num_variants):
    for kernel in ("forward", "backward"):
        assert len([row for row in rows if row["kernel"] == kernel]) == num_variants
    assert len(rows) == 2 * num_variants


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_unroll_at_head_size_32_is_one_launch_each_way_and_spills_nothing():
    rows = resources(OPERATORS, "--sizes", "32", "--dtypes", "float32")
    assert_one_launch_each_way(rows, num_variants=len(OPERATORS) * 2)
    assert {row["sm"] for row in rows} == {80, 90}
    assert all(row["programs"] == B * H for row in rows)
    assert spilling(rows) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("op", OPERATORS)
def test_head_sizes_up_to_64_spill_nothing(op, dtype):
    rows = resources([op], "--sizes", "8", "16", "24", "32", "48", "64", "--dtypes", dtype)
    assert_one_launch_each_way(rows, num_variants=6 * 2)
    assert spilling(rows) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("op", OPERATORS)
def test_head_size_128_compiles(op, record_property):
    rows = resources([op], "--sizes", "128")
    assert_one_launch_each_way(rows, num_variants=2 * 2)
    record_property("spilling", spilling(rows))
    assert all(row["shared_bytes"] <= SMALLEST_SHARED_BYTES for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_writes_a_step_need_no_more_shared_memory():
    how = ("--sizes", "128", "--dtypes", "float32", "--writes", "8")
    rows = resources(["delta_product"], *how)
    assert_one_launch_each_way(rows, num_variants=2)
    assert all(row["shared_bytes"] <= SMALLEST_SHARED_BYTES for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("op", GATED)
def test_a_step_of_a_gated_layer_is_one_launch_each_way_and_spills_nothing(op):
    rows = resources([op], "--hidden", "64", "--dtypes", "float32")
    assert_one_launch_each_way(rows, num_variants=2)
    assert spilling(rows) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("op", GATED)
def test_a_gated_layer_spills_nothing_at_any_hidden_size(op):
    rows = resources([op], "--hidden", "64", "200", "256", "1000")
    assert_one_launch_each_way(rows, num_variants=4 * 2 * 2)
    assert spilling(rows) == []

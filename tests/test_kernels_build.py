"""Building the C++ kernels: the cache, failures, and code for CPUs without wide vectors."""

import json
import logging
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models.kernels import build, native
from models.kernels.rdn import cpu
from tests.kernel_cases import OPERATORS, make_inputs, sizes

ROOT = Path(__file__).parent.parent
# Keeps a line per call and "compiles" to whatever follows -o; a pause lets two builds meet.
COMPILER = """#!/bin/sh
echo "$@" >> {calls}
sleep 0.05
while [ "$1" != -o ]; do shift; done
echo made > "$2"
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Replaces the compiler by a script; returns the file with a line for each of its calls."""
    script, calls = tmp_path / "compiler", tmp_path / "calls"
    script.write_text(COMPILER.format(calls=calls))
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    return calls


def test_a_second_build_compiles_nothing(compiler, tmp_path, monkeypatch):
    library = build.build(tmp_path / "cache")
    assert library.read_text() == "made\n"
    assert len(compiler.read_text().splitlines()) == len(build.SOURCES) + 1
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.build(tmp_path / "cache") == library


def test_a_compiler_may_bring_arguments(compiler, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", f"env {tmp_path / 'compiler'}")
    assert build.build(tmp_path / "cache").read_text() == "made\n"


def test_builds_at_the_same_time_compile_once(compiler, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        libraries = set(pool.map(lambda _: build.build(tmp_path / "cache"), range(4)))
    assert len(libraries) == 1
    assert len(compiler.read_text().splitlines()) == len(build.SOURCES) + 1


def test_every_operator_is_built():
    assert [path.parent.name for path in build.SOURCES] == [
        "delta_rnn",
        "delta_rule",
        "gru",
        "linear_attention",
        "lstm",
        "rdn",
        "srwm",
    ]


def test_the_key_tells_flags_torch_and_cpus_apart(monkeypatch):
    keys = {build.build_key(("-O3",)), build.build_key(("-O2",))}
    monkeypatch.setattr(build, "instruction_set", lambda: "another CPU")
    keys.add(build.build_key(("-O3",)))
    monkeypatch.setattr(torch, "__version__", "0.0")
    keys.add(build.build_key(("-O3",)))
    assert len(keys) == 4


def test_the_key_tells_sources_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setattr(build, "HEADERS", ())
    monkeypatch.setattr(build, "SOURCES", (tmp_path / "cpu.cpp",))
    keys = set()
    for text in ("int a;", "int b;"):
        (tmp_path / "cpu.cpp").write_text(text)
        keys.add(build.build_key(()))
    assert len(keys) == 2


def test_no_compiler_is_said_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.unavailable.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            reasons = {build.unavailable() for _ in range(2)}
    finally:
        build.unavailable.cache_clear()
    assert len(reasons) == 1
    assert "'no-such-compiler' is not on the path" in reasons.pop()
    assert len(caplog.records) == 1


def test_a_failed_build_names_compiler_command_and_log(tmp_path, monkeypatch):
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho 'no such header' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(build.BuildError) as caught:
        build.build(tmp_path / "cache")
    (log,) = (tmp_path / "cache").glob("*.log")
    assert str(log) in str(caught.value)
    assert f"{script} failed" in str(caught.value)
    assert "-c " in str(caught.value)
    assert "no such header" in log.read_text()
    assert not list((tmp_path / "cache").glob("*.so"))


def test_a_backend_without_its_library_is_refused(monkeypatch):
    monkeypatch.setattr(build, "unavailable", lambda: "no C++ compiler")
    load = native.loader("no such operator", *[None] * 4)  # which cannot be registered
    assert [load(), load()] == ["no C++ compiler"] * 2


@pytest.mark.skipif(build.unavailable() is not None, reason="no C++ compiler")
@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_the_process_has_one_openmp_runtime():
    op = next(op for op in OPERATORS if op.name == "rdn")
    cpu.run(*make_inputs(op, sizes(3, 2, 2, 8), torch.float32).values())
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    runtimes = [path for path in mapped if "gomp" in path or "iomp" in path]
    assert len(runtimes) == 1, runtimes


# Worst relative RMS error seen: 2.1e-7 (AVX-512, 2026-11-24).
CHECK_EVERY_OPERATOR = """
import importlib, json, sys
from pathlib import Path
import torch
from models.kernels import build, inputs

library = build.build(Path(sys.argv[1]), tuple(sys.argv[3:]))
torch.ops.load_library(str(library))
build.unavailable = lambda: None
T, B, H, D, N = 20, 2, 2, 24, 20
SIZES = {"T": T, "M": 3, "B": B, "H": H, "D": D, "K": D, "V": D, "N": N}
torch.manual_seed(0)
for name, options in json.loads(sys.argv[2]):
    module = importlib.import_module(f"models.kernels.{name}")
    floats = []
    for argument, dims in list(module.LAYOUT.items())[:-1]:
        x = torch.randn([inputs.size_of(dim, SIZES) for dim in dims.split()])
        is_key = argument in ("q", "k", "rk", "x")
        is_chaotic = options.get("key_norm") == "l2" and argument.startswith("r_")
        scale = 20 if is_chaotic else 4  # at unit keys, unless the recurrent weights are small
        x = x.softmax(-1) if is_key else x.sigmoid() if dims.endswith("H") else x / scale
        floats.append(x.requires_grad_())
    start = torch.rand(T, B) < 0.1
    results = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        options["backend"] = backend
        outputs = getattr(module, name)(*(x.to(dtype) for x in floats), start, **options)
        torch.manual_seed(1)
        loss = sum((x * torch.randn(x.shape)).sum() for x in outputs)
        results.append([*outputs, *torch.autograd.grad(loss, floats)])
    for got, want in zip(*results):
        error = ((got - want).norm() / want.norm()).item()
        bound = 3e-6 if options.get("key_norm") == "l2" else 1e-6  # as of every backend
        assert error < bound, (name, options, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names x86 instruction sets")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])
def test_code_for_a_cpu_without_wide_vectors_is_correct(level, tmp_path):
    cases = json.dumps([(op.name, op.options) for op in OPERATORS])
    command = [sys.executable, "-c", CHECK_EVERY_OPERATOR, str(tmp_path), cases, *build.FLAGS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, f"-march={level}"], check=True, env=environment, cwd=tmp_path)

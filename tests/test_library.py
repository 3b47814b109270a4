"""The package `fast_weights`: what it offers, and that a wheel of it works elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import models
from experiment.run_dir import read_status
from models.kernels import operators

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/library.md"
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_every_kernel_is_a_function_by_its_folders_name():
    for name, package in operators().items():
        assert getattr(models.kernels, name) is getattr(package, name)
        assert name in models.kernels.__all__


def test_every_block_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_weights", models)
    monkeypatch.chdir(tmp_path)
    Path("results").symlink_to(ROOT / "results")
    monkeypatch.setitem(sys.modules, "page", ModuleType("page"))
    namespace = {"__name__": "page"}
    found = blocks(PAGE.read_text())
    assert len(found) == 9
    for block in found:
        exec(compile(block, str(PAGE), "exec"), namespace)
    assert list(namespace["y"].shape) == [16, 4, 2, 16]
    assert namespace["spec"]["game"] == "Pong-v5"
    assert namespace["policy"].core.output_size == 16
    assert namespace["result"]["game"] == "page:hidden_cart_pole"
    assert namespace["result"]["mean_return"] >= 1
    assert read_status(namespace["run"])["status"] == "finished"


USE = """
import sys

import torch

from fast_weights import CoreConfig, kernels, load_policy, make_core

T, B, H, D = 6, 2, 2, 16
torch.manual_seed(1)


def rows(*shape):
    return torch.randn(*shape, requires_grad=True)


q, k, v, b = rows(T, B, H, D), rows(T, B, H, D), rows(T, B, H, D), rows(T, B, H)
r = [rows(H, D, D), rows(H, D, D), rows(H, D, D), rows(H, D)]
state = [torch.zeros(B, H, D, D), torch.zeros(B, H, D)]
start = torch.zeros(T, B, dtype=torch.bool)
start[3, 0] = True
inputs = (q, k, v, b, *r)
y, grads = {}, {}
for backend in ("cpu", "reference"):
    y[backend], *_ = kernels.rdn(*inputs, *state, start, backend=backend)
    grads[backend] = torch.autograd.grad(y[backend].square().sum(), inputs)
torch.testing.assert_close(y["cpu"], y["reference"], rtol=1e-4, atol=1e-5)
for ours, theirs in zip(grads["cpu"], grads["reference"]):
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)

core = make_core(CoreConfig(kind="rdn", kernel="cpu", num_layers=1, hidden_size=32, num_heads=2), 5)
x = rows(T, B, 5)
y, _ = core(x, core.initial_state(B), start)
alone, _ = core(x[3:], core.initial_state(B), start[3:])
torch.testing.assert_close(y[3:, 0], alone[:, 0])
assert not torch.allclose(y[3:, 1], alone[:, 1])
(grad,) = torch.autograd.grad(y[3:, 0].sum(), x)
assert (grad[:3] == 0).all() and (grad[3:, 0] != 0).all()

policy = load_policy(sys.argv[1])
begin, nothing = torch.tensor([[True]]), torch.tensor([[-1]])
state = policy.initial_state(1)
with torch.no_grad():
    for step in range(2):
        screen = torch.full((1, 1, 4, 84, 84), step, dtype=torch.uint8)
        output, state = policy(screen, torch.zeros(1, 1), nothing, begin, state)
        begin = torch.tensor([[False]])
assert output.logits.shape == (1, 1, 6) and output.logits.isfinite().all()

foreign = {"models", "agents", "envs", "gymnasium", "envpool", "jsonargparse", "rich", "scipy"}
assert not foreign & set(sys.modules), foreign & set(sys.modules)
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A folder that a wheel of a copy of the checkout was installed in, without its needs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "models", source / "models")
    for name in FILES:
        shutil.copyfile(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *alone, "--no-build-isolation", "-w", folder, source], check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *alone, "--target", folder / "target", wheel], check=True)
    return folder / "target"


def run_elsewhere(target, folder, script, *arguments):
    environment = os.environ | {
        "PYTHONPATH": str(target),
        "XDG_CACHE_HOME": str(target.parent / "cache"),  # so that the kernels are compiled
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_wheel_works_from_another_folder(target, tmp_path):
    assert {path.name for path in target.iterdir() if "dist-info" not in path.name} == {
        "fast_weights"
    }
    done = run_elsewhere(target, tmp_path, USE, ROOT / "results/pong/rdn/seed1/policy.safetensors")
    assert "compiling the cpu kernels" in done.stderr
    assert list((target.parent / "cache").rglob("kernels_*.so"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_holds_for_the_wheel(target, tmp_path):
    (tmp_path / "results").symlink_to(ROOT / "results")
    of_the_library = blocks(PAGE.read_text().partition("## Training in Python")[0])
    assert len(of_the_library) == 5
    run_elsewhere(target, tmp_path, "\n".join(of_the_library))

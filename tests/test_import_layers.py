"""Imports point downwards only, read off the source: docs/architecture.md draws the layers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (  # lowest first; what stands in one line imports none of its neighbours
    ("models", "envs"),
    ("experiment",),
    ("agents", "sequences"),
    ("watch", "sweep", "comparison"),
    ("benchmarks", "tools", "run_atari", "run_sequences"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
TOP = len(LAYERS) - 1  # may import one another
SOURCES = [
    path
    for name in LEVELS
    for path in [*(ROOT / name).rglob("*.py"), ROOT / f"{name}.py"]
    if path.is_file()
]


def imported(path):
    """Yields the first part of the name of every module that a file imports, deep inside too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in set(imported(path)) - {own}:
        assert name != "tests", f"{path} imports tests"
        level = LEVELS.get(name, -1)
        assert level < LEVELS[own] or level == LEVELS[own] == TOP, f"{own} must not import {name}"


def test_models_import_each_other_relatively_so_that_a_package_can_carry_them():
    for path in (ROOT / "models").rglob("*.py"):
        assert "models" not in set(imported(path)), path

"""The dependency order envs, models <- agents, read off the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {"envs": set(), "models": set(), "agents": {"envs", "models"}}
SOURCES = [p for layer in MAY_IMPORT for p in (ROOT / layer).rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layer_imports_only_what_it_may(path):
    layer = path.relative_to(ROOT).parts[0]
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    modules += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 0]
    for top in {m.split(".")[0] for m in modules} & (MAY_IMPORT.keys() | {"tests", "benchmarks"}):
        assert top == layer or top in MAY_IMPORT[layer], f"{layer} must not import {top}"

"""Writes every generated block: `python -m benchmarks.pages`."""

from benchmarks.pages import PAGES, render
from benchmarks.pages.files import ROOT

for page in PAGES:
    (ROOT / page).write_text(render(page))

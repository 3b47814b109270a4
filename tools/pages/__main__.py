"""Writes every generated block: `python -m tools.pages`."""

from experiment.provenance import ROOT
from tools.pages import PAGES, render

for page in PAGES:
    (ROOT / page).write_text(render(page))

"""Writes every generated block: `python -m tools.pages`."""

from tools.pages import PAGES, render
from tools.pages.files import ROOT

for page in PAGES:
    (ROOT / page).write_text(render(page))

"""The tuning runs of Pong: a table of all, from `results/pong_tuning`."""

from typing import Any

from experiment.settings import flat
from tools.pages.files import ROOT, read_json, table

RUNS = ROOT / "results" / "pong_tuning"

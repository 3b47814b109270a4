"""The tuning runs of Pong: a table of all, from `results/pong_tuning`."""

from tools.pages.files import ROOT

RUNS = ROOT / "results" / "pong_tuning"

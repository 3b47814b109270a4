"""Blocks of the documentation that are written from result files, never by hand.

A page marks a block with `<!-- results: NAME -->` and `<!-- end: NAME -->`. Run
`python -m tools.pages` after adding a result; `tests/test_docs.py` fails where a page and the
files disagree.
"""

import re
from collections.abc import Callable

from experiment.provenance import ROOT
from tools.pages.against import against_block
from tools.pages.answers import answers_block, formal_block, text_block
from tools.pages.atari import games_block, one_frame_block
from tools.pages.compare_cost import compare_block
from tools.pages.core_table import core_table_block
from tools.pages.coverage import coverage_block
from tools.pages.encoder import encoder_block
from tools.pages.gpu import gpu_block
from tools.pages.gpu_resources import registers_block
from tools.pages.install import install_block
from tools.pages.kernels import kernel_block
from tools.pages.keys import keys_block
from tools.pages.levers import levers_block
from tools.pages.loop_costs import costs_block, run_length_block
from tools.pages.lost_points import lost_points_block
from tools.pages.memory import memory_block
from tools.pages.parallel import efficiency_block, exchange_block, processes_block
from tools.pages.pong import pong_block
from tools.pages.pong_tuning import lambda_block, rally_block, skip_block, tuning_block
from tools.pages.reliability import campaign_block, soak_block
from tools.pages.same_weights import same_games_block, same_weights_block
from tools.pages.sequences import sequences_block
from tools.pages.startup import startup_block
from tools.pages.state_growth import growth_block
from tools.pages.throughput import recipe_block, speed_block, throughput_block
from tools.pages.which import which_block

PAGES = (
    "README.md",
    "docs/pong.md",
    "docs/pong_trials.md",
    "docs/atari.md",
    "docs/memory.md",
    "docs/table.md",
    "docs/kernels.md",
    "docs/cores.md",
    "docs/throughput.md",
    "docs/gpu.md",
    "docs/results.md",
    "docs/reliability.md",
    "docs/compare.md",
    "docs/parallel.md",
    "docs/sequences.md",
    "docs/first_hour.md",
    "docs/reproduce.md",
)
BLOCKS: dict[str, Callable[[], str]] = {
    "pong": pong_block,
    "one_frame": one_frame_block,
    "games": games_block,
    "tuning": tuning_block,
    "lambda": lambda_block,
    "rallies": rally_block,
    "skip": skip_block,
    "lost_points": lost_points_block,
    "memory": memory_block,
    "core_table": core_table_block,
    "kernels": kernel_block,
    "registers": registers_block,
    "keys": keys_block,
    "speed": speed_block,
    "speed_of_recipe": recipe_block,
    "throughput": throughput_block,
    "encoder": encoder_block,
    "faults": campaign_block,
    "soak": soak_block,
    "against": against_block,
    "costs": costs_block,
    "levers": levers_block,
    "run_length": run_length_block,
    "compare": compare_block,
    "coverage": coverage_block,
    "gpu": gpu_block,
    "startup": startup_block,
    "growth": growth_block,
    "same_games": same_games_block,
    "same_weights": same_weights_block,
    "processes": processes_block,
    "exchanges": exchange_block,
    "efficiency": efficiency_block,
    "sequences": sequences_block,
    "answers": answers_block,
    "formal": formal_block,
    "text": text_block,
    "install": install_block,
    "which": which_block,
}


def render(page: str) -> str:
    """Returns the text of a page with its blocks as the result files give them."""
    text = (ROOT / page).read_text()
    for name in re.findall(r"<!-- results: (\w+) -->", text):
        begin, end = f"<!-- results: {name} -->\n", f"<!-- end: {name} -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = f"{before}{begin}\n{BLOCKS[name]().strip()}\n\n{end}{after}"
    return text

"""How fast memory tasks train now and at an older commit, for docs/throughput.md."""

from benchmarks.against import HEADER, cells
from tools.pages.files import link, machine, reports, table


def against_block() -> str:
    """Returns the newest run of `benchmarks.against`."""
    name, report = reports("against_*.json")[-1]
    text = (
        f"{link(name, report)} against {report['other_commit'][:7]} on {machine(report)}, one "
        f"thread, {report['rounds']} turns of {report['rollouts_of_a_turn']} rollouts each, while "
        f"the machine's load was {report['load_before_and_after'][0]:.0f}: microseconds of the "
        "CPU, and the ratio of the speeds, its median and quartiles"
    )
    return f"{text}:\n\n{table(HEADER, map(cells, report['rows']))}"

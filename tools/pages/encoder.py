"""The table of docs/results.md on what the small encoder's features hold."""

from tools.pages.files import link, reports, table


def encoder_block() -> str:
    """Returns the newest run of `benchmarks.encoder_probe`."""
    name, report = reports("encoder_probe_*.json")[-1]
    rows = [
        [row["encoder"], *(f"{error:.3f}" for error in row["unexplained"])]
        for row in report["rows"]
    ]
    return f"{table(['encoder', *report['positions']], rows)}\n\n{link(name, report)}"

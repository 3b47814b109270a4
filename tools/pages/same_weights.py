"""Which commits train to the same weights, for docs/reproduce.md."""

from itertools import groupby

from tools.pages.files import link, reports


def same_weights_block() -> str:
    """Returns what the newest run of `benchmarks.same_weights` found."""
    name, report = reports("same_weights_*.json")[-1]
    rows = report["rows"]
    found = [
        f"{' and '.join(row['commit'][:7] for row in alike)} `{weights[:12]}`"
        for weights, alike in groupby(rows, lambda row: row["weights_sha256"])
    ]
    games = "alike" if len({row["returns_sha256"] for row in rows}) == 1 else "differently"
    return (
        f"`run_atari.py {' '.join(report['train'])}` ends in weights whose SHA-256 begins so: "
        f"{', '.join(found)}; the {rows[0]['num_games']} games that each then plays end {games} "
        f"({link(name, report)})."
    )

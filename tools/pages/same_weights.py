"""Which commits compute the same, for docs/reproduce.md."""

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


def same_games_block() -> str:
    """Returns what the newest run of `benchmarks.same_weights --policies` found."""
    name, report = reports("same_games_*.json")[-1]
    first, *others = report["rows"]
    policies = [folder for folder in first if folder != "commit"]
    commits = ", ".join(row["commit"][:7] for row in report["rows"])
    games = sum(first[folder]["num_games"] for folder in policies)
    steps = sum(first[folder]["num_steps"] for folder in policies)
    differ = [folder for folder in policies if any(row[folder] != first[folder] for row in others)]
    found = f"all but those of {', '.join(differ)} are" if differ else "all are"
    return (
        f"{games} games of {len(policies)} published policies, {steps:,} steps, were played at "
        f"{commits}: {found} the same in every return and every length ({link(name, report)})."
    )

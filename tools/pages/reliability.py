"""The tables of docs/reliability.md: what the fault campaign counted, and what a soak showed."""

import statistics
from typing import Any

from experiment.files import read_json
from tools.pages.files import BENCHMARKS, link, machine, reports, table

CAMPAIGN = "reliability.json"
MODES = ("serial", "async")
KILLS = {
    "kills_between_operations": "at a random moment",
    "kills_at_a_file_operation": "at a file operation, a write cut in half",
    "kills_in_the_write_of_a_checkpoint": "in the write of a checkpoint",
}
RANK_KILLS = {
    "kills_of_the_first_rank": "of the process that writes",
    "kills_of_another_rank": "of another one",
    "most_seconds_to_the_end_of_all": "longest wait until all had ended, seconds",
    "runs": "runs, each resumed to its end without a row lost or doubled",
    "runs_equal_to_one_that_nothing_befell": "runs equal, bit for bit, to one that nothing befell",
}
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")
FILES = {
    "checkpoint": "checkpoints, bytes changed (some with their checksum mended)",
    "part": "checkpoints, parts replaced by others, soundly written",
    "config": "config.yaml",
    "metrics": "metrics.jsonl",
}


def campaign_block() -> str:
    """Returns what `make faults` counted."""
    report = read_json(BENCHMARKS / CAMPAIGN)
    origin = report["provenance"]
    return "\n\n".join(
        [
            f"Commit and file: {link(CAMPAIGN, origin)}. {machine(origin)}, busy with other work.",
            kills(report["kills"]),
            rank_kills(report.get("rank_kills")),
            signals(report["signals"]),
            faults(report["faults"] | report["disk"]),
            fuzzing(report["fuzzing"]),
        ]
    )


def kills(tallies: dict[str, Any]) -> str:
    """Returns the SIGKILLs by mode and moment."""
    rows = [[text, *(str(tallies[mode][name]) for mode in MODES)] for name, text in KILLS.items()]
    totals = [sum(tallies[mode][name] for name in KILLS) for mode in MODES]
    rows.append(["**all**", *(f"**{total}**" for total in totals)])
    for name, text in (
        ("runs", "runs, each resumed to its end without a row lost or doubled"),
        ("most_kills_of_one_run", "most kills of one run"),
        ("bit_exact_runs", "runs equal, bit for bit, to one that nothing befell"),
    ):
        is_shown = [name != "bit_exact_runs" or mode == "serial" for mode in MODES]
        rows.append(
            [
                text,
                *(str(tallies[m][name]) if s else "" for m, s in zip(MODES, is_shown, strict=True)),
            ]
        )
    return table(["SIGKILL", *MODES], rows)


def rank_kills(tallies: dict[str, Any] | None) -> str:
    """Returns the SIGKILLs of single processes of several that train one agent."""
    if tallies is None:
        return "Kills of single processes of several: not counted yet."
    rows = [[text, *(f"{tallies[m][n]:.0f}" for m in MODES)] for n, text in RANK_KILLS.items()]
    rows[-1][-1] = ""  # in async mode bits depend on timing
    ranks = tallies[MODES[0]]["ranks"]
    origin = tallies[MODES[0]]["provenance"]
    found = table([f"SIGKILL of one of {ranks} processes", *MODES], rows)
    return f"{found}\n\nThis table is of {link(CAMPAIGN, origin)}, on {machine(origin)}, busy."


def signals(tallies: dict[str, Any]) -> str:
    """Returns the sessions that a signal ended with a checkpoint, and the runs that went on."""
    rows = []
    for name in SIGNALS:
        of = [tallies[f"{name} {mode}"] for mode in MODES]
        rows.append([name, *(f"{t['ends_by_signal']} in {t['runs']} runs" for t in of)])
    return table(["sessions ended with a checkpoint by", *MODES], rows)


def faults(found: dict[str, Any]) -> str:
    """Returns each injected fault, what it said, how often, and how soon the run had ended."""
    kinds = dict.fromkeys(name.rpartition(" ")[0] for name in found)
    rows = []
    for kind in kinds:
        of = [found[f"{kind} {mode}"] for mode in MODES]
        seconds = [t["most_seconds_to_the_end"] for t in of if "most_seconds_to_the_end" in t]
        trials = " + ".join(str(t["trials"]) for t in of)
        slowest = f"{max(seconds):.0f}" if seconds else ""
        rows.append([kind, f"`{of[0]['message']}`", trials, slowest])
    header = ["fault", "said", "trials, serial + async", "longest session, seconds"]
    return table(header, rows)


def fuzzing(found: dict[str, Any]) -> str:
    """Returns how many mutated files were read, and by how much memory grew."""
    rows = [
        [text, f"{found[kind]['files']:,}", f"{found[kind]['memory_grew_bytes'] / 2**20:.0f}"]
        for kind, text in FILES.items()
    ]
    return table(["mutated files", "read or refused in one line", "memory grew, MiB"], rows)


def soak_block() -> str:
    """Returns the verdict of the newest soak, and its figure."""
    found = reports("soak_*.json")
    if not found:
        return "Not measured yet: `python -m tools.soak`."
    name, report = found[-1]
    verdict, samples = report["verdict"], report["samples"]
    seconds, frames = samples["seconds"][-1], samples["frames"][-1]
    slope = verdict["memory_slope_mib_per_hour"]
    rows = [
        [check.replace("_", " "), f"{values['value']:.3g}", f"{values['bound']:.3g}"]
        for check, values in verdict["checks"].items()
    ]
    outcome = "Every bound held." if verdict["passed"] else f"Failed: {verdict['failed']}."
    return "\n".join(
        [
            f"`{report['soak']['config']}` in `async` mode for {seconds / 60:.0f} minutes on "
            f"{machine(report)}, busy: {frames:,} frames ({frames / seconds:,.0f} a "
            f"second), {report['rollouts']:,} rollouts, {len(report['evaluations'])} evaluations "
            f"beside it. {outcome} Memory: {slope['slope']:+.1f} MiB an hour (95 % interval "
            f"{slope['low']:+.1f} to {slope['high']:+.1f}, whose upper end is judged), of "
            f"{statistics.median(samples['resident_mib']):,.0f} MiB. {link(name, report)}",
            "",
            table(["figure", "value", "bound"], rows),
            "",
            "![Memory, threads, open files and lag over the run](images/soak.png)",
        ]
    )

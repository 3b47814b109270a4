"""How soon commands show their first line, for docs/throughput.md."""

from tools.pages.files import link, machine, reports, table


def startup_block() -> str:
    """Returns the newest run of `benchmarks.startup`."""
    name, report = reports("startup_*.json")[-1]
    rows = [
        [
            f"`{row['command']}`",
            f"{row['terminal_seconds']:.1f}",
            f"{row['pipe_seconds']:.1f}",
            f"{row['pipe_processor_seconds']:.1f}",
        ]
        for row in report["rows"]
    ]
    header = ["command", "on a terminal, s", "in a pipe, s", "processor until then, s"]
    starts = "One start" if report["rounds"] == 1 else f"Medians of {report['rounds']} starts"
    return (
        f"{starts} of each, on {machine(report)} ({link(name, report)}):\n\n{table(header, rows)}"
    )

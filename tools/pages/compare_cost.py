"""What `compare` costs, for docs/compare.md."""

from tools.pages.files import link, machine, reports


def compare_block() -> str:
    """Returns the newest run of `benchmarks.compare_cost`."""
    name, report = reports("compare_*.json")[-1]
    return (
        f"{report['num_runs']} runs, {report['bytes'] / 1e6:.1f} MB of metrics and files of runs, "
        f"took {report['seconds']:.0f} s and {report['peak_memory_bytes'] / 1e9:.2f} GB at most, "
        f"on {machine(report)}, with other work beside it ({link(name, report)})."
    )

"""How long installing takes, for docs/first_hour.md."""

from experiment.live import duration
from tools.pages.files import link, machine, reports


def install_block() -> str:
    """Returns the newest run of `benchmarks.install`."""
    name, report = reports("install_*.json")[-1]
    return (
        f"Installing (`make .venv/run`, which the first target does) took "
        f"{duration(report['seconds'])} with an empty cache of pip and torch "
        f"{report['versions']['torch']}, and needs {report['installed_bytes'] / 1e9:.1f} GB of "
        f"disk, on {machine(report)} ({link(name, report)})."
    )

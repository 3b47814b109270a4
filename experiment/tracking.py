"""Rows of metrics go to Weights & Biases too, an extra (`track: wandb`).

The environment variables of wandb hold: WANDB_MODE=offline needs no account, and WANDB_PROJECT
names the project. A run that goes on is one run there too; rows that a killed session wrote
after its last checkpoint stand beside those that take their place.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiment.config import Service
from experiment.files import read_json
from experiment.metrics import scalars

PROJECT = "fast-weight-agents"


def refuse_missing(service: Service) -> None:
    """Raises ValueError where a service's library is not installed."""
    if service != "none" and find_spec(service) is None:
        raise ValueError(f"track: {service} needs a library: pip install -e '.[{service}]'")


@contextmanager
def tracking(
    service: Service, run_dir: Path, unit: str, settings: Mapping[str, Any]
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yields what takes the rows of metrics of a session; nowhere for "none".

    Args:
        service: where they go.
        run_dir: folder of the run, with its provenance.
        unit: what the run counts, the tag of the x axis.
        settings: of the run, by full name.

    Raises:
        ConnectionError: the service cannot be reached, or knows no account.
    """
    if service == "none":
        yield lambda row: None
        return
    import wandb  # an extra

    began = read_json(run_dir / "provenance.json")["date"]
    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=run_dir,
            name="/".join(run_dir.resolve().parts[-3:]),
            id=hashlib.sha256(f"{run_dir.resolve()} {began}".encode()).hexdigest()[:16],
            resume="allow",
            config=dict(settings),
        )
    except wandb.Error as error:  # no account, no network
        raise ConnectionError(f"{error} (WANDB_MODE=offline needs neither)") from error
    run.define_metric("*", step_metric=unit)
    exit_code = 1
    try:
        yield lambda row: run.log(scalars(row))
        exit_code = 0
    finally:
        run.finish(exit_code=exit_code)

"""How TensorBoard groups runs: by their settings, which it calls hyperparameters.

Runs that differ in their seed alone are one group, so that its HPARAMS page shows a row per core.
"""

from collections.abc import Mapping
from typing import Any

from tensorboard.plugins.hparams.summary_v2 import (  # what .api re-exports with TensorFlow
    HParam,
    Metric,
    hparams_config_pb,
    hparams_pb,
)

OF_ONE_RUN = ("seed", "run_dir")
METRICS = ("return/last_100_games_points", "speed/frames_per_second")


def hparam_summaries(settings: Mapping[str, Any]) -> list[Any]:
    """Returns the summaries of a run: what the columns are, and the run's values.

    Args:
        settings: plain values by full name; null ones are left out.
    """
    values = {
        # "full" or 1: one type for a column; a column of lists there is not
        name: str(value) if name == "core.bptt" or isinstance(value, tuple | list) else value
        for name, value in settings.items()
        if name not in OF_ONE_RUN and value is not None
    }
    columns = hparams_config_pb([HParam(name) for name in values], [Metric(m) for m in METRICS])
    return [columns, hparams_pb(values)]  # the group is a hash of the values

"""How TensorBoard groups runs: by their settings, which it calls hyperparameters.

Runs that differ in their seed alone are one group, so that its HPARAMS page shows a row per core.
"""

from collections.abc import Sequence
from typing import Any

from tensorboard.plugins.hparams.summary_v2 import (  # what .api re-exports with TensorFlow
    HParam,
    Metric,
    hparams_config_pb,
    hparams_pb,
)

from experiment.config import RunConfig
from experiment.setting_roles import role_of, setting_roles
from experiment.settings import flat_values, plain_values


def hparam_summaries(config: RunConfig, metrics: Sequence[str]) -> list[Any]:
    """Returns the summaries of a run: what the columns are, and the run's values.

    Args:
        config: of the run; settings that are null are left out, and those that name it.
        metrics: tags of the scores beside them.
    """
    roles = setting_roles(type(config))
    values = {
        # "full" or 1: one type for a column; a column of lists there is not
        name: str(value) if name == "core.bptt" or isinstance(value, tuple | list) else value
        for name, value in flat_values(plain_values(config)).items()
        if value is not None and role_of(name, roles) != "name"
    }
    columns = hparams_config_pb([HParam(name) for name in values], [Metric(m) for m in metrics])
    return [columns, hparams_pb(values)]  # the group is a hash of the values

"""TensorBoard's own HPARAMS page shows runs that differ in their seed alone as one group."""

import dataclasses

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from agents.impala.config import TrainConfig
from experiment.metrics import MetricsWriter
from models.cores import CoreConfig
from sequences.config import SequenceConfig

RETURN = "return/last_100_games_points"


def write_run(folder, config, value):
    folder.mkdir(parents=True)
    writer = MetricsWriter(folder, "frames", 0)
    writer.describe(config, RETURN)
    writer.write({"frames": 10, RETURN: value})
    writer.close()


def groups_of(logdir):
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context = backend_context.Context(TBContext(data_provider=provider))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        aggregation_type=api_pb2.AGGREGATION_AVG,
        aggregation_metric=api_pb2.MetricName(tag=RETURN),
        allowed_statuses=[api_pb2.STATUS_UNKNOWN],
    )
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    return handler.run().session_groups


def test_runs_are_grouped_by_core_and_not_by_seed(tmp_path):
    for kind, bptt, seed, value in (
        ("lstm", "full", 1, 0.5),
        ("lstm", "full", 2, 1.0),
        ("rdn", "full", 1, 0.25),
        ("rdn", 1, 1, 0.125),
    ):
        core = CoreConfig(kind=kind, bptt=bptt)
        config = dataclasses.replace(TrainConfig(), core=core, seed=seed, run_dir=f"r{seed}")
        write_run(tmp_path / f"{kind}-{bptt}" / f"seed{seed}", config, value)
    groups = {
        (g.hparams["core.kind"].string_value, g.hparams["core.bptt"].string_value): g
        for g in groups_of(tmp_path)
    }
    assert {key: len(group.sessions) for key, group in groups.items()} == {
        ("lstm", "full"): 2,
        ("rdn", "full"): 1,
        ("rdn", "1"): 1,
    }
    lstm = groups["lstm", "full"]
    means = {metric.name.tag: metric.value for metric in lstm.metric_values}
    assert means[RETURN] == 0.75
    assert lstm.hparams["learner.discount"].number_value == TrainConfig().learner.discount
    assert not {"seed", "run_dir"} & set(lstm.hparams)


def test_the_scores_of_a_run_are_those_that_it_writes(tmp_path):
    writer = MetricsWriter(tmp_path, "tokens", 0)
    writer.describe(SequenceConfig(), "loss/bits_per_byte")
    writer.close()
    (events,) = tmp_path.glob("tensorboard/events*")
    content = events.read_bytes()
    assert b"loss/bits_per_byte" in content
    assert b"speed/tokens_per_second" in content
    assert b"frames" not in content

"""Run folders and policies from elsewhere: compared and played, or refused in words; no harm."""

import json
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from agents.evaluation.saved_policy import load_policy
from agents.impala.config import TrainConfig, config_from_values
from comparison.compare import compare_and_write
from comparison.read_runs import read_runs
from comparison.run_folder import read_run_folder
from comparison.task_file import read_task_file, task_file_of
from experiment.checkpoint import save_checkpoint
from experiment.files import write_json
from experiment.settings import flat_values, plain_values
from tests.file_mutations import TOKENS, CheckpointMutator, mutate, mutate_part
from tests.harmless import Watched
from tests.run_folders import write_run
from watch.config import WatchConfig
from watch.film import make_scene, play

pytestmark = pytest.mark.faults
NUM_MUTANTS = 12  # of every file
MAY_BE_NULL = (
    "run_dir",
    "init_from",
    "policy.head_gain",
    "learner.final_entropy_cost",
    "learner.desired_kl",
    "exact_lag",
    "milestone_interval_frames",
    "env.life_loss",
    "core.parameters",
    "core.num_layers",
    "core.hidden_size",
    "core.num_heads",
    "core.feedforward_size",
)
FILES = (
    "config.yaml",
    "metrics.jsonl",
    "provenance.json",
    "status.json",
    "evaluation/first.json",
)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_with_a_mutated_file_is_read_or_refused(tmp_path, name):
    run, rng = write_run(tmp_path / "run"), np.random.default_rng(3)
    good = (run / name).read_bytes()
    for _ in range(NUM_MUTANTS):
        (run / name).write_bytes(mutate(good, rng, TOKENS))
        with Watched():
            read_run_folder(run)


def test_a_mutated_file_of_runs_is_read_or_refused(tmp_path):
    write_run(tmp_path / "run")
    file, rng = tmp_path / "tmaze.json", np.random.default_rng(3)
    write_json(file, task_file_of(read_runs([tmp_path / "run"])))
    good = file.read_bytes()
    for _ in range(2 * NUM_MUTANTS):
        file.write_bytes(mutate(good, rng, TOKENS))
        with Watched():
            read_task_file(file)


def test_a_file_of_runs_with_odd_values_is_compared_or_refused(tmp_path):
    write_run(tmp_path / "runs/run")
    content, rng = task_file_of(read_runs([tmp_path / "runs"])), np.random.default_rng(4)
    file = tmp_path / "tmaze.json"
    for _ in range(6):
        value = json.loads(json.dumps(content))
        mutate_part(value, rng)
        file.write_text(json.dumps(value))
        with suppress(ValueError):
            compare_and_write([file], tmp_path / "report")


@pytest.mark.parametrize("name", ["provenance.json", "status.json", "evaluation/first.json"])
def test_a_folder_with_odd_values_is_compared_or_refused(tmp_path, name):
    """What can be read can be compared: no value gets as far as the report and fails there."""
    run, rng = write_run(tmp_path / "runs/run"), np.random.default_rng(4)
    good = json.loads((run / name).read_text())
    good.pop("episodes", None)  # hundreds of them, all alike
    for _ in range(3):
        value = json.loads(json.dumps(good))
        mutate_part(value, rng)
        (run / name).write_text(json.dumps(value))
        with suppress(ValueError):
            compare_and_write([tmp_path / "runs"], tmp_path / "report")


def test_a_policy_of_odd_settings_is_played_or_refused(tmp_path):
    mutator, rng, played = CheckpointMutator(), np.random.default_rng(5), 0
    path = Path(tmp_path / "x.safetensors")
    for _ in range(NUM_MUTANTS):
        payload = mutator.payload()
        mutate_part({part: payload[part] for part in ("config", "spec", "progress")}, rng)
        save_checkpoint(path, payload)
        with Watched():
            saved = load_policy(path)
            rows = play(saved, make_scene(saved, 0), WatchConfig(max_steps=2))
            played += len(list(islice(rows, 2)))
    assert played > 0


@pytest.mark.parametrize("name", flat_values(plain_values(TrainConfig())))
def test_a_setting_is_null_only_where_it_may_be(name):
    values = owner = plain_values(TrainConfig())
    *parents, last = name.split(".")
    for parent in parents:
        owner = owner[parent]
    owner[last] = None
    if name in MAY_BE_NULL:
        assert plain_values(config_from_values(values)) == values
    else:
        with pytest.raises(ValueError, match=r"unusable settings|must be"):
            config_from_values(values)

"""Files from elsewhere are data: a clear message or a value; no code, no memory, nothing written.

The default suite tries some mutants, `make faults` ten thousand.
"""

import json
import re
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from agents.evaluation.evaluate import EvaluationConfig
from agents.evaluation.saved_policy import load_policy
from agents.impala.config import config_from_values
from agents.impala.stand_in import StandIn
from agents.impala.trainer import Trainer
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.metrics import read_metrics
from experiment.nonfinite import NonFiniteUpdate
from experiment.report import RunningReport
from experiment.run_dir import RunDir, read_config
from models import load, tensor_file
from tests.fault_campaign import Report
from tests.file_mutations import (
    GOOD_CONFIG,
    GOOD_METRICS,
    TOKENS,
    CheckpointMutator,
    framed,
    good_config,
    mutate,
    opened,
    sealed,
)
from tests.harmless import Watched
from tests.small_runs import evaluate_and_save
from watch.config import WatchConfig
from watch.film import watch

pytestmark = pytest.mark.faults
QUICK = {"checkpoint": 120, "part": 15, "config": 25, "metrics": 200}
LONG = {"checkpoint": 3000, "part": 200, "config": 2000, "metrics": 4800}
MOST_MEMORY_BYTES = 1 << 29  # above what was in use before


@contextmanager
def one_line():
    """Lets an error that says what to do count as a refusal, as a run makes of it."""
    try:
        yield
    except NonFiniteUpdate as error:
        raise ValueError(str(error)) from error


def go_on(path):
    """Restores a run from a checkpoint, as a resume does, and learns one rollout."""
    config = good_config()
    with closing(StandIn(config)) as stand_in:
        payload = load_checkpoint(path, stand_in.check)
    trainer = Trainer.restored(config, payload["trainable"], payload["policy"])
    report = RunningReport(trainer, payload["seconds"])
    with one_line():
        for row in islice(trainer.rows(), 1):
            report.add(row)
            report.take_row()


READERS = {
    "part": (go_on, load_policy, load.load_policy),
    "checkpoint": (load_policy, load.load_policy),
    "config": (lambda path: config_from_values(read_config(path.parent)),),
    "metrics": (read_metrics,),
}


def read_mutant(kind, path):
    for read in READERS[kind]:
        with Watched():
            read(path)


NAMES = {
    "checkpoint": "x.safetensors",
    "part": "x.safetensors",
    "config": "config.yaml",
    "metrics": "metrics.jsonl",
}


def mutants(kind, number, seed):
    rng = np.random.default_rng(seed)
    if kind in ("checkpoint", "part"):
        mutator = CheckpointMutator()
        make = mutator.mutant if kind == "checkpoint" else mutator.with_odd_parts
        yield from (make(rng) for _ in range(number))
        return
    good = {"config": GOOD_CONFIG, "metrics": GOOD_METRICS}[kind]
    yield from (mutate(good, rng, TOKENS) for _ in range(number))


def try_mutants(folder, kind, number, seed):
    """Reads mutants; returns how many there were and by how many bytes memory grew."""
    path = folder / NAMES[kind]
    before, count = memory_bytes(), 0
    for mutant in mutants(kind, number, seed):
        path.write_bytes(mutant)
        read_mutant(kind, path)
        count += 1
    grown = peak_bytes() - before
    assert grown < MOST_MEMORY_BYTES
    assert [p.name for p in folder.iterdir()] == [path.name]
    return {"files": count, "memory_grew_bytes": grown}


def memory_bytes():
    """Returns what is in use, and forgets what was in use before."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes():
    """Returns the most that was in use since `memory_bytes` was called."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) * 1024


@pytest.mark.parametrize("kind", QUICK)
def test_mutated_files_are_refused_in_one_line_or_read(tmp_path, kind):
    try_mutants(tmp_path, kind, QUICK[kind], seed=1)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", LONG)
def test_ten_thousand_mutated_files(tmp_path, kind):
    found = try_mutants(tmp_path, kind, LONG[kind], seed=2)
    Report().publish("fuzzing", kind, found)


def test_good_files_are_read(tmp_path):
    """The mutants start from files that are not refused."""
    for kind, content in (
        ("checkpoint", CheckpointMutator().good),
        ("part", CheckpointMutator().good),
        ("config", GOOD_CONFIG),
        ("metrics", GOOD_METRICS),
    ):
        (tmp_path / NAMES[kind]).write_bytes(content)
        for read in READERS[kind]:
            read(tmp_path / NAMES[kind])


SQUARE = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
DEPTHS = (100, 300, 900, 100_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [2**40, 2**40]}, "overflow"),
        ({"shape": [2**31, 3]}, "invalid shape, data type, or offset"),
        ({"shape": [2, 4]}, "invalid shape, data type, or offset"),
        ({"shape": [-2, -3]}, "expected usize"),
        ({"dtype": "F64"}, "invalid shape, data type, or offset"),
        ({"dtype": "F4", "shape": [48]}, "F4"),
        ({"dtype": "F8_E8M0", "shape": [24]}, "F8_E8M0"),
        ({"dtype": "pickle"}, "unknown variant `pickle`"),
        ({"data_offsets": [0, 2**40]}, "not fully covered|invalid"),
        ({"data_offsets": [0, 2**64 - 1]}, "not fully covered|invalid"),
        ({"data_offsets": [-24, 0]}, "expected usize"),
        ({"data_offsets": [24, 0]}, "invalid offset"),
        ({"data_offsets": [4, 28]}, "invalid offset"),
    ],
    ids=str,
)
def test_a_tensor_that_does_not_lie_in_its_file_is_refused(tmp_path, change, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(sealed({"a": SQUARE}, bytes(24)))
    assert tensor_file.read(path).tensors["a"].shape == (2, 3)
    path.write_bytes(sealed({"a": SQUARE | change}, bytes(24)))
    with refused_without_memory(path, message):
        tensor_file.read(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([0, 2**62, 2**62], "overflow"),
        ([0, 2**64 - 1], "Overflow"),
    ],
)
def test_an_empty_tensor_that_torch_cannot_step_over_is_refused(tmp_path, shape, message):
    path = tmp_path / "x.safetensors"
    empty = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    path.write_bytes(sealed({"a": empty}, b""))
    with refused_without_memory(path, message):
        tensor_file.read(path)


def test_two_tensors_in_one_place_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(sealed({"a": SQUARE, "b": SQUARE}, bytes(24)))
    with refused_without_memory(path, "invalid offset"):
        tensor_file.read(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"a":' * 100_000, "recursion limit exceeded"),
        (b"[]", "invalid type"),
        (b"{}", "has no sha256"),
        (b'{"__metadata__":null}', "has no sha256"),
        (b"{}" * 2, "invalid JSON"),
        (b"\xff\xfe", "header|UTF-8"),
    ],
    ids=["deep", "a list", "empty", "null", "two", "no text"],
)
def test_a_header_that_is_none_is_refused(tmp_path, header, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(framed(header, b""))
    with refused_without_memory(path, message):
        tensor_file.read(path)


@pytest.mark.parametrize("length", [2**31, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file_is_refused(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with refused_without_memory(path, "header"):
        tensor_file.read(path)


@pytest.mark.parametrize("name", ["config", "spec", "policy", "progress", "trainable"])
def test_deep_values_are_refused_or_unread(tmp_path, name):
    """Each in a file whose checksum fits, so that it comes as far as it can."""
    path = tmp_path / "x.safetensors"
    header, tensor_bytes = opened(CheckpointMutator().good)
    metadata = header["__metadata__"]
    of_deep = json.dumps(dict.fromkeys(json.loads(metadata[name]), "deep"))
    for depth in DEPTHS:
        deep = "[" * depth + "]" * depth
        for text in (deep, of_deep.replace('"deep"', deep)):
            changed = header | {"__metadata__": metadata | {name: text}}
            path.write_bytes(sealed(changed, tensor_bytes))
            read_mutant("part", path)


@contextmanager
def refused_without_memory(path, message):
    """Asserts that what runs inside refuses a file in one line and allocates nothing large."""
    before = memory_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        yield
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak_bytes() - before < MOST_MEMORY_BYTES


def test_no_file_longer_than_a_checkpoint_can_be_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(ValueError, match="is larger than"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"core": {"num_layers": 10**9}}, "num_layers must be <="),
        ({"core": {"hidden_size": 4 * 10**9}}, "holds no policy: Storage size"),
        ({"env": {"length": 10**12}}, "length must be in 1 to"),
        ({"env": "/etc/passwd"}, "env must hold settings by name"),
    ],
    ids=str,
)
def test_settings_that_ask_for_all_of_the_memory_are_refused(tmp_path, settings, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(CheckpointMutator().good)
    payload = load_checkpoint(path)
    for name, values in settings.items():
        old = payload["config"][name]
        payload["config"][name] = values if isinstance(values, str) else old | values
    save_checkpoint(path, payload)
    before = memory_bytes()
    with pytest.raises(ValueError, match=message):
        load_policy(path)
    assert peak_bytes() - before < MOST_MEMORY_BYTES


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("evaluation", lambda run: evaluate_and_save(run, EvaluationConfig(episodes=1))),
        ("videos", lambda run: watch(run, WatchConfig(max_steps=1))),
    ],
)
def test_results_do_not_follow_a_link_out_of_the_folder(tmp_path, name, write):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / "checkpoints").mkdir(parents=True)
    (run / "other").mkdir()
    elsewhere.mkdir()
    (run / "checkpoints/000000000010.safetensors").write_bytes(CheckpointMutator().good)
    (run / name).symlink_to(elsewhere)
    with pytest.raises(ValueError, match=f"{name} is a link out of .*run"):
        write(run)
    assert not list(elsewhere.iterdir())
    (run / name).unlink()
    (run / name).symlink_to("other")
    write(run)
    assert len(list((run / "other").iterdir())) == 1


@pytest.mark.parametrize("target", ["../elsewhere", "/etc/hostname", "metrics.jsonl", "a/../../x"])
def test_training_does_not_follow_a_link_out_of_the_folder(tmp_path, target):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("game: tmaze\n")
    (run / "metrics.jsonl").symlink_to(target)
    with pytest.raises(ValueError, match=r"metrics\.jsonl is a link out of .*run"):
        RunDir(run)


def test_a_link_within_a_run_folder_and_one_to_it_are_no_way_out(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("game: tmaze\n")
    (run / "last.safetensors").symlink_to("checkpoints/000000000010.safetensors")
    (tmp_path / "link").symlink_to(run)
    RunDir(tmp_path / "link").close()

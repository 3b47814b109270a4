"""Files from elsewhere are data: a clear message or a value; no code, no memory, nothing written.

The default suite tries some mutants, `make faults` ten thousand.
"""

import io
import os
import resource
import zipfile
from contextlib import closing, contextmanager
from itertools import islice

import numpy as np
import pytest
import torch
from experiment.archive import load_archive

from agents.evaluation.evaluate import EvaluationConfig, evaluate_and_save
from agents.evaluation.saved_policy import load_policy
from agents.impala.config import config_from_values
from agents.impala.stand_in import StandIn
from agents.impala.trainer import Trainer
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.metrics import read_metrics
from experiment.nonfinite import NonFiniteUpdate
from experiment.report import RunningReport
from experiment.run_dir import RunDir, read_config
from tests.fault_campaign import Report
from tests.file_mutations import (
    GOOD_CONFIG,
    GOOD_METRICS,
    TOKENS,
    CheckpointMutator,
    mutate,
    sealed,
)
from tests.harmless import Watched
from watch.film import WatchConfig, watch

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
    config = config_from_values(CheckpointMutator().payload()["config"])  # config.yaml's
    with closing(StandIn(config)) as stand_in:
        payload = load_checkpoint(path, stand_in.check)
    trainer = Trainer.restored(config, payload["trainable"])
    report = RunningReport(trainer, payload["seconds"])
    with one_line():
        for row in islice(trainer.rows(), 1):
            report.add(row)
            report.take_row()


def read_mutant(kind, path):
    if kind == "part":
        for read in (go_on, load_policy):
            with Watched():
                read(path)
    elif kind == "checkpoint":
        load_policy(path)
    elif kind == "config":
        config_from_values(read_config(path.parent))
    else:
        read_metrics(path)


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
    before, count = peak_bytes(), 0
    for mutant in mutants(kind, number, seed):
        path.write_bytes(mutant)
        with Watched():
            read_mutant(kind, path)
        count += 1
    grown = peak_bytes() - before
    assert grown < MOST_MEMORY_BYTES
    assert [p.name for p in folder.iterdir()] == [path.name]
    return {"files": count, "memory_grew_bytes": grown}


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
        read_mutant(kind, tmp_path / NAMES[kind])


class Calls:
    """Pickles into a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Calls(os.system, "touch owned"), "it names posix.system"),
        (Calls(bytearray, 10**12), "it names __builtin__.bytearray"),
        (Calls(exec, "raise SystemExit"), "it names __builtin__.exec"),
        (np.zeros(3), "it names numpy"),
        (torch.nn.Linear(2, 2), "its pickle uses NEWOBJ"),
        ({"x": b"bytes"}, "it names _codecs.encode"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_a_pickle_may_name_nothing_but_tensors(value, message):
    file = io.BytesIO()
    torch.save(value, file)
    with pytest.raises(ValueError, match=f"no file of tensors and plain values: {message}"):
        load_archive(file.getvalue())


def replaced(value, old, new):
    """Returns the archive of a value with one place of its pickle changed."""
    file, changed = io.BytesIO(), io.BytesIO()
    torch.save(value, file)
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(changed, "w") as target:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                assert content.count(old) == 1
                content = content.replace(old, new)
            target.writestr(name, content)
    return changed.getvalue()


HUGE = b"J\xff\xff\xff\x7f"  # BININT of 2**31 - 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"K\x03K\x05\x86", b"K\x03" + HUGE + b"\x86", "does not fit 15 elements"),
        (b"K\x03K\x05\x86", b"K\x03K\x06\x86", "does not fit 15 elements"),
        (b"K\x05K\x01\x86", HUGE + b"K\x01\x86", "does not fit 15 elements"),
        (b"K\x05K\x01\x86", b"J\xff\xff\xff\xffK\x01\x86", "no count"),
        (b"K\x0ft", HUGE + b"t", "storage 0 says 2147483647 elements"),
    ],
    ids=["shape", "one row more", "stride", "negative", "storage"],
)
def test_a_tensor_that_does_not_lie_in_its_storage_is_refused(old, new, message):
    value = {"x": torch.zeros(3, 5)}
    assert load_archive(replaced(value, old, old))["x"].shape == (3, 5)
    with pytest.raises(ValueError, match=message):
        load_archive(replaced(value, old, new))


def test_a_bomb_of_references_is_refused():
    value = []
    for _ in range(40):
        value = [value, value]
    file = io.BytesIO()
    torch.save({"x": value}, file)
    with pytest.raises(ValueError, match="holds more than 1000000 values"):
        load_archive(file.getvalue())


def test_a_compressed_archive_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(ValueError, match="a record is compressed"):
        load_archive(file.getvalue())


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
        ({"core": {"hidden_size": 4 * 10**9}}, "weights of another policy"),
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
    before = peak_bytes()
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


def test_a_checksum_does_not_make_a_file_trusted(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(sealed(b"PK hello"))
    with pytest.raises(ValueError, match=r"x\.safetensors is refused"):
        load_checkpoint(tmp_path / "x.safetensors")

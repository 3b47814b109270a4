"""Checkpoints: what was saved comes back, and nothing damaged or foreign is taken for one."""

import gzip
import io
from pathlib import Path

import pytest
import torch

from agents.evaluation.saved_policy import load_policy
from agents.impala.config import config_from_values
from experiment import checkpoint
from experiment.checkpoint import (
    load_checkpoint,
    load_newest,
    newest_number,
    numbered,
    save_checkpoint,
    save_numbered,
)
from experiment.settings import plain_values

ROOT = Path(__file__).parents[1]

PAYLOAD = {"weights": torch.arange(5.0), "seed": 3, "nested": [{"name": "rdn", "none": None}]}


def test_what_was_saved_comes_back(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", PAYLOAD)
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert torch.equal(loaded["weights"], PAYLOAD["weights"])
    assert loaded["nested"] == PAYLOAD["nested"]


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_file_is_named_and_the_one_before_is_used(tmp_path, damage, caplog):
    for number in (1, 2):
        save_numbered(tmp_path, number, PAYLOAD | {"number": number}, keep=5)
    newest = tmp_path / "000000000002.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        content = content[:-10]
    else:
        content[-10] ^= 1
    newest.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(newest)
    assert load_newest(tmp_path)["number"] == 1
    assert "000000000002.safetensors is damaged" in caplog.text


def test_only_the_newest_are_kept(tmp_path):
    for number in range(5):
        save_numbered(tmp_path, number, PAYLOAD, keep=2)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "000000000003.safetensors",
        "000000000004.safetensors",
    ]


def test_a_run_that_has_learned_cannot_fall_back_to_its_beginning(tmp_path):
    for number in (0, 4):
        save_numbered(tmp_path, number, PAYLOAD, keep=2)
    assert [p.name for p in tmp_path.iterdir()] == ["000000000004.safetensors"]


def test_a_damaged_newer_file_never_costs_the_one_just_written(tmp_path):
    for number in (1, 5):
        save_numbered(tmp_path, number, PAYLOAD | {"number": number}, keep=2)
    (tmp_path / "000000000005.safetensors").write_bytes(b"")
    save_numbered(tmp_path, 3, PAYLOAD | {"number": 3}, keep=1)
    assert load_newest(tmp_path)["number"] == 3
    assert len(list(tmp_path.iterdir())) == 1


ANOTHER = {
    "game": "parity",
    "env": {"length": 4},
    "policy": {"last_action": True},
    "encoder": {"kind": "symbols", "size": 24},
    "core": {"kind": "lstm"},
}


@pytest.mark.parametrize("name", ANOTHER)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, name):
    config = {
        "game": "tmaze",
        "env": {"length": 3},
        "encoder": {"kind": "mlp"},
        "core": {"kind": "rdn"},
    }
    save_numbered(tmp_path, 1, {"config": config}, keep=1)
    assert load_newest(tmp_path, config=config)["config"] == config
    assert load_newest(tmp_path, config=config | {"seed": 2})["config"] == config
    with pytest.raises(ValueError, match=f"of another run: its {name} is"):
        load_newest(tmp_path, config=config | {name: ANOTHER[name]})


def test_settings_of_before_a_field_was_added_are_those_of_the_same_run(tmp_path):
    config = {"game": "tmaze", "core": {"kind": "rdn"}}
    resolved = plain_values(config_from_values(config))
    save_numbered(tmp_path, 1, {"config": resolved}, keep=1)
    assert load_newest(tmp_path, config=config)["config"] == resolved
    save_numbered(tmp_path, 1, {"config": config}, keep=1)
    assert load_newest(tmp_path, config=resolved)["config"] == config


def test_a_checkpoint_with_settings_of_newer_code_is_not_passed_over(tmp_path):
    config = {"game": "tmaze", "core": {"kind": "rdn"}}
    for number, new in ((1, {}), (2, {"invented": 1})):
        core = config["core"] | new
        save_numbered(tmp_path, number, {"config": config | {"core": core}}, keep=2)
    with pytest.raises(ValueError, match=r"2\.safetensors is of another run: .*invented"):
        load_newest(tmp_path, config=config)


@pytest.mark.parametrize(
    "name", ["best.safetensors", "000000000009-best.safetensors", "000000000009.best.safetensors"]
)
def test_files_of_other_names_are_neither_removed_nor_read(tmp_path, name):
    save_numbered(tmp_path, 1, PAYLOAD | {"number": 1}, keep=1)
    (tmp_path / name).write_bytes((tmp_path / "000000000001.safetensors").read_bytes())
    save_numbered(tmp_path, 2, PAYLOAD | {"number": 2}, keep=1)
    assert load_newest(tmp_path)["number"] == 2
    assert newest_number(tmp_path) == 2
    names = {path.name for path in numbered(tmp_path)}
    assert names == {"000000000002.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names | {name}


def test_a_checkpoint_of_another_run_is_not_passed_over(tmp_path):
    """Going on from the one before would remove it."""
    for number, game in ((1, "tmaze"), (2, "parity")):
        save_numbered(tmp_path, number, {"config": {"game": game}}, keep=2)
    with pytest.raises(ValueError, match=r"2\.safetensors is of another run: its game is parity"):
        load_newest(tmp_path, config={"game": "tmaze"})


def test_a_checkpoint_of_newer_code_is_not_passed_over(tmp_path, monkeypatch):
    save_numbered(tmp_path, 1, PAYLOAD, keep=2)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 99)
    save_numbered(tmp_path, 2, PAYLOAD, keep=2)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"2\.safetensors has format version 99"):
        load_newest(tmp_path)


def test_a_checkpoint_that_its_reader_refuses_is_named_and_the_one_before_is_used(tmp_path, caplog):
    for number in (1, 2):
        save_numbered(tmp_path, number, PAYLOAD | {"number": number}, keep=5)

    def only_the_first(payload):
        if payload["number"] > 1:
            raise ValueError("holds\nno first")

    assert load_newest(tmp_path, only_the_first)["number"] == 1
    assert (
        f"{tmp_path}/000000000002.safetensors holds no first; using 000000000001.safetensors"
        in caplog.text
    )


def test_milestones_count_among_the_checkpoints(tmp_path):
    save_numbered(tmp_path, 3, PAYLOAD, keep=1)
    save_numbered(tmp_path, 7, PAYLOAD, keep=1, is_milestone=True)
    (tmp_path / "notes.safetensors").touch()
    assert newest_number(tmp_path) == 7


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, PAYLOAD)
    before = path.read_bytes()

    def fail(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(path, PAYLOAD | {"seed": 4})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_a_killed_session_left_unfinished_is_removed(tmp_path):
    (tmp_path / ".000000000004.safetensors.tmp").write_bytes(b"half")
    save_numbered(tmp_path, 5, PAYLOAD, keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["000000000005.safetensors"]


class Exploit:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a file ran')",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save({"format_version": checkpoint.FORMAT_VERSION, "x": Exploit()}, buffer)
    body = buffer.getvalue()
    path = tmp_path / "evil.safetensors"
    checksum = checkpoint.hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(checkpoint.MAGIC + checksum + b"\n" + body)
    with pytest.raises(ValueError, match=r"evil\.safetensors is refused"):
        load_checkpoint(path)


def test_missing_foreign_and_future_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.safetensors")
    (tmp_path / "foreign").write_bytes(b"hello")
    with pytest.raises(ValueError, match="is not a checkpoint of this suite"):
        load_checkpoint(tmp_path / "foreign")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT_VERSION", 99)
        save_checkpoint(tmp_path / "future.safetensors", PAYLOAD)
    with pytest.raises(ValueError, match="format version 99, this code reads 1 to 3; read it with"):
        load_checkpoint(tmp_path / "future.safetensors")


def kept_file(tmp_path, version):
    """A run of 10 updates of tmaze, as a checkpoint of each format."""
    kept = Path(__file__).parent / "data" / f"checkpoint_format_{version}.safetensors.gz"
    file = tmp_path / "000000000010.safetensors"
    file.write_bytes(gzip.decompress(kept.read_bytes()))
    return file


@pytest.mark.parametrize("version", [1, 2])
def test_what_an_older_format_cannot_go_on_with_is_named(tmp_path, version):
    file = kept_file(tmp_path, version)
    said = (
        r"10\.safetensors has weights of an mlp encoder of format 1 or 2; read it with the commit"
    )
    with pytest.raises(ValueError, match=said):
        load_checkpoint(file)
    with pytest.raises(ValueError, match=said):
        load_newest(tmp_path)
    assert file.exists()


@pytest.mark.parametrize("version", [1, 2])
def test_a_policy_of_an_older_format_with_pixels_plays_on(tmp_path, monkeypatch, version):
    published = load_checkpoint(ROOT / "results/pong/lstm/seed1/policy.safetensors")
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", version)
    save_checkpoint(
        tmp_path / "old.pt", {k: v for k, v in published.items() if k != "format_version"}
    )
    monkeypatch.undo()
    assert load_policy(tmp_path / "old.pt").config.encoder.kind == "small"

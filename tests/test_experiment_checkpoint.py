"""Checkpoints: what was saved comes back, and nothing damaged or foreign is taken for one."""

import pytest
import torch
from safetensors import safe_open

from experiment import checkpoint
from experiment.checkpoint import (
    Foreign,
    load_checkpoint,
    load_newest,
    newest_number,
    numbered,
    save_checkpoint,
    save_numbered,
)
from models import tensor_file

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
    for number in (1, 2):
        save_numbered(tmp_path, number, PAYLOAD | {"number": number}, keep=2)

    def of_one_run(payload):
        if payload["number"] > 1:
            raise Foreign("is of another run")

    with pytest.raises(Foreign, match=r"2\.safetensors is of another run"):
        load_newest(tmp_path, of_one_run)


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


def test_what_a_file_names_and_does_not_hold_is_missed(tmp_path):
    content = tensor_file.pack(
        {}, {"format_version": checkpoint.FORMAT_VERSION, "x": {"$tensor": "y"}}
    )
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"a\.safetensors is no checkpoint: it lacks a tensor, 'y'"
    ):
        load_checkpoint(tmp_path / "a.safetensors")


def test_tensors_of_a_policy_are_named_as_in_the_policy(tmp_path):
    save_checkpoint(
        tmp_path / "a.safetensors", {"policy": {"core.weight": torch.ones(2)}, "n": [1]}
    )
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        assert list(file.keys()) == ["policy.core.weight"]


def test_missing_foreign_and_future_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.safetensors")
    (tmp_path / "foreign").write_bytes(b"hello")
    with pytest.raises(ValueError, match="foreign is damaged, or no safetensors file"):
        load_checkpoint(tmp_path / "foreign")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT_VERSION", 99)
        save_checkpoint(tmp_path / "future.safetensors", PAYLOAD)
    with pytest.raises(ValueError, match="format version 99, this code reads 4; read it with"):
        load_checkpoint(tmp_path / "future.safetensors")

"""Files of tensors and plain values: what is written is read, and what is damaged is refused."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from models import tensor_file

SQUARE = torch.arange(12.0).view(3, 4)
TENSORS = {
    "whole": SQUARE,
    "same_memory": SQUARE,
    "turned": SQUARE.t(),
    "none": torch.zeros(0, 3),
    "scalar": torch.tensor(3),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "flags": torch.tensor([True, False]),
    "half": torch.full((2,), 0.1, dtype=torch.bfloat16),
}
VALUES = {"config": {"sizes": [1, 2], "name": "ü", "none": None}, "frames": 10**12}


def written(folder, content=None):
    path = folder / "file.safetensors"
    path.write_bytes(tensor_file.pack(TENSORS, VALUES) if content is None else content)
    return path


def test_what_is_written_is_read(tmp_path):
    tensors, values = tensor_file.read(written(tmp_path))
    assert values == VALUES
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor), name


def test_any_reader_of_safetensors_opens_it(tmp_path):
    with safe_open(written(tmp_path), framework="np") as file:
        assert json.loads(file.metadata()["config"]) == VALUES["config"]
        assert file.get_tensor("turned").tolist() == SQUARE.t().tolist()


def test_the_same_content_has_the_same_bytes():
    assert tensor_file.pack(TENSORS, VALUES) == tensor_file.pack(TENSORS, VALUES)


def test_a_flipped_bit_anywhere_is_refused(tmp_path):
    content = tensor_file.pack(TENSORS, VALUES)
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1
        with pytest.raises(ValueError, match=r"file\.safetensors (is|holds)"):
            tensor_file.read(written(tmp_path, bytes(damaged)))


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_file_that_is_cut_short_is_refused(tmp_path, length):
    content = tensor_file.pack(TENSORS, VALUES)
    with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
        tensor_file.read(written(tmp_path, content[:length]))


def test_a_file_of_somebody_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not of this suite"):
        tensor_file.read(written(tmp_path, save({"a": SQUARE})))


def test_a_value_that_is_no_json_is_refused_though_the_checksum_fits(tmp_path):
    metadata = {"config": "{"}
    header, data = tensor_file._parts(save({"a": SQUARE}, metadata))
    checksum = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data).hexdigest()
    content = save({"a": SQUARE}, metadata | {"sha256": checksum})
    with pytest.raises(ValueError, match="holds a value that is not JSON"):
        tensor_file.read(written(tmp_path, content))


def test_no_file_and_a_huge_one_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no file at"):
        tensor_file.read(tmp_path / "missing.safetensors")
    path = written(tmp_path)
    monkeypatch.setattr(tensor_file, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        tensor_file.read(path)


def test_what_could_not_be_read_again_is_not_written(monkeypatch):
    monkeypatch.setattr(tensor_file, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="a file holds at most 100"):
        tensor_file.pack({"a": torch.zeros(26)}, {})

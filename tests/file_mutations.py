"""Files as an attacker or a broken disk would leave them: seeded mutations of good ones."""

import copy
import hashlib
import json
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml

from agents.impala.config import config_from_values
from agents.impala.trainer import Trainer
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.report import RunningReport
from experiment.run import checkpoint_of

GOOD_CONFIG = (Path(__file__).parent / "data" / "faults.yaml").read_bytes()
GOOD_METRICS = b"".join(
    b'{"frames": %d, "loss/total": %.3f, "games": [[1.0, 5]], "updates": %d}\n' % (20 * i, 1 / i, i)
    for i in range(1, 21)
)
TOKENS = (
    b"!!python/object/apply:os.system ['touch owned']",
    b"&a [*a, *a]",
    b"{a: *a}",
    b"/etc/passwd",
    b"../../owned",
    b"[" * 3000,
    b"{" * 3000,
    b"- " * 3000,
    b"99999999999999999999",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"\xff\xfe",
    b"\x00",
    b"2001-99-99",
    b"9" * 5000,
    b"\n",
    b'"',
    b": ",
)


def mutate(content: bytes, rng, tokens=()) -> bytes:
    """Returns `content` with one to four bytes, spans or tokens changed."""
    mutant = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(mutant) + 1))
        kind = rng.integers(6 if tokens else 5)
        span = slice(at, at + int(rng.integers(1, 40)))
        if kind == 0 and at < len(mutant):
            mutant[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del mutant[span]
        elif kind == 2:
            mutant[at:at] = mutant[span]
        elif kind == 3:
            mutant[span] = rng.bytes(span.stop - at)
        elif kind == 4:
            del mutant[at:]
        else:
            mutant[at:at] = tokens[rng.integers(len(tokens))]
    return bytes(mutant)


def sealed(header, tensor_bytes: bytes) -> bytes:
    """Returns a file around a header, with its right checksum, so that it is read on."""
    metadata = {k: v for k, v in header.get("__metadata__", {}).items() if k != "sha256"}
    header = header | {"__metadata__": metadata}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + tensor_bytes)
    metadata["sha256"] = digest.hexdigest()
    return framed(json.dumps(header).encode(), tensor_bytes)


def framed(header_text: bytes, tensor_bytes: bytes) -> bytes:
    """Returns a safetensors file: the length of the header, the header, and the tensors."""
    return len(header_text).to_bytes(8, "little") + header_text + tensor_bytes


def opened(content: bytes):
    """Returns header and tensor bytes of a sound file."""
    begin = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:begin]), content[begin:]


ODD_VALUES = (None, "text", -1, 0, 10**30, 1.5, float("nan"), True, [], {}, [1, 2], {"a": 1})


def mutate_part(tree, rng) -> None:
    """Removes or replaces one part, anywhere in a tree of tensors and plain values."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        key = keys[rng.integers(len(keys))]
        part = tree[key]
        is_inner = isinstance(part, dict | list) and len(part) > 0
        if not is_inner or rng.random() < 0.15:
            break
        tree = part
    if rng.random() < 0.2:
        del tree[key]
    elif isinstance(part, torch.Tensor) and rng.random() < 0.7:
        tree[key] = mutant_tensor(part, rng)
    else:
        tree[key] = ODD_VALUES[rng.integers(len(ODD_VALUES))]


def mutant_tensor(tensor, rng):
    """Returns a tensor of another shape or dtype, or with other values."""
    kind = rng.integers(5)
    if kind == 0:
        return tensor.flatten()[:-1]
    if kind == 1:
        return tensor[None]
    if kind == 2:
        return tensor.to((torch.float64, torch.int64, torch.bool)[rng.integers(3)])
    high = 2**31 if tensor.dtype in (torch.int64, torch.float32, torch.float64) else 100
    values = torch.from_numpy(rng.integers(-high, high, tuple(tensor.shape)))
    return values.to(tensor.dtype) if kind == 3 else torch.zeros_like(tensor)


ODD_SIZES = (0, -1, 1, 2**31, 2**62, 2**64 - 1, 10**30, 1.5, None, "1", [])
DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "C64", "F4", "F8_E8M0", "X", 3)


def good_config():
    """Returns the settings that the good files are of."""
    return config_from_values(yaml.safe_load(GOOD_CONFIG))


@cache
def good_checkpoint() -> bytes:
    """Returns a checkpoint of the run of the fault campaign, after its first rollouts."""
    trainer = Trainer(good_config())
    report = RunningReport(trainer)
    for row in islice(trainer.rows(), 2):
        report.add(row)
        report.take_row()
    with closing(trainer), TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        save_checkpoint(path, checkpoint_of(trainer, report))
        return path.read_bytes()


class CheckpointMutator:
    """Mutates one good checkpoint, on the outside and, with its checksum mended, within."""

    def __init__(self) -> None:
        self.good = good_checkpoint()
        self._header, self._tensors = opened(self.good)

    def mutant(self, rng) -> bytes:
        """Returns a mutant of a kind chosen by `rng`."""
        kinds = (self.with_any_byte, self.with_header_text, self.with_tensor, self.with_value)
        return kinds[rng.integers(len(kinds))](rng)

    def with_any_byte(self, rng) -> bytes:
        """Returns a file whose checksum does not fit."""
        return mutate(self.good, rng)

    def with_header_text(self, rng) -> bytes:
        """Returns a file with a changed header, sealed where it is still JSON."""
        text = mutate(json.dumps(self._header).encode(), rng, TOKENS)
        try:
            header = json.loads(text)
        except (ValueError, RecursionError):
            return framed(text, self._tensors)
        is_whole = isinstance(header, dict) and isinstance(header.get("__metadata__"), dict)
        return sealed(header, self._tensors) if is_whole else framed(text, self._tensors)

    def with_tensor(self, rng) -> bytes:
        """Returns a sealed file that lies about one tensor, or whose tensors are damaged."""
        header = copy.deepcopy(self._header)
        names = [name for name in header if name != "__metadata__"]
        entry = header[names[rng.integers(len(names))]]
        odd = ODD_SIZES[rng.integers(len(ODD_SIZES))]
        kind = rng.integers(5)
        if kind == 0:
            entry["dtype"] = DTYPES[rng.integers(len(DTYPES))]
        elif kind == 1:
            entry["shape"] = [*entry["shape"], odd]
        elif kind == 2:
            entry["data_offsets"] = [odd, *entry["data_offsets"]][-2 - rng.integers(2) :][:2]
        elif kind == 3:
            entry["data_offsets"] = header[names[rng.integers(len(names))]]["data_offsets"]
        else:
            return sealed(header, mutate(self._tensors, rng))
        return sealed(header, self._tensors)

    def with_value(self, rng) -> bytes:
        """Returns a sealed file with one of its values changed, as text."""
        metadata = dict(self._header["__metadata__"])
        names = list(metadata)
        name = names[rng.integers(len(names))]
        text = mutate(metadata[name].encode(), rng, TOKENS).decode(errors="replace")
        return sealed(self._header | {"__metadata__": metadata | {name: text}}, self._tensors)

    def payload(self):
        """Returns what the good checkpoint holds."""
        return self._loaded(self.good)

    def with_odd_parts(self, rng) -> bytes:
        """Returns a sound checkpoint in which one to three parts are not what they should be."""
        payload = self.payload()
        for _ in range(rng.integers(1, 4)):
            mutate_part(payload, rng)
        return self._saved(payload)

    @staticmethod
    def _loaded(content: bytes):
        with TemporaryDirectory() as folder:
            (path := Path(folder) / "x.safetensors").write_bytes(content)
            return load_checkpoint(path)

    @staticmethod
    def _saved(payload) -> bytes:
        with TemporaryDirectory() as folder:
            save_checkpoint(path := Path(folder) / "x.safetensors", payload)
            return path.read_bytes()

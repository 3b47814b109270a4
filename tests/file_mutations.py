"""Files as an attacker or a broken disk would leave them: seeded mutations of good ones."""

import gzip
import hashlib
import io
import pickletools
import zipfile
from pathlib import Path

import torch

from experiment.checkpoint import MAGIC

GOOD_CHECKPOINT = Path(__file__).parent / "data" / "checkpoint_format_3.safetensors.gz"
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


def sealed(body: bytes) -> bytes:
    """Returns a checkpoint file around a body, with its right checksum."""
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


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


class CheckpointMutator:
    """Mutates one good checkpoint, on the outside and, with its checksum mended, within."""

    def __init__(self) -> None:
        self.good = gzip.decompress(GOOD_CHECKPOINT.read_bytes())
        self._body = self.good.split(b"\n", 2)[2]
        with zipfile.ZipFile(io.BytesIO(self._body)) as archive:
            self._records = {name: archive.read(name) for name in archive.namelist()}
        self._pickle = self._records["archive/data.pkl"]
        self._places = [place for _, _, place in pickletools.genops(self._pickle)]

    def mutant(self, rng) -> bytes:
        """Returns a mutant of a kind chosen by `rng`."""
        kind = rng.integers(4)
        if kind == 0:
            return mutate(self.good, rng)
        if kind == 1:
            return sealed(mutate(self._body, rng))
        if kind == 2:
            return self.with_pickle(mutate(self._pickle, rng))
        return self.with_pickle(self._with_another_operand(rng))

    def payload(self):
        """Returns what the good checkpoint holds."""
        return torch.load(io.BytesIO(self._body), weights_only=True)

    def with_odd_parts(self, rng) -> bytes:
        """Returns a sound checkpoint in which one to three parts are not what they should be."""
        payload = self.payload()
        version = payload.pop("format_version")  # refused at once, were it another one
        for _ in range(rng.integers(1, 4)):
            mutate_part(payload, rng)
        file = io.BytesIO()
        torch.save(payload | {"format_version": version}, file)
        return sealed(file.getvalue())

    def with_pickle(self, content: bytes) -> bytes:
        """Returns a sealed checkpoint whose pickle is `content`."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, record in (self._records | {"archive/data.pkl": content}).items():
                archive.writestr(name, record)
        return sealed(file.getvalue())

    def _with_another_operand(self, rng) -> bytes:
        """Changes the byte after an opcode: a size, a memo index, a character of a name."""
        mutant = bytearray(self._pickle)
        for _ in range(rng.integers(1, 4)):
            place = self._places[rng.integers(len(self._places))] + 1
            if place < len(mutant):
                mutant[place] = rng.integers(256)
        return bytes(mutant)

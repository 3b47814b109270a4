"""What a checkpoint's archive may hold, checked before anything in it is allocated or run.

`torch.save` writes a zip of one pickle and one record per storage. `weights_only=True` runs no
code from the pickle, but believes its sizes: a shape of terabytes would be allocated, a storage
longer than its record read past its end. Here the pickle is first read with stand-ins for
everything that it names, and every size is compared with the record that must hold it.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch

OPCODES = """
    PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM
    SETITEMS BINGET LONG_BINGET BINPUT LONG_BINPUT GLOBAL REDUCE BUILD BINPERSID
"""  # what torch.save uses
STORAGE_BYTES = {
    ("torch", f"{kind}Storage"): size
    for kind, size in {
        "Double": 8,
        "Float": 4,
        "Half": 2,
        "BFloat16": 2,
        "Long": 8,
        "Int": 4,
        "Short": 2,
        "Char": 1,
        "Byte": 1,
        "Bool": 1,
    }.items()
}
MAX_NODES = 1_000_000  # of the tree of values, counted as often as they are referred to


class _Storage(NamedTuple):
    """Stands for a storage of a checked number of elements."""

    numel: int


def load_archive(body: bytes) -> Any:
    """Returns the tensors and plain values that `torch.save` wrote, on the CPU.

    Raises:
        ValueError: the archive holds anything else, or says another size than it has.
    """
    try:
        records = _records(body)
        tree = _Inspector(records).load()
        _count(tree)
        # written again, so that what is loaded is, byte for byte, what was inspected
        inspected = io.BytesIO()
        with zipfile.ZipFile(inspected, "w") as archive:
            for name, content in records.items():
                archive.writestr(f"archive/{name}", content)
        inspected.seek(0)
        return torch.load(inspected, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind, in a file made to cause it; none is passed over
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"it is no file of tensors and plain values: {reason}") from error


def _records(body: bytes) -> dict[str, bytes]:
    """Returns the records of an archive by name; they are stored, so never longer than it."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("a record is compressed")
        if sum(entry.file_size for entry in entries) > len(body):
            raise ValueError("its records are longer than the file")
        records = {e.filename.partition("/")[2]: archive.read(e) for e in entries}
    if len(records) != len(entries) or "data.pkl" not in records:
        raise ValueError("its records are not those of torch.save")
    return records


class _Inspector(pickle._Unpickler):
    """Reads a pickle into stand-ins; the one in plain Python, whose memo cannot be blown up."""

    stack: list[Any]

    def __init__(self, records: Mapping[str, bytes]) -> None:
        content = records["data.pkl"]
        unknown = {op.name for op, _, _ in pickletools.genops(content)} - set(OPCODES.split())
        if unknown:
            raise ValueError(f"its pickle uses {', '.join(sorted(unknown))}")
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._record_bytes = {name: len(record) for name, record in records.items()}

    def find_class(self, module: str, name: str) -> Any:
        """Returns a stand-in, or refuses."""
        if (module, name) in STORAGE_BYTES:
            return STORAGE_BYTES[module, name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _check_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict[Any, Any]
        raise ValueError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """Compares a storage with its record."""
        tag, element_bytes, key, _location, numel = pid
        _check_counts([numel])
        if tag != "storage" or not isinstance(key, str) or not isinstance(element_bytes, int):
            raise ValueError("a storage is malformed")
        if numel * element_bytes != self._record_bytes.get(f"data/{key}"):
            raise ValueError(f"storage {key} says {numel} elements, its record has another size")
        return _Storage(numel)

    def load_reduce(self) -> None:
        """Calls one of the two functions that may be called."""
        arguments, function = self.stack.pop(), self.stack[-1]
        if function is _check_tensor:
            self.stack[-1] = _check_tensor(*arguments)
        elif function == OrderedDict[Any, Any] and not arguments:
            self.stack[-1] = OrderedDict()
        else:
            raise ValueError("its pickle calls what may not be called")

    def load_build(self) -> None:
        """Passes over the attributes of an OrderedDict: the versions in a state_dict."""
        state, owner = self.stack.pop(), self.stack[-1]
        if type(owner) is not OrderedDict or not isinstance(state, dict):
            raise ValueError("its pickle sets attributes that may not be set")
        _count(state)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = pickle._Unpickler.dispatch | {
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
    }


def _check_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _requires_grad: Any,
    hooks: Any,
    *metadata: Any,
) -> None:
    """Stands for `torch._utils._rebuild_tensor_v2`: the tensor must lie within its storage."""
    if not isinstance(storage, _Storage) or hooks or any(metadata) or len(size) != len(stride):
        raise ValueError("a tensor is malformed")
    _check_counts([offset, *size, *stride])
    numel = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if numel > storage.numel or (numel > 0 and last >= storage.numel):
        raise ValueError(f"a tensor of shape {list(size)} does not fit {storage.numel} elements")


def _check_counts(values: Iterable[Any]) -> None:
    if any(type(value) is not int or value < 0 for value in values):
        raise ValueError("a size is no count")


def _count(tree: Any) -> None:
    """Refuses a tree that refers to itself, or is far larger than what it is made of."""
    left, num_nodes = [tree], 0
    while left:
        node = left.pop()
        num_nodes += 1
        if num_nodes > MAX_NODES:
            raise ValueError(f"it holds more than {MAX_NODES} values")
        if isinstance(node, dict):
            left += [*node.keys(), *node.values()]
        elif isinstance(node, list | tuple):
            left += node

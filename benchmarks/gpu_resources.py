"""Registers, shared memory and spills of every Triton kernel, compiled without a GPU.

    python benchmarks/gpu_resources.py [--sizes 16 32 64 128] [--hidden 64 128 256]

Each operator's forward and backward run once on CPU tensors with their launches recorded
instead of executed. The recorded kernels, with the constants and warps of a real launch, are
compiled ahead of time and measured with the cuobjdump that Triton brings.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["TRITON_INTERPRET"] = "0"

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.kernel_cases import has_heads
from benchmarks.result_file import write_new
from models.kernels import inputs, operators, triton_launch

MODULES = operators()
OPTIONS = {f"rdn-{norm}": {"key_norm": norm} for norm in ("sum", "l2")}
"""Operators that compile to other code with other options: `<operator>-<what is different>`."""
OPS = [*MODULES, *OPTIONS]
ROOT = Path(__file__).resolve().parent.parent
T, B, H = 51, 32, 4
NUM_WRITES = 2
"""Of a step of `delta_product`."""
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.bool: "*i1"}
WARP_REGISTERS = 65536 // 32
# Shared memory of one multiprocessor and warps it can hold (CUDA C++ Programming Guide,
# compute capabilities 8.0 and 9.0); a block reserves one more KiB.
SHARED_BYTES = {80: 164 * 1024, 90: 228 * 1024}
MAX_WARPS, MAX_BLOCKS, RESERVED_BYTES = 64, 32, 1024


ByPath = dict[tuple[int, ...], Any]
"""Of an argument, or of a part of one that is a tuple, by its place."""


@dataclass(frozen=True)
class Launch:
    """What one kernel launch was asked for."""

    kernel: Any
    grid: tuple[int, ...]
    args: tuple[Any, ...]
    num_warps: int
    constants: dict[str, Any]


@dataclass(frozen=True)
class Resources:
    """What one program of a compiled kernel takes; bytes are per thread but for shared memory."""

    op: str
    kernel: str
    size: int
    dtype: str
    sm: int
    programs: int
    warps: int
    registers: int
    shared_bytes: int
    stack_bytes: int
    local_bytes: int
    occupancy: float


def record(op: str, size: int, dtype: torch.dtype, num_writes: int = NUM_WRITES) -> list[Launch]:
    """Returns the launches of one operator's forward and backward at T = 51, B = 32, H = 4.

    Of a kernel that is launched for every step, the first.
    """
    launches: dict[str, Launch] = {}

    def recorder(
        kernel: Any, grid: tuple[int, ...], *args: Any, num_warps: int, **constants: Any
    ) -> None:
        launches.setdefault(kernel.__name__, Launch(kernel, grid, args, num_warps, constants))

    original, triton_launch.launch = triton_launch.launch, recorder
    try:
        module = MODULES[operator_of(op)]
        (fused,) = (b for b in module.BACKENDS if b.name == "triton")
        y, *_ = fused.run(
            *_arguments(module.LAYOUT, size, dtype, num_writes), **OPTIONS.get(op, {})
        )
        y.float().sum().backward()
    finally:
        triton_launch.launch = original
    return list(launches.values())


def operator_of(op: str) -> str:
    """Returns the name of the operator, without what is different."""
    return op.partition("-")[0]


def _arguments(
    layout: dict[str, str], size: int, dtype: torch.dtype, num_writes: int
) -> Iterator[Tensor]:
    sizes = {"T": T, "M": num_writes, "B": B, "H": H} | dict.fromkeys("KVDN", size)
    for name, dims in layout.items():
        shape = [inputs.size_of(dim, sizes) for dim in dims.split()]
        if name == "start":
            yield torch.zeros(shape, dtype=torch.bool)
        else:
            is_sequence = dims.startswith("T")
            yield torch.zeros(
                shape, dtype=dtype if is_sequence else torch.float32, requires_grad=True
            )


def compile_launch(launch: Launch, sm: int) -> Any:
    """Compiles a recorded launch for a compute capability, specialised as a real one is."""
    kernel = launch.kernel
    signature: dict[str, Any] = {}
    constants: ByPath = {}
    attributes: ByPath = {}
    fixed = [p.name for p in kernel.params if p.do_not_specialize]
    for i, (name, arg) in enumerate(zip(kernel.arg_names, launch.args, strict=False)):
        signature[name] = "i32" if name in fixed else _type(arg, (i,), constants, attributes)
    for name, value in launch.constants.items():
        signature[name] = "constexpr"
        constants[kernel.arg_names.index(name),] = value
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    target = GPUTarget("cuda", sm, 32)
    return triton.compile(source, target=target, options=triton_launch.options(launch.num_warps))


def _type(arg: Any, path: tuple[int, ...], constants: ByPath, attributes: ByPath) -> Any:
    """Returns the type of an argument; notes the constants and alignments found at its path."""
    if isinstance(arg, tuple):
        return tuple(_type(x, (*path, i), constants, attributes) for i, x in enumerate(arg))
    if isinstance(arg, Tensor):
        attributes[path] = [["tt.divisibility", 16]]
        return POINTERS[arg.dtype]
    if arg == 1:
        constants[path] = 1
        return "constexpr"
    if arg % 16 == 0:
        attributes[path] = [["tt.divisibility", 16]]
    return "i32" if arg < 2**31 else "i64"


def measure(
    op: str, size: int, dtype: torch.dtype, sm: int, num_writes: int = NUM_WRITES
) -> Iterator[Resources]:
    """Yields the resources of each kernel of an operator at one head or hidden size."""
    for launch in record(op, size, dtype, num_writes):
        compiled = compile_launch(launch, sm)
        usage = _usage(compiled.asm["cubin"])
        shared = compiled.metadata.shared
        programs = 1
        for axis in launch.grid:
            programs *= axis
        yield Resources(
            op=op,
            kernel=launch.kernel.__name__,
            size=size,
            dtype=str(dtype).removeprefix("torch."),
            sm=sm,
            programs=programs,
            warps=launch.num_warps,
            registers=usage["REG"],
            shared_bytes=shared,
            stack_bytes=usage["STACK"],
            local_bytes=usage["LOCAL"],
            occupancy=occupancy(sm, launch.num_warps, usage["REG"], shared),
        )


def _usage(cubin: bytes) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


def occupancy(sm: int, warps: int, registers: int, shared_bytes: int) -> float:
    """Returns the share of a multiprocessor's 64 warps that it can hold of such programs."""
    allocated = -(-registers // 8) * 8
    by_registers = WARP_REGISTERS // allocated // warps
    by_shared = SHARED_BYTES[sm] // (shared_bytes + RESERVED_BYTES)
    return min(MAX_BLOCKS, MAX_WARPS // warps, by_registers, by_shared) * warps / MAX_WARPS


def table(rows: list[Resources]) -> str:
    """Returns the rows as aligned text."""
    lines = [
        f"{'op':17}{'kernel':10}{'size':>5}{'dtype':>10}{'sm':>4}{'programs':>9}{'warps':>6}"
        f"{'regs':>5}{'shared B':>9}{'stack B':>8}{'local B':>8}{'occupancy':>10}"
    ]
    lines += [
        f"{r.op:17}{r.kernel:10}{r.size:5}{r.dtype:>10}{r.sm:4}{r.programs:9}{r.warps:6}"
        f"{r.registers:5}{r.shared_bytes:9}{r.stack_bytes:8}{r.local_bytes:8}{r.occupancy:10.0%}"
        for r in rows
    ]
    return "\n".join(lines)


def write(rows: list[Resources], command: list[str]) -> Path:
    """Writes the rows beside what they were made with, never over others; returns the file."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    date = datetime.date.today().isoformat()
    header = {
        "command": " ".join(["python", "benchmarks/gpu_resources.py", *command]),
        "commit": commit,
        "date": date,
        "machine": f"{platform.machine()}, compiled ahead of time without a GPU",
        "versions": {"torch": torch.__version__, "triton": triton.__version__},
        "T": T,
        "B": B,
        "H": H,
    }
    report = {**header, "rows": [asdict(r) for r in rows]}
    return write_new(f"gpu_resources_sm80_sm90_{date}_{commit}", report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ops", nargs="+", choices=OPS, default=OPS)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[16, 32, 64, 128], help="head sizes"
    )
    parser.add_argument("--hidden", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--writes", type=int, default=NUM_WRITES, help="of delta_product, a step")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--sms", type=int, nargs="+", choices=SHARED_BYTES, default=[80, 90])
    parser.add_argument("--json", action="store_true", help="print JSON, write no file")
    args = parser.parse_args()
    rows = [
        resources
        for op in args.ops
        for size in (args.sizes if has_heads(operator_of(op)) else args.hidden)
        for dtype in args.dtypes
        for sm in args.sms
        for resources in measure(op, size, getattr(torch, dtype), sm, args.writes)
    ]
    if args.json:
        print(json.dumps([asdict(r) for r in rows]))
    else:
        print(table(rows))
        print(f"written to {write(rows, sys.argv[1:]).relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""What the Triton kernels take of a GPU, counted without one: docs/kernels.md."""

from itertools import groupby
from typing import Any

from tools.pages.files import link, reports, table

SM, DTYPE = 90, "float32"
"""What the table is of; the file has the others."""


def registers_block() -> str:
    """Returns warps, registers and spills of every kernel by its head or hidden size."""
    name, report = reports("gpu_resources_*.json")[-1]
    spilt = [row for row in report["rows"] if row["stack_bytes"] or row["local_bytes"]]
    shown = [row for row in report["rows"] if (row["sm"], row["dtype"]) == (SM, DTYPE)]
    rows = [
        [f"`{op}`", kernel, "; ".join(map(_cell, of))]
        for (op, kernel), of in groupby(
            sorted(shown, key=lambda row: (row["op"], row["kernel"])),
            key=lambda row: (row["op"], row["kernel"]),
        )
    ]
    return "\n".join(
        [
            f"Compiled ahead of time by Triton {report['versions']['triton']} for sm_80 and "
            f"sm_90, in float32 and bfloat16 ({link(name, report)}). "
            f"{len(spilt)} of {len(report['rows'])} kernels spill to the stack, the smallest of "
            f"them at D = {min(row['size'] for row in spilt)}. Of sm_{SM} in {DTYPE}, by head "
            "size (`lstm` and `gru`: hidden size): warps of a program x registers of a thread, "
            "and the bytes of stack where there are any.",
            "",
            table(["operator", "kernel", "size: warps x registers"], rows),
        ]
    )


def _cell(row: dict[str, Any]) -> str:
    stack = f" ({row['stack_bytes']} bytes)" if row["stack_bytes"] else ""
    return f"{row['size']}: {row['warps']} x {row['registers']}{stack}"

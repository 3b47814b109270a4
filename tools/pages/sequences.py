"""The tables of docs/sequences.md: how fast models that read sequences are."""

from benchmarks.sequences import PACKING_HEADER, packing_rows, speed_header, speed_rows
from tools.pages.files import link, machine, reports, table


def sequences_block() -> str:
    """Returns the newest run of `bench sequences` on a CPU."""
    on_cpu = [named for named in reports("sequences_*.json") if named[1]["device"] == "cpu"]
    name, report = on_cpu[-1]
    settings = report["settings"]
    return "\n\n".join(
        [
            f"{settings['tokens']:,} tokens a batch, {settings['num_layers']} layers of "
            f"{settings['size']}, CPU time of one thread on {machine(report)}, "
            f"medians of {settings['rounds']} turns; in brackets how many times as fast as "
            f"`nn.LSTM`, median and quartiles ({link(name, report)}):",
            table(speed_header(report), speed_rows(report)),
            "Batches of 64 sequences, in 16 lanes (`listops`, as its config has it) and 32:",
            table(PACKING_HEADER, packing_rows(report)),
        ]
    )

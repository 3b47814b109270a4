"""The README's table of what the fused kernels gain."""

from benchmarks.pages.files import link, machine, reports, table


def kernel_block() -> str:
    """Returns the newest of each ratio that the kernel benchmark found on a CPU."""
    files = reports("kernels_*-cores_*.json")
    newest = {
        ratio["name"]: (ratio, report, name)
        for name, report in files
        for ratio in report["ratios"]
        if ratio["ratio"] is not None and "feedforward" not in ratio["name"]
    }
    rows = [
        [r["name"], f"{r['ratio']:.2f}", r["goal"] or "", link(name, report)]
        for r, report, name in newest.values()
    ]
    return "\n".join(
        [
            "Forward plus backward at T = 50, B = 32, H = 4, D = 32 (LSTM: 256 units), float32, "
            "with resets; the median time of the backend named first over that of the second, "
            "side by side in one run of `bench kernels` (`compiled`: the loop under "
            "`torch.compile`). `acting` is a whole core at T = 1, B = 32 over one step of "
            f"`nn.LSTM(257, 256)`. {machine(files[-1][1])}.",
            "",
            table(["ratio", "value", "goal", "commit and file"], rows),
            "",
            "The Triton kernels are checked in Triton's interpreter and compiled ahead of time for "
            "sm_80 and sm_90; they have not run on a GPU yet.",
        ]
    )

"""The tables of what was tried on a GPU in one script each: docs/gpu.md."""

import itertools

from tools.pages.files import link, reports, table

CALLS = ("GraphedActStep.answer", "EnvpoolRows.recv")


def loop_threads() -> list[str]:
    """Returns the loop of two cores with other groups and emulator threads."""
    name, report = reports("gpu_loop_threads_*.json")[-1]
    rows = [
        [
            f"`{row['core']}`",
            f"{row['groups']} of {row['threads_per_group']}",
            f"{row['steps_per_second']:,.0f}",
            " and ".join(f"{x:,.0f}" for x in row["random_play_steps_per_second"]),
            f"{row['share_of_random_play']:.2f}",
        ]
        for row in report["rows"]
    ]
    header = ["core", "groups and their threads", "steps/s", "random play before and after"]
    tests = report["tests"]
    return [
        f"The same loop, 256 environments with unrolls of 16, in other groups "
        f"({report['hardware']['gpu']}, {link(name, report)}; in its hour {tests['passed']} GPU "
        f"tests passed and {tests['failed']} failed):",
        table([*header, "of random play"], rows),
    ]


def kernel_stages() -> list[str]:
    """Returns what it gives to ask for the reads of later steps ahead of time."""
    name, report = reports("kernel_stages_*.json")[-1]
    rows = sorted(report["rows"], key=lambda row: (row["op"], row["B"], row["stages"]))
    lines = []
    for (op, T, B), same in itertools.groupby(rows, lambda row: (row["op"], row["T"], row["B"])):
        lines.append([f"`{op}`", f"T {T}, B {B}", *(f"{row['total_ms']:.3f}" for row in same)])
    return [
        "**Steps in flight** of the kernels, D 32, forward and backward in milliseconds "
        f"({report['hardware']['gpu']}, {link(name, report)}): with one a step reads what it needs "
        "when it needs it, with three that has been asked for two steps before. `delta_product` "
        "had no loop to do this in until its writes were unrolled.",
        table(["kernel", "shape", "1", "2", "3"], lines),
    ]


def loop_trials() -> list[str]:
    """Returns how the environments were divided in trials, and what each division reached."""
    name, report = reports("gpu_loop_trials_*.json")[-1]
    rows = [
        [
            row["what"] + (f", {row['note']}" if "note" in row else ""),
            str(row["environments"]),
            f"{row['groups']} of {row['threads_per_group']}",
            str(row["actors"]),
            f"{row['steps_per_second']:,}",
            f"{row['cores_used']:.1f}",
            *(f"{row['ms_per_call'][call]:.2f}" if "ms_per_call" in row else "" for call in CALLS),
        ]
        for row in report["rows"]
    ]
    header = ["what ran", "environments", "groups and their threads", "actors", "steps/s"]
    header += ["cores used", "wait for actions, ms", "wait for environments, ms"]
    tests, training = report["tests"], report["training"]
    return [
        f"**How to divide the environments** ({report['hardware']['gpu']}, "
        f"{report['hardware']['cores']} cores, {link(name, report)}): Pong, `rdn`, small encoder, "
        "three passes, unroll 64; means of a group's step. With 16 threads a group, twice as many "
        "as cores, the actor waits for a core; with 8 and 256 environments the loop is as fast as "
        "random play, which `configs/gpu/*.yaml` have taken from it.",
        table(header, rows),
        f"In the same hour {tests['passed']} GPU tests passed and {tests['failed']} failed "
        f"({tests['why']}), in {tests['seconds']} s; and training with {training['config']}, stood "
        f"at {training['return_of_last_100_games']:.1f} after {training['seconds']} s and "
        f"{training['frames'] / 1e6:.1f} M frames.",
    ]

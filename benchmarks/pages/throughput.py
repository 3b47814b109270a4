"""The tables of training speed: the README's and those of docs/throughput.md."""

from typing import Any

from benchmarks.pages.files import CORES, link, machine, reports, table

Report = dict[str, Any]


def newest() -> list[tuple[str, Report]]:
    """Returns the newest report of each mode, encoder and core, in the order of the tables."""
    found = {
        (report["mode"], report["encoder"], report["core"], report["settings"]["game"]): (
            name,
            report,
        )
        for name, report in reports("throughput_*-cores_*.json")
    }
    order = {key: (key[0] != "serial", key[1] != "small", CORES.index(key[2])) for key in found}
    return [found[key] for key in sorted(found, key=order.__getitem__)]


def speed_block() -> str:
    """Returns the README's short table: small encoder, serial mode."""
    shown = [r for _, r in newest() if r["encoder"] == "small" and r["mode"] == "serial"]
    lstm = next(r["steps_per_second"] for r in shown if r["core"] == "lstm")
    rows = [
        [
            f"`{r['core']}`",
            f"{r['steps_per_second']:,.0f}",
            f"{r['frames_per_second']:,.0f}",
            f"{r['efficiency']:.2f}",
            f"{r['times_plain']:.2f}",
            f"{r['steps_per_second'] / lstm:.2f}",
        ]
        for r in shown
    ]
    header = ["core", "steps/s", "frames/s", "efficiency", "times plain loop", "times LSTM"]
    return "\n\n".join([table(header, rows), *peer_lines()])


def peer_lines() -> list[str]:
    """Returns what the newest run with peers says of them."""
    found = [named for named in newest() if PEER in named[1]["speeds"]]
    if not found:
        return []
    name, report = found[-1]
    peer = report["speeds"][PEER]["steps_per_second"]
    return [
        "Stable-Baselines3's RecurrentPPO (`--peers`), with the same game, environments, encoder, "
        f"unroll and passes, made {peer:,.0f} steps/s where the loop with `{report['core']}` made "
        f"{report['steps_per_second']:,.0f}: {report['steps_per_second'] / peer:.2f} times as many "
        f"({link(name, report)})."
    ]


def throughput_block() -> str:
    """Returns every figure of the newest runs, and how they were made."""
    shown = newest()
    rows = [
        [
            r["mode"],
            r["encoder"],
            f"`{r['core']}`",
            *(f"{r['speeds'][part]['steps_per_second']:,.0f}" for part in PARTS),
            f"{r['efficiency']:.2f}",
            f"{r['times_plain']:.2f}",
            f"{r['share_of_random_play']:.2f}",
            f"{r['peak_memory_bytes'] / 2**20:,.0f}",
            link(name, r),
        ]
        for name, r in shown
    ]
    header = ["mode", "encoder", "core", *PARTS, "efficiency", "whole / plain"]
    header += ["whole / random play", "MiB", "commit and file"]
    learner = shown[0][1]["settings"]["learner"]
    return "\n".join(
        [
            f"Agent steps per second, medians; {learner['batch_size']} environments of Pong at "
            f"84x84, unroll {learner['unroll_length']}, {learner['num_passes']} passes in "
            f"{learner['num_minibatches']} minibatches. {machine(shown[0][1])}.",
            "",
            table(header, rows),
        ]
    )


PEER = "recurrent_ppo"
PARTS = ("env", "env_only", "act", "learn", "whole", "plain")

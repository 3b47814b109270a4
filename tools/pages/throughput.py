"""The tables of training speed, for docs/throughput.md."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

from agents.impala.config import TrainConfig, config_from_values
from envs import canonical_game
from experiment.provenance import ROOT
from experiment.settings import load_yaml
from models.cores import CORES, resolved
from tools.pages.files import link, machine, reports, table
from tools.pages.loop_costs import newest_costs

Report = dict[str, Any]
Named = list[tuple[str, Report]]
BATCH_SIZE = 32
"""Environments of the runs in all tables but that of the recipe, which has its own."""


def newest(batch_size: int = BATCH_SIZE) -> dict[str, Named]:
    """Returns, of each machine, the newest report of each mode, encoder and core, in order."""
    pong = recipe()
    shown = replace(pong, learner=replace(pong.learner, batch_size=batch_size))
    found: dict[str, dict[tuple[str, ...], tuple[str, Report]]] = defaultdict(dict)
    for name, report in reports("throughput_*-cores_*.json"):
        core = replace(pong.core, kind=report["core"])
        if work(config_from_values(report["settings"])) == work(replace(shown, core=core)):
            key = (report["mode"], report["encoder"], report["core"])
            found[machine(report)][key] = name, report
    return {of: [named[key] for key in sorted(named, key=_order)] for of, named in found.items()}


def recipe() -> TrainConfig:
    """Returns the settings that `make pong` trains with."""
    return config_from_values(load_yaml((ROOT / "configs/pong.yaml").read_text()))


def work(config: TrainConfig) -> tuple[object, ...]:
    """Returns the settings that decide how much there is to do, beside mode and encoder."""
    learner = config.learner
    return (
        canonical_game(config.game),
        replace(config.env, num_threads=0),
        config.encoder.size,
        resolved(config.core),
        (learner.unroll_length, learner.batch_size, learner.num_passes, learner.num_minibatches),
    )


def _order(key: tuple[str, ...]) -> tuple[bool, bool, int]:
    mode, encoder, core = key
    return mode != "serial", encoder != "small", list(CORES).index(core)


def speed_block() -> str:
    """Returns the short tables: small encoder, serial mode."""
    return "\n\n".join(
        part
        for name, named in newest().items()
        for part in (
            f"{name}, {_dates(named)}:",
            _speed_table([report for _, report in named], _over_lstm(name)),
            *peer_lines(named),
        )
    )


def _dates(named: Named) -> str:
    return ", ".join(sorted({report["date"][:10] for _, report in named}))


def _speed_table(of_machine: list[Report], over_lstm: dict[str, str]) -> str:
    rows = [
        [
            f"`{r['core']}`",
            f"{r['steps_per_second']:,.0f}",
            f"{r['frames_per_second']:,.0f}",
            f"{r['efficiency']:.2f}",
            _times_plain(r),
            over_lstm.get(r["core"], ""),
        ]
        for r in of_machine
        if r["encoder"] == "small" and r["mode"] == "serial"
    ]
    header = ["core", "steps/s", "frames/s", "efficiency", "times plain loop", "times LSTM"]
    return table(header, rows)


def _times_plain(report: Report) -> str:
    """Returns the ratio to the plain loop, and what it is at the quartiles of that loop's speed."""
    low, high = report["speeds"]["plain"]["quartiles"]
    whole = report["steps_per_second"]
    return f"{report['times_plain']:.2f} ({whole / high:.2f} to {whole / low:.2f})"


def _over_lstm(machine_name: str) -> dict[str, str]:
    """Returns each core's speed over the LSTM's, with quartiles, of loops that took turns."""
    if machine_name not in newest_costs():
        return {}
    _, report = newest_costs()[machine_name]
    found = {}
    for row in report["groups"]["core"]:
        low, high = row["quartiles"]
        found[row["variant"]] = f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
    return found


def peer_lines(of_machine: Named) -> list[str]:
    """Returns what the newest run with peers says of them, with what encoder it was."""
    found = [named for named in of_machine if PEER in named[1]["speeds"]]
    if not found:
        return []
    name, report = max(found, key=lambda named: named[1]["date"])
    peer, whole = report["speeds"][PEER], report["steps_per_second"]
    low, high = peer["quartiles"]
    return [
        "Stable-Baselines3's RecurrentPPO (`--peers`), with the same game, environments, encoder "
        f"(`{report['encoder']}`), unroll and passes, made {peer['steps_per_second']:,.0f} steps/s "
        f"there, after the loop with `{report['core']}` ({report['mode']}) had made {whole:,.0f}: "
        f"{whole / peer['steps_per_second']:.2f} times as many ({whole / high:.2f} to "
        f"{whole / low:.2f} at the quartiles of its speed; {link(name, report)})."
    ]


def recipe_block() -> str:
    """Returns how fast `make pong` trains with each core, beside the plain loop and its peer."""
    of_machines = newest(recipe().learner.batch_size)
    return "\n\n".join(
        part
        for name, named in of_machines.items()
        for part in (f"{name}:", _recipe_table(named), *peer_lines(named))
    )


def _recipe_table(of_machine: Named) -> str:
    rows = [
        [
            f"`{r['core']}`",
            f"{r['steps_per_second']:,.0f}",
            f"{r['frames_per_second']:,.0f}",
            f"{r['plain_steps_per_second']:,.0f}",
            _times_plain(r),
            link(name, r),
        ]
        for name, r in of_machine
        if r["mode"] == "async"
    ]
    header = ["core", "steps/s", "frames/s", "plain loop", "times plain loop", "commit and file"]
    return table(header, rows)


def throughput_block() -> str:
    """Returns every figure of the newest runs, and how they were made."""
    by_machine = newest()
    learner = next(iter(by_machine.values()))[0][1]["settings"]["learner"]
    made = (
        f"Agent steps per second, medians; {learner['batch_size']} environments of Pong at "
        f"84x84, unroll {learner['unroll_length']}, {learner['num_passes']} passes in "
        f"{learner['num_minibatches']} minibatches."
    )
    tables = [part for name, named in by_machine.items() for part in (f"{name}:", _full(named))]
    return "\n\n".join([made, *tables])


def _full(of_machine: Named) -> str:
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
        for name, r in of_machine
    ]
    header = ["mode", "encoder", "core", *PARTS, "efficiency", "whole / plain"]
    header += ["whole / random play", "MiB", "commit and file"]
    return table(header, rows)


PEER = "recurrent_ppo"
PARTS = ("env", "env_only", "act", "learn", "whole", "plain")

"""What `bench throughput` prints and writes: speeds, shares of time, and ratios."""

import statistics
from dataclasses import replace
from typing import Any

import torch
from rich.table import Table

from agents.impala import resolve
from agents.impala.config import TrainConfig
from benchmarks.autotune import autotune
from benchmarks.peers import time_recurrent_ppo
from benchmarks.result_file import show, write_result
from benchmarks.throughput import Settings, time_parts, trace
from envs import family_of, make_env
from experiment.provenance import provenance
from experiment.settings import plain_values
from models.cores import resolved

SERIAL_PARTS = ("env", "act", "learn")


def main(config: TrainConfig, settings: Settings, *, as_json: bool) -> None:
    """Times a configuration, prints a table or JSON, and writes the result file."""
    if settings.autotune is not None:
        config = autotune(config, settings)
    report = run(config, settings)
    if settings.profile is not None:
        trace(config, settings.profile)
    show(report, tables(report), write_result("throughput", report), as_json=as_json)


def run(config: TrainConfig, settings: Settings) -> dict[str, Any]:
    """Returns speeds in agent steps per second beside what they were made with."""
    made_with = provenance()
    config = settled(config)
    num_threads = config.num_threads or torch.get_num_threads()
    measured = time_parts(config, settings.rounds)
    steps = config.learner.steps_per_rollout
    if settings.peers:
        measured["seconds"]["recurrent_ppo"] = time_recurrent_ppo(config, settings.rounds)
    speeds = {
        name: summarise_speed(seconds, steps) for name, seconds in measured["seconds"].items()
    }
    return {
        **made_with,
        **figures(config, speeds),
        "peak_memory_bytes": measured["peak_memory_bytes"],
        "arithmetic": measured["arithmetic"],
        "threads": num_threads,
        "settings": plain_values(replace(config, core=resolved(config.core))),
        "speeds": speeds,
    }


def summarise_speed(seconds: list[float], steps: int) -> dict[str, Any]:
    """Returns the median steps per second of equal rollouts, with the quartiles."""
    low, median, high = statistics.quantiles(sorted(seconds), n=4, method="inclusive")
    return {
        "steps_per_second": steps / median,
        "quartiles": [steps / high, steps / low],
    }


def settled(config: TrainConfig) -> TrainConfig:
    """Returns settings that name encoder and sizes, where they left them open."""
    env = make_env(config.game, config.env, 1, seed=0)
    env.close()
    return resolve.settled(config, env.spec)


def figures(config: TrainConfig, speeds: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures that scripts read, all in agent steps per second.

    `efficiency` is whole / bound, where bound = 1 / (1/env + 1/act + 1/learn): what a loop would
    reach that runs its parts one after the other and loses nothing between them.
    """
    rate = {name: speed["steps_per_second"] for name, speed in speeds.items()}
    bound = 1 / sum(1 / rate[part] for part in SERIAL_PARTS)
    plain = rate.get("plain")
    frame_skip = family_of(config.game).frame_skip
    return {
        "game": config.game,
        "core": config.core.kind,
        "encoder": config.encoder.kind,
        "mode": config.mode,
        "env_steps_per_second": rate["env"],
        "env_only_steps_per_second": rate["env_only"],
        "act_steps_per_second": rate["act"],
        "learn_steps_per_second": rate["learn"],
        "steps_per_second": rate["whole"],
        "frames_per_second": rate["whole"] * frame_skip,
        "efficiency": rate["whole"] / bound,
        "share_of_random_play": rate["whole"] / rate["env_only"],
        "plain_steps_per_second": plain,
        "times_plain": None if plain is None else rate["whole"] / plain,
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """Returns the report as tables for a terminal."""
    title = f"{report['game']}, {report['core']}, {report['encoder']} encoder, {report['mode']}"
    parts = Table("part", "steps/s", "quartiles", "share of the parts' time", title=title)
    rate = {name: speed["steps_per_second"] for name, speed in report["speeds"].items()}
    total = sum(1 / rate[part] for part in SERIAL_PARTS)
    for name, speed in report["speeds"].items():
        low, high = speed["quartiles"]
        share = f"{1 / rate[name] / total:.0%}" if name in SERIAL_PARTS else ""
        parts.add_row(name, f"{rate[name]:,.0f}", f"{low:,.0f} to {high:,.0f}", share)
    found = Table("figure", "value")
    found.add_row("frames/s", f"{report['frames_per_second']:,.0f}")
    found.add_row("efficiency", f"{report['efficiency']:.2f}")
    if report["times_plain"] is not None:
        found.add_row("whole / plain loop", f"{report['times_plain']:.2f}")
    found.add_row("whole / random play", f"{report['share_of_random_play']:.2f}")
    found.add_row("peak memory", f"{report['peak_memory_bytes'] / 2**20:,.0f} MiB")
    return [parts, found]

"""Run folders as training and `evaluate` leave them, made in no time, for tests of `compare`."""

import json

import yaml

from agents.impala.config import config_from_values
from experiment.settings import plain_values

ORIGIN = {
    "commit": "0123456789abcdef",
    "dirty": False,
    "source_hash": "feedbeef0000",
    "hardware": {"cpu": "a processor", "cores": 2, "gpu": None},
}
SIZE = {"parameters": 5000, "core_parameters": 4000, "state_bytes": 512}


def settings(game="tmaze", core="rdn", bptt="full", seed=1, **others):
    core = {"kind": core, "bptt": bptt}
    values = {"game": game, "core": core, "encoder": {"kind": "mlp"}, "seed": seed}
    return plain_values(config_from_values(values | {"total_frames": 1000} | others))


def evaluation(returns, game="tmaze", frames=1000, updates=10, **varied):
    usual = {"episodes": None, "backend": "gymnasium", "greedy": False, "seed": 0}
    return {
        "game": game,
        "frames": frames,
        "updates": updates,
        "settings": usual | varied,
        "size": SIZE,
        "episodes": {"return": returns, "steps": [21] * len(returns)},
    }


def metrics(final, frames=(250, 500, 750, 1000)):
    return [
        {
            "frames": number,
            "updates": number // 100,
            "wall_seconds": number / 100,
            "games": [[1.0, 21]],
            "return/last_100_games_points": final * number / frames[-1],
            "share/env": 0.2,
            "share/inference": 0.3,
            "share/learner": 0.5,
            "share/core": 0.4,
        }
        for number in frames
    ]


def write_run(path, mean_return=0.75, *, origin=ORIGIN, status="finished", **values):
    """Makes a run folder whose 500 games have this mean; returns the folder."""
    path.mkdir(parents=True)
    config = settings(**values)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "provenance.json").write_text(json.dumps(origin))
    (path / "status.json").write_text(json.dumps({"status": status, "why": ""}))
    rows = "".join(json.dumps(row) + "\n" for row in metrics(mean_return))
    (path / "metrics.jsonl").write_text(rows)
    write_evaluation(path, evaluation([mean_return] * 500, game=config["game"]))
    return path


def write_evaluation(path, result, name="first"):
    (path / "evaluation").mkdir(exist_ok=True)
    (path / "evaluation" / f"{name}.json").write_text(json.dumps(result))


def write_seeds(root, core, returns, **values):
    """Makes a run of a core for every return."""
    game = values.get("game", "tmaze")
    for seed, value in enumerate(returns, 1):
        write_run(root / game / core / f"seed{seed}", value, core=core, seed=seed, **values)

"""Run folders of tasks with answers as training and `evaluate` leave them, made in no time."""

import json

import yaml

from experiment.settings import plain_values
from sequences.config import complete_settings, config_from_values
from tests.run_folders import ORIGIN, SIZE, write_evaluation

USUAL = {"split": "test", "examples": 1000, "seed": 0, "context": "carried", "args": {}}


def settings(task="listops", core="rdn", seed=1, args=None, **others):
    values = {"task": {"kind": task, "args": args or {}}, "core": {"kind": core}, "seed": seed}
    values |= {"batch": {"segment_length": 64}} if task == "text" else {}
    return plain_values(complete_settings(config_from_values(values | others)))


def evaluation(value, task="listops", tokens=1000, updates=10, **varied):
    measures = {"accuracy": value, "answer_accuracy": (1 + value) / 2, "nats_per_answer": 0.5}
    if task == "text":
        measures = {"bits_per_byte": value, "nats_per_answer": value}
    return {
        **measures,
        "task": task,
        "sequences": varied.get("examples", 1000),
        "answers": 2000,
        "tokens": tokens,
        "updates": updates,
        "settings": USUAL | varied,
        "size": SIZE,
    }


def write_run(path, value=0.75, *, task="listops", status="finished", **values):
    """Makes a run folder whose evaluation measures this; returns the folder."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(listed(settings(task, **values))))
    (path / "provenance.json").write_text(json.dumps(ORIGIN))
    (path / "status.json").write_text(json.dumps({"status": status, "why": ""}))
    tag = "loss/bits_per_byte" if task == "text" else "accuracy/sequences_share"
    rows = [
        {"tokens": n, "updates": n // 100, "wall_seconds": n / 100, tag: value * (2 - n / 1000)}
        for n in (250, 500, 750, 1000)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_evaluation(path, evaluation(value, task))
    return path


def listed(values):
    """Returns plain values with lists for tuples, as YAML has them."""
    if isinstance(values, dict):
        return {name: listed(value) for name, value in values.items()}
    return list(values) if isinstance(values, tuple) else values

"""The tuning runs of Pong as a table, from `results/pong_tuning`."""

from typing import Any

from agents.impala.config import config_from_values
from experiment.files import read_json
from experiment.provenance import ROOT
from experiment.settings import flat_values, plain_values
from tools.pages.files import table

RESULTS = ROOT / "results" / "pong_tuning"
FIRST = "a01-drnn101-shipped"
"""The run whose settings the others changed: `configs/pong.yaml` as it was."""
COMPARED = ("learner", "policy", "mode", "exact_lag", "scatter_steps", "total_frames")
WINDOW, NUM_WINDOWS = 400_000, 10  # frames
LAMBDA_RUNS = (
    *("s1-lam95-lstm101", "r2-kl12-lstm101", "q3-lstm101"),
    *("y1-lam95-kl16-rdn101", "t1-lam95-rdn101", "l1-candidate-rdn101"),
    *("s2-lam95-l2-rdn101", "x2-lam95-kl16-l2-rdn101", "q1-l2-rdn101"),
    *("z1-lam95-kl16-drnn101", "l2-candidate-drnn101", "m1-kl-drnn101"),
    *("x1-lam95-kl16-l2-drnn102", "s3-lam95-l2-drnn102", "u1-lam95-free-l2-drnn102"),
    *("q2-l2-drnn102", "aa1-dnet101", "q4-l2-dnet101"),
)
"""Runs with a `vtrace_lambda` of 0.95 and, of the same core, keys and seed, of 0.9."""
LED = "cc1-rdn102"
"""A run with the settings that those against long rallies changed."""
RALLY_RUNS = (
    *(LED, "bb1-lam98-rdn102", "cc2-gamma995-rdn102", "bb2-lam98-rdn103", "dd1-ent2-rdn103"),
    *("aa1-dnet101", "dd2-ent2-dnet102", "ee2-unroll128-dnet102", "ff1-scale35-dnet102"),
)
SKIP_RUNS = (
    *("kk4-lstm103", "kk3-ff103", "kk1-drnn103", "tt1-drnn103", "uu1-skip-drnn103"),
    *("rr1-nomem103", "rr2-noff103", "pp1-drnn103-zero", "nn2-drnn103-recompute"),
    *("jj4-drnn103-vc4", "ii1-drnn103", "ll1-drnn103", "nn1-gdn103", "kk2-dnet102", "tt2-dnet102"),
    *("uu2-skip-dnet102", "pp2-dnet102-zero", "ii2-dnet102", "ll2-dnet102", "vv2-dnet103"),
    *("ww2-anew-dnet103", "vv1-rdn104", "ww1-gate-rdn104", "yy1-rdn104", "yy2-lstm103"),
    *("zz1-rdn104", "yy3-lstm103", "yy4-drnn103", "zz2-lstm1", "zz3-rdn1", "ab1-lstm103"),
    *("ab2-rdn101", "ac1-rdn101gain", "ac2-drnn102gain", "ad1-drnn102", "ae1-drnn102"),
    *("ae2-rdn101", "af1-drnn102", "af2-lstm1", "ag1-lstm101", "ag2-rdn101"),
    *("ai1-rdn101", "ai2-dnet101", "aj1-rdn101", "ak1-rdn101", "am1-dnet101"),
    *("am2-dnet102", "an2-rdn101", "ao1-dnet1"),
    "xx1-oneframe-rdn101",
)
"""Runs in search of what holds fast-weight cores up, and with what the LSTM and no memory do."""
NUM_RETURNS = 5  # stretches of a run with games in them that the last return is the mean of


def tuning_block() -> str:
    """Returns the table: how each run differs from the first, and how it went."""
    runs = {path.stem: read_json(path) for path in sorted(RESULTS.glob("*.json"))}
    defaults = plain_values(config_from_values({"game": "Pong"}))  # of settings that came later
    first = _compared(defaults) | _compared(runs[FIRST]["settings"])
    return table(
        ["run", "core, seed", "other than the first", "frames", "return", "entropy"],
        [_row(name, run, first) for name, run in runs.items()],
    )


def lambda_block() -> str:
    """Returns the returns of the runs that differ in `vtrace_lambda`, in windows of frames."""
    ends = [f"{(k + 1) * WINDOW / 1e6:.1f} M" for k in range(NUM_WINDOWS)]
    return table(
        ["run", "core, seed", "`vtrace_lambda`", "`desired_kl`", "planned", *ends],
        [_lambda_row(name) for name in LAMBDA_RUNS],
    )


def _lambda_row(name: str) -> list[str]:
    run = read_json(RESULTS / f"{name}.json")
    settings = run["settings"]
    learner, total_frames = settings["learner"], settings["total_frames"]
    what = [str(learner.get(name) or "") for name in ("vtrace_lambda", "desired_kl")]
    planned = f"{total_frames / 1e6:.1f} M"
    return [f"`{_short(name)}`", _core(settings), *what, planned, *_windows(run["curves"])]


def rally_block() -> str:
    """Returns the returns of the runs against long rallies, in windows of frames."""
    return _returns(RALLY_RUNS)


def skip_block() -> str:
    """Returns the returns of the runs with and without a way past the core."""
    return _returns(SKIP_RUNS)


def _returns(names: tuple[str, ...]) -> str:
    ends = [f"{(k + 1) * WINDOW / 1e6:.1f} M" for k in range(NUM_WINDOWS)]
    rows = [_returns_row(name) for name in names]
    filled = max(k for row in rows for k, cell in enumerate(row) if cell) + 1
    return table(
        ["run", "core, seed", "other than in `cc1`", *ends][:filled],
        [row[:filled] for row in rows],
    )


def _returns_row(name: str) -> list[str]:
    run, first = (read_json(RESULTS / f"{of}.json") for of in (name, LED))
    what = _differing(run, _compared(first["settings"]))
    kind = f"`{run['settings']['core']['kind']}` {run['settings']['seed']}"
    return [f"`{_short(name)}`", kind, what, *_windows(run["curves"])]


def _short(name: str) -> str:
    return name.partition("-")[0]


def _windows(curves: dict[str, list[float]]) -> list[str]:
    """Returns the mean return of each window; "" where no game ended."""
    windows: list[list[float]] = [[] for _ in range(NUM_WINDOWS + 1)]
    for frames, points in zip(curves["frames"], curves["return"], strict=True):
        if points is not None:
            windows[int((frames - 1) // WINDOW)].append(points)
    return [f"{sum(of) / len(of):.1f}" if of else "" for of in windows[:NUM_WINDOWS]]


def _core(settings: dict[str, Any]) -> str:
    core = settings["core"]
    args = "".join(f", `{key}: {value}`" for key, value in core.get("args", {}).items())
    return f"`{core['kind']}` {settings['seed']}{args}"


def _compared(settings: dict[str, Any]) -> dict[str, Any]:
    return flat_values({name: settings[name] for name in COMPARED if name in settings})


def _row(name: str, run: dict[str, Any], first: dict[str, Any]) -> list[str]:
    curves = run["curves"]
    returns = [points for points in curves["return"] if points is not None][-NUM_RETURNS:]
    return [
        f"[{name}](/results/pong_tuning/{name}.json)",
        _core(run["settings"]),
        _differing(run, first) or "nothing",
        f"{curves['frames'][-1] / 1e6:.2f} M",
        f"{sum(returns) / len(returns):.1f}" if returns else "no game",
        f"{curves['entropy'][-1]:.2f}",
    ]


def _differing(run: dict[str, Any], first: dict[str, Any]) -> str:
    """Returns the settings of a run that are not those of the first, and how its code differed."""
    differing = [
        f"`{key.removeprefix('learner.')}: {value}`"
        for key, value in _compared(run["settings"]).items()
        if first.get(key) != value
    ]
    return ", ".join([*differing, *([run["code"]] if "code" in run else [])])

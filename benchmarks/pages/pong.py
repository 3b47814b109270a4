"""The README's table of agents trained on Pong."""

from pathlib import Path

from benchmarks.pages.files import CORES, ROOT, last_row, machine, metric_rows, read_json, table

RUNS = ROOT / "results" / "pong"
ASYNC_RUNS = ROOT / "results" / "pong_async"


def pong_block() -> str:
    """Returns the section."""
    runs = pong_runs()
    rows = [_row(name, folders) for name, folders in runs.items()]
    first = next(iter(runs.values()))[0]
    return "\n".join(
        [
            "`configs/pong.yaml` with each core: mean return of 30 full games per seed, sampled "
            "policy, played through gymnasium and ale-py. Two or three runs went side by side on "
            "two cores, a thread each, with other work beside them: minutes are an upper bound. "
            f"{machine(read_json(first / 'provenance.json'))}.",
            "",
            table(
                [
                    "core",
                    "seed: mean ± standard error",
                    "frames",
                    "frames to a mean of 18 in training",
                    "minutes",
                ],
                rows,
            ),
        ]
    )


def pong_runs() -> dict[str, list[Path]]:
    """Returns the published runs of each core, and of each core with other settings."""
    names = sorted(folder.name for folder in RUNS.iterdir())
    names.sort(key=lambda name: ("-" in name, CORES.index(name.partition("-")[0])))
    return {name: sorted((RUNS / name).glob("seed*")) for name in names}


def _row(name: str, folders: list[Path]) -> list[str]:
    results = [read_json(folder / "evaluation.json") for folder in folders]
    seeds = [
        f"{folder.name.removeprefix('seed')}: {r['mean_return']:.1f} ± {r['standard_error']:.1f}"
        for folder, r in zip(folders, results, strict=True)
    ]
    minutes = [last_row(folder)["wall_seconds"] / 60 for folder in folders]
    return [
        f"`{name}`",
        ", ".join(seeds),
        ", ".join(f"{r['frames'] / 1e6:.1f} M" for r in results),
        ", ".join(_frames_to_18(folder) for folder in folders),
        ", ".join(f"{m:.0f}" for m in minutes),
    ]


def _frames_to_18(run: Path) -> str:
    """Returns the frames after which the last 100 training games first averaged 18."""
    for row in metric_rows(run):
        if row.get("return/last_100_games_points", -21.0) >= 18:
            return f"{row['frames'] / 1e6:.1f} M"
    return "not yet"


def async_block() -> str:
    """Returns the learning curves of the LSTM's runs, serial and async, as a table."""
    modes = {"serial": RUNS / "lstm", "async": ASYNC_RUNS / "lstm"}
    millions = range(1, 7)
    return table(
        ["run", *(f"{m} M frames" for m in millions), "evaluation"],
        [
            [
                f"{mode}, seed {run.name.removeprefix('seed')}",
                *(f"{_return_after(run, m * 1e6):.1f}" for m in millions),
                f"{read_json(run / 'evaluation.json')['mean_return']:.1f}",
            ]
            for mode, folder in modes.items()
            for run in sorted(folder.glob("seed*"))
        ],
    )


def _return_after(run: Path, frames: float) -> float:
    """Returns the mean of the last 100 training games after so many frames."""
    rows = [row for row in metric_rows(run) if row["frames"] <= frames]
    found: float = rows[-1]["return/last_100_games_points"]
    return found

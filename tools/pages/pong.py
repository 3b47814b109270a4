"""The tables of agents trained on Pong."""

from pathlib import Path

from experiment.provenance import ROOT
from models.cores import CORES
from tools.pages.files import last_row, metric_rows, read_json, table

RUNS = ROOT / "results" / "pong"
RECIPE_RUNS = ROOT / "results" / "pong_recipe"


def pong_block() -> str:
    """Returns the section."""
    runs = pong_runs()
    return "\n".join(
        [
            "`configs/pong.yaml` as it was before the recipe of today, with each core: mean return "
            "of 30 full games per seed, sampled policy, and greedy where the policy is kept, "
            "played through gymnasium and ale-py. Two or three runs went side by side on two "
            "cores, a thread each, with other work beside them: minutes are an upper bound. The "
            f"runs come from {_num_versions(runs)} versions of the code, with the same settings: "
            "`results/pong/<core>/seed<k>/config.yaml`.",
            "",
            _table(runs),
        ]
    )


def recipe_block() -> str:
    """Returns the table of the runs with the recipe."""
    return _table(pong_runs(RECIPE_RUNS))


def _table(runs: dict[str, list[Path]]) -> str:
    columns = ["core", "seed: mean ± standard error", "greedy", "frames"]
    columns += ["frames to a mean of 18 in training", "minutes", "machine"]
    return table(columns, [_row(name, folders) for name, folders in runs.items()])


def pong_runs(results: Path = RUNS) -> dict[str, list[Path]]:
    """Returns the published runs of each core, and of each core with other settings."""
    names = sorted(folder.name for folder in results.iterdir())
    names.sort(key=lambda name: ("-" in name, list(CORES).index(name.partition("-")[0])))
    return {name: sorted((results / name).glob("seed*")) for name in names}


def _num_versions(runs: dict[str, list[Path]]) -> int:
    folders = [folder for of in runs.values() for folder in of]
    return len({read_json(folder / "provenance.json")["source_hash"] for folder in folders})


def _row(name: str, folders: list[Path]) -> list[str]:
    minutes = [last_row(folder)["wall_seconds"] / 60 for folder in folders]
    frames = [read_json(folder / "evaluation.json")["frames"] for folder in folders]
    return [
        f"`{name}`",
        _means(folders, "evaluation.json"),
        _means(folders, "evaluation-greedy.json"),
        ", ".join(f"{f / 1e6:.1f} M" for f in frames),
        ", ".join(_frames_to_18(folder) for folder in folders),
        ", ".join(f"{m:.0f}" for m in minutes),
        ", ".join(sorted({read_json(f / "provenance.json")["hardware"]["cpu"] for f in folders})),
    ]


def _means(folders: list[Path], name: str) -> str:
    """Returns seed, mean return and its standard error of each run that has such a file."""
    results = {
        folder.name.removeprefix("seed"): read_json(folder / name)
        for folder in folders
        if (folder / name).exists()
    }
    return ", ".join(
        f"{seed}: {r['mean_return']:.1f} ± {r['standard_error']:.1f}" for seed, r in results.items()
    )


def _frames_to_18(run: Path) -> str:
    """Returns the frames after which the last 100 training games first averaged 18."""
    for row in metric_rows(run):
        if row.get("return/last_100_games_points", -21.0) >= 18:
            return f"{row['frames'] / 1e6:.1f} M"
    return "not yet"

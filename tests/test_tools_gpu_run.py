"""`make gpu`: every step gets its time and no more, and one that fails ends nothing."""

import tarfile
import time

import pytest

from tools import gpu_run
from tools.gpu_run import Step, main, pack, run, steps


def step(name, code, seconds=60.0):
    return Step(name, seconds, ("-c", code), ("-c", f"{code}; print('dry')"))


def lines(out):
    return (out / "summary.txt").read_text().splitlines()


def test_a_failed_step_is_reported_and_passed_over(tmp_path):
    chosen = [step("bad", "raise SystemExit(3)"), step("good", "print('fine')")]
    assert run(chosen, tmp_path, 60, is_dry=False) == ["bad"]
    assert lines(tmp_path)[0].startswith("bad: exit 3, ")
    assert (tmp_path / "good.log").read_text() == "fine\n"


def test_a_step_is_stopped_at_its_limit_with_what_it_started(tmp_path):
    sleep = "import time; time.sleep(50)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
    began = time.monotonic()
    assert run([step("slow", child, seconds=1.5)], tmp_path, 60, is_dry=False) == ["slow"]
    assert time.monotonic() - began < 20
    assert lines(tmp_path)[0].startswith("slow: stopped after 2 s")


def test_what_no_time_is_left_for_is_left_out(tmp_path):
    assert run([step("never", "print(1)")], tmp_path, 4, is_dry=False) == []
    assert lines(tmp_path) == ["never: left out, 4 s are left"]


def test_a_dry_run_runs_the_other_commands(tmp_path):
    run([step("both", "print('x')")], tmp_path, 60, is_dry=True)
    assert (tmp_path / "both.log").read_text() == "x\ndry\n"


def test_tests_fail_without_a_gpu_unless_dry(tmp_path):
    asked = step("asked", "import os; print(os.environ.get('REQUIRE_CUDA'))")
    run([asked], tmp_path, 60, is_dry=False)
    assert (tmp_path / "asked.log").read_text() == "1\n"
    run([asked], tmp_path, 60, is_dry=True)
    assert (tmp_path / "asked.log").read_text().startswith("None\n")


def test_the_archive_holds_logs_results_and_metrics_but_no_weights(tmp_path, monkeypatch):
    results = tmp_path / "results"
    results.mkdir()
    (results / "old.json").write_text("{}")
    monkeypatch.setattr(gpu_run, "RESULTS", results)
    before = set(results.glob("*.json"))
    (results / "new.json").write_text("{}")
    out = tmp_path / "out"
    for name in ("pong/metrics.jsonl", "pong/checkpoints/1.ckpt", "tests.log"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("")
    with tarfile.open(pack(out, before)) as tar:
        names = set(tar.getnames())
    assert {"gpu/new.json", "gpu/pong/metrics.jsonl", "gpu/tests.log"} <= names
    assert not {"gpu/old.json", "gpu/pong/checkpoints"} & names


def test_steps_have_names_of_their_own(tmp_path):
    names = [s.name for s in steps(tmp_path)]
    assert len(set(names)) == len(names)
    assert names[:2] == ["versions", "tests"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "pnog"], "no step 'pnog'; choose of versions"),
        ([], "exists; name a new folder"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr("sys.argv", ["gpu_run.py", "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err

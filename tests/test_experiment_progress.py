"""The progress display without a terminal: lines that say how far, how fast, and how long still."""

from agents.impala.trainer import Trainer
from experiment.progress import ProgressDisplay

ROW = {
    "frames": 400_000,
    "speed/frames_per_second": 500.0,
    "loss/entropy": 1.25,
    "share/env": 0.5,
    "share/inference": 0.3,
    "share/learner": 0.2,
    "share/core": 0.12,
}


def display(total):
    return ProgressDisplay("Pong-v5 rdn", "frames", 0, total, Trainer.shown)


def test_a_line_says_the_time_left_and_the_cores_share(capsys):
    with display(2_000_000) as shown:
        shown.update(ROW)
    (line,) = capsys.readouterr().out.splitlines()
    assert "400,000 frames  left 0:53:20  frames/s 500  entropy 1.250" in line
    assert "time in inference 30%  time in learner 20%  of that in the core 12%" in line


def test_a_run_without_end_has_a_time_left(capsys):
    with display(10**18) as shown:
        shown.update(ROW)
    assert "left over 10,000 days  " in capsys.readouterr().out


def test_lines_are_few_but_the_last_row_is_always_shown(capsys):
    with display(400_002) as shown:
        for frames in (400_000, 400_001, 400_002):
            shown.update(ROW | {"frames": frames})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" frames")[0].strip() for line in lines] == ["400,000", "400,002"]
    assert "left 0:00:00" in lines[-1]

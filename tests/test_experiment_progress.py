"""The display of a run: plain lines, and on a terminal a picture that a resize leaves whole."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.shown import SHOWN
from agents.impala.trainer import Trainer
from experiment import live
from experiment.live import MAX_LINE, in_one_line, sparkline
from experiment.progress import ProgressDisplay

ROOT = Path(__file__).parents[1]
ROW = {
    "frames": 400_000,
    "speed/frames_per_second": 500.0,
    "return/last_100_games_points": 12.5,
    "games": [(1.0, 7)] * 3,
    "loss/entropy": 1.25,
    "share/env": 0.5,
    "share/inference": 0.3,
    "share/learner": 0.2,
    "share/core": 0.12,
    "loss/policy": -0.123456,
    "loss/value": 0.123456,
}


def display(total):
    shown = ProgressDisplay("Pong-v5 rdn", "frames", Path("runs/pong-rdn-1"))
    shown.begin(0, total, SHOWN)
    return shown


def test_what_is_trained_is_said_once_it_can_begin(capsys):
    with ProgressDisplay("Pong-v5 rdn", "frames", Path("runs/pong-rdn-1")) as shown:
        assert capsys.readouterr().out == ""
        shown.begin(0, 1000, SHOWN)
        shown.doing("saving")
    said = capsys.readouterr().out
    assert said == "training Pong-v5 rdn, into runs/pong-rdn-1; Ctrl-C saves\n"


def test_what_is_built_is_said_where_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.0)
    with ProgressDisplay("Pong-v5 rdn", "frames", Path("runs/pong-rdn-1")) as shown:
        shown._patience.join()
        shown.begin(0, 1000, SHOWN)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "building Pong-v5 rdn ...",
        "training Pong-v5 rdn, into runs/pong-rdn-1; Ctrl-C saves",
    ]


def test_what_is_refused_at_once_has_no_line_before(capsys):
    with suppress(ValueError), ProgressDisplay("Pong-v5 rdn", "frames", Path("run")) as shown:
        patience = shown._patience
        raise ValueError("refused")
    assert not patience.is_alive()
    assert capsys.readouterr().out == ""


def test_a_line_says_how_far_how_long_still_and_how_it_goes(capsys):
    with display(2_000_000) as shown:
        shown._last_line = -1e9
        shown.update(ROW)
    _, line = capsys.readouterr().out.splitlines()
    assert line.strip().startswith(
        "400,000 of 2,000,000 frames, 20%  0:00:00 elapsed  0:53:20 left"
    )
    assert line.endswith("  return of last 100 games 12.50  frames/s 500")
    assert len(line) <= MAX_LINE


def test_a_run_without_end_has_a_time_left(capsys):
    with display(10**18) as shown:
        shown._last_line = -1e9
        shown.update(ROW)
    assert "over 10,000 days left" in capsys.readouterr().out


def test_lines_are_few_but_the_last_row_is_always_shown(capsys):
    with display(400_002) as shown:
        shown._last_line = -1e9
        for frames in (400_000, 400_001, 400_002):
            shown.update(ROW | {"frames": frames})
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(" of ")[0].strip() for line in lines] == ["400,000", "400,002"]
    assert "100%" in lines[-1]
    assert "0:00:00 left" in lines[-1]


def test_games_are_counted_over_all_rows():
    shown = display(2_000_000)
    shown.update(ROW)
    shown.update(ROW)
    assert ("games ended", "6") in shown._values()


@pytest.mark.parametrize(("mode", "has_lag"), [("serial", False), ("async", True)])
def test_a_lag_is_shown_where_there_can_be_one(mode, has_lag):
    config = TrainConfig(
        game="control", mode=mode, learner=LearnerConfig(unroll_length=4, batch_size=2)
    )
    trainer = Trainer(config)
    assert any("lag" in label for _, label, _ in trainer.shown) == has_lag
    trainer.close()


def test_a_line_leaves_out_what_does_not_fit():
    assert in_one_line(["one", "two", "three"], 10) == "one  two"
    assert in_one_line(["one"], 2) == ""


def test_a_sparkline_rises_with_its_values():
    assert sparkline([3.0]) == ""
    assert sparkline([0.0, 7.0]) == "▁█"
    assert sparkline([2.0, 2.0, 2.0]) == "▁▁▁"
    assert sparkline([float(i) for i in range(80)], most=8) == "▁▂▃▄▅▆▇█"


ON_A_TERMINAL = f"""
import sys, time
from pathlib import Path
from agents.impala.shown import SHOWN
from experiment.progress import ProgressDisplay
with ProgressDisplay("Pong-v5 rdn", "frames", Path("runs/pong-rdn-1")) as shown:
    time.sleep(1)
    shown.begin(0, 2_000_000, SHOWN)
    for _ in range(3):
        shown.update({ROW!r})
        time.sleep(1)
    shown.doing("saving")
    shown.doing("")
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CLEARED = "\x1b[2J\x1b[H"


def resize(terminal, columns):
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def shown_by(terminal, process):
    """Returns what a process prints on a terminal, whose window is narrowed after 2 seconds."""
    said, is_narrow = "", False
    while True:
        if not is_narrow and "400,000" in said:
            resize(terminal, 50)
            is_narrow = True
        try:
            said += os.read(terminal, 2**16).decode(errors="replace")
        except OSError:  # the other end was closed
            process.wait()
            return said


def test_a_terminal_shows_it_whole_after_its_window_was_resized():
    terminal, other = pty.openpty()
    resize(other, 100)
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "", "LINES": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], cwd=ROOT, stdout=other, env=environment
    )
    os.close(other)
    said = shown_by(terminal, process)
    os.close(terminal)
    assert process.returncode == 0
    wide, *narrow = said.split(CLEARED)
    wide = ESCAPE.sub("", wide)
    assert "building Pong-v5 rdn" in wide
    assert "Ctrl-C saves" in wide
    assert "400,000 of 2,000,000 frames, 20%" in wide
    assert max(len(line.rstrip()) for line in wide.splitlines()) > 50
    assert len(narrow) == 1
    lines = [line.rstrip() for line in ESCAPE.sub("", narrow[0]).splitlines()]
    assert next(filter(None, lines)) == "Pong-v5 rdn  runs/pong-rdn-1  Ctrl-C saves"
    assert max(map(len, lines)) <= 50
    assert "saving" in narrow[0]

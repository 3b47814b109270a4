"""What every display shares: from what is said in parts, a line, and a picture with a bar."""

import pytest
from rich.console import Console

from experiment.live import MAX_LINE, LiveDisplay


class Counting(LiveDisplay):
    """Says the same of whatever it counts."""

    total = 4.0

    def first_line(self):
        return "counting"

    def parts(self):
        return ["3 done", "0:00:09 elapsed", "x" * MAX_LINE]

    def progress(self):
        return (self.total, 3.0) if self.total else None


def drawn(shown, width):
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(shown.picture())
    return captured.get().splitlines()


def test_a_line_says_the_parts_that_fit():
    assert Counting().line() == "3 done  0:00:09 elapsed"


@pytest.mark.parametrize(("width", "said"), [(40, "3 done  0:00:09 elapsed"), (12, "3 done")])
def test_a_picture_is_what_begins_a_bar_and_the_parts_that_fit(width, said):
    shown = Counting()
    shown._console.width = width
    first, bar, parts = (line.rstrip() for line in drawn(shown, width))
    assert (first, parts) == ("counting", said)
    assert bar == "━" * (width * 3 // 4)


def test_a_picture_of_what_nobody_can_count_has_no_bar():
    shown = Counting()
    shown.total, shown._console.width = None, 40
    assert [line.rstrip() for line in drawn(shown, 40)] == ["counting", "3 done  0:00:09 elapsed"]

"""The picture of a sequence: the token in view, and those before it with the answers below."""

from envs import canvas
from envs.canvas import PICTURE_SIZE, Colour, Frame
from envs.memory.picture import WRONG
from sequences.tasks import NO_ANSWER, Task

LARGE = 104  # height of the token in view and of the answer to it
PITCH, LINE, TILE = 53, 62, 26  # from token to token, from line to line, height of a token
COLUMNS, MAX_LINES = PICTURE_SIZE[0] // PITCH, 6
TOP = 196  # of the tokens before
MAX_LENGTH = 6  # characters of a token on the tape; the rest is cut


class SequencePicture:
    """Draws one sequence, token after token.

    Args:
        task: whose tokens and answers they are.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._tape: list[tuple[int, int, int]] = []

    def draw(self, token: int, given: int, wanted: int) -> Frame:
        """Returns the picture [630, 480, 3] of the next token.

        Args:
            token: number of it.
            given: the likeliest answer.
            wanted: the right one, NO_ANSWER where none counts.
        """
        self._tape.append((token, given, wanted))
        picture = canvas.blank(*PICTURE_SIZE)
        self._draw_now(picture, token, given, wanted)
        words = "This sequence; below each token the answer where one counts"
        canvas.text(picture, (0, TOP - 16), words, 13, canvas.MUTED)
        num_lines = -(-len(self._tape) // COLUMNS)
        first = max(num_lines - MAX_LINES, 0) * COLUMNS
        for i, (token, given, wanted) in enumerate(self._tape[first:]):
            line, column = divmod(i, COLUMNS)
            self._draw_small(picture, (column * PITCH, TOP + line * LINE), token, given, wanted)
        return picture

    def _draw_now(self, picture: Frame, token: int, given: int, wanted: int) -> None:
        """Draws the token in view, the answer, and beside a wrong one the right one."""
        half = PICTURE_SIZE[0] // 2
        canvas.text(picture, (0, 14), "Token", 13, canvas.MUTED)
        canvas.box(picture, (0, 26), (half - 12, LARGE), canvas.SURFACE, 14)
        middle = 26 + LARGE // 2 + 12
        at = (half // 2 - 6, middle)
        canvas.text(picture, at, self._task.tokens[token][:12], 32, bold=True, align="centre")
        title = "Answer" if wanted != NO_ANSWER else "Answer, if it were asked"
        canvas.text(picture, (half, 14), title, 13, canvas.MUTED)
        canvas.box(picture, (half, 26), (half, LARGE), canvas.SURFACE, 14)
        answer, colour = self._task.answers[given][:12], _colour(given, wanted)
        at = (half + half // 2, middle)
        canvas.text(picture, at, answer, 32, colour, bold=True, align="centre")
        if wanted not in (NO_ANSWER, given):
            words = f"right: {self._task.answers[wanted]}"
            canvas.text(picture, (at[0], middle + 32), words, 14, align="centre")

    def _draw_small(
        self, picture: Frame, at: tuple[int, int], token: int, given: int, wanted: int
    ) -> None:
        """Draws a token of the tape; below it a wrong answer is followed by the right one."""
        x, y = at
        canvas.box(picture, at, (PITCH - 4, TILE), canvas.SURFACE, 5)
        middle = x + (PITCH - 4) // 2
        token_text = self._task.tokens[token][:MAX_LENGTH]
        canvas.text(picture, (middle, y + 18), token_text, 13, bold=True, align="centre")
        if wanted == NO_ANSWER or wanted == given == self._task.blank:
            return
        said = self._task.answers[given][:MAX_LENGTH]
        if given != wanted:
            said += f" ({self._task.answers[wanted][:MAX_LENGTH]})"
        colour = _colour(given, wanted)
        canvas.text(picture, (middle, y + TILE + 18), said, 13, colour, bold=True, align="centre")


def _colour(given: int, wanted: int) -> Colour:
    if wanted == NO_ANSWER:
        return canvas.MUTED
    return canvas.READ if given == wanted else WRONG

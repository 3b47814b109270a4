"""What is shown of a film in the making."""

from rich.console import RenderableType

from experiment.live import LiveDisplay, duration, in_one_line


class FilmDisplay(LiveDisplay):
    """Shows how far a film is; there is no saying how long a game still takes.

    Args:
        title: what is filmed.
    """

    def __init__(self, title: str) -> None:
        super().__init__(transient=True)
        self._title = title
        self._num_frames = 0
        self._caption = ""

    def tell(self, caption: str) -> None:
        """Takes in what stands below the frame that was drawn."""
        self._num_frames += 1
        self._caption = caption
        self.changed()

    def first_line(self) -> str:
        """Says what is filmed."""
        return f"filming {self._title}"

    def line(self) -> str:
        """Says how far the film is."""
        parts = [self._caption, f"{self._num_frames:,} frames", f"{duration(self.elapsed)} elapsed"]
        return in_one_line(parts)

    def picture(self) -> RenderableType:
        """Draws the same."""
        return f"{self.first_line()}\n{self.line()[: self._console.width]}"

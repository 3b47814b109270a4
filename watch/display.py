"""What is shown of a film in the making."""

from experiment.live import LiveDisplay, duration


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

    def parts(self) -> list[str]:
        """Says how far the film is."""
        return [self._caption, f"{self._num_frames:,} frames", f"{duration(self.elapsed)} elapsed"]

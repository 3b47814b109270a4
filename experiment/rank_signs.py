"""What ranks tell each other outside of training: why one ended, and where each of them stands.

An exchange that fails says that another rank is gone, not which or why. The store through which
the ranks found each other outlives them: the first that knows a cause tells it there, and a rank
that was left waiting asks all others where they stand.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from torch.distributed.distributed_c10d import PrefixStore, Store

POLL_SECONDS = 0.25
TOLD_SECONDS = 0.5  # for a rank that ends by an error to tell it
ANSWER_SECONDS = 3.0  # for a rank that lives to say where it stands
GRACE_SECONDS = 3.0  # for a rank to end by itself once another one's end is told
ORPHAN_SECONDS = 30.0  # likewise, once the process that kept the store has ended
CAUSE, ASKED, ANSWER = "cause", "asked", "answer"
CUT_OFF = "the process that the ranks met at has ended"
Made = TypeVar("Made")


class Signs:
    """One rank's view of the others.

    Args:
        store: of all ranks.
        rank: whose view.
        size: number of ranks.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self._store = PrefixStore("signs", store)
        self.rank, self._size = rank, size
        self.is_cut_off = False  # the process that kept the store has ended

    def tell(self, cause: str) -> bool:
        """Tells why this rank ends; returns whether it is the first to tell anything."""
        stands = self._of_store(lambda: self._store.compare_set(CAUSE, "", cause).decode())
        time.sleep(2 * POLL_SECONDS)  # the store may end with this process; others must hear
        return stands == cause

    def told(self) -> str | None:
        """Returns the first cause that was told."""
        return self._read(CAUSE)

    def asks(self) -> bool:
        """Returns whether a rank asks all others where they stand."""
        return self._read(ASKED) is not None

    def answer(self, place: str) -> None:
        """Says where this rank stands; "" where it waits for others."""
        self._of_store(lambda: self._store.set(f"{ANSWER}/{self.rank}", f"at {place}"))

    def cause(self) -> str:
        """Returns which rank ended an exchange, and why, as far as can be found out."""
        if self._waited(lambda: bool(self.told()), TOLD_SECONDS):
            return str(self.told())
        self._of_store(lambda: self._store.set(ASKED, "1"))
        self._waited(lambda: bool(self.told()) or self._all_answered(), ANSWER_SECONDS)
        return self.told() or self._found()

    def _found(self) -> str:
        if self.is_cut_off:
            return CUT_OFF
        others = [rank for rank in range(self._size) if rank != self.rank]
        answers = {rank: self._read(f"{ANSWER}/{rank}") for rank in others}
        if silent := [str(rank) for rank, answer in answers.items() if answer is None]:
            return f"rank {', '.join(silent)} gives no sign of life: killed, or it stands still"
        places = {rank: str(answer).removeprefix("at ") for rank, answer in answers.items()}
        standing = [f"rank {rank}: {place}" for rank, place in places.items() if place]
        return "; ".join(standing) or "the ranks do not reach each other"

    def _all_answered(self) -> bool:
        return all(self._read(f"{ANSWER}/{rank}") for rank in range(self._size))

    def _waited(self, ready: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not ready() and time.monotonic() < end:
            time.sleep(POLL_SECONDS / 5)
        return ready()

    def _read(self, key: str) -> str | None:
        return self._of_store(
            lambda: self._store.get(key).decode() if self._store.check([key]) else None
        )

    def _of_store(self, ask: Callable[[], Made]) -> Made | None:
        """Returns the store's answer; None once it is gone, which every further call would log."""
        if self.is_cut_off:
            return None
        try:
            return ask()
        except RuntimeError:
            self.is_cut_off = True
            return None


class SignWatch:
    """Answers for a rank whatever its main thread does, and ends it once another one's end is told.

    Args:
        signs: of the ranks.
        place: returns where this rank stands; "" where it waits for others.
        give_up: called with the cause; it ends the process.
    """

    def __init__(
        self, signs: Signs, place: Callable[[], str], give_up: Callable[[str], None]
    ) -> None:
        self._signs, self._place, self._give_up = signs, place, give_up
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="signs", daemon=True)

    def __enter__(self) -> "SignWatch":
        """Begins to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        has_answered = False
        while not self._closed.wait(POLL_SECONDS):
            if not has_answered and self._signs.asks():
                self._signs.answer(self._place())
                has_answered = True
            cause = self._signs.told()
            if cause or self._signs.is_cut_off:
                if not self._closed.wait(GRACE_SECONDS if cause else ORPHAN_SECONDS):
                    self._give_up(cause or CUT_OFF)
                return

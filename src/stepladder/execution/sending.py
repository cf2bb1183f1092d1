"""The images of a climb on their way to machines that have none (see sent_images), and what waits for them."""

from collections import Counter
from collections.abc import Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from stepladder.datasets import data as data_sets
from stepladder.errors import DataError, StepladderError
from stepladder.execution import sent_images
from stepladder.execution.place import Place
from stepladder.ladders.evaluated import DataIdentity

MOST_ASKED = 30  # times that one machine asks, or one run; who sends cannot choose the machine everywhere

W = TypeVar("W", bound=Hashable)


class Sending(Generic[W]):
    """One sending at a time; what waits goes on after it, wherever that is then, and asks again where it was in vain.

    ``source`` is Ladder.data.
    """

    def __init__(self, at: Place, source: str) -> None:
        self._place, self._source = at, source
        self._waiting: list[tuple[W, DataIdentity]] = []
        self._asked: Counter[str | W] = Counter()  # by machine, which may have a new name each time, and by what waits
        self._under_way: Future[None] | None = None

    def ask(self, machine: str, waits: W, images: DataIdentity) -> None:
        """A machine lacks these images. Raises DataError if it asks again and again."""
        self._asked.update((machine, waits))
        if max(self._asked[machine], self._asked[waits]) > MOST_ASKED:
            raise DataError(
                f"images were sent again and again, and are not found on {machine}: set STEPLADDER_CACHE there to a"
                " folder that stays"
            )
        self._waiting.append((waits, images))

    def go_on(self) -> list[W]:
        """What need not wait any more, after a sending; the next one is begun.

        Raises DataError for images that are no longer the same, or cannot be kept there.
        """
        ended: list[W] = []
        if self._under_way is not None and self._under_way.done():
            ended, self._waiting = [waits for waits, _ in self._waiting], []
            self._take(self._under_way)
            self._under_way = None
        if self._waiting and self._under_way is None:
            self._begin(self._waiting[0][1])
        return ended

    @staticmethod
    def _take(sending: "Future[None]") -> None:
        try:
            sending.result()
        except StepladderError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException:  # a worker or the executor is gone
            pass  # what lacks images asks again, or is not taken any more

    def _begin(self, images: DataIdentity) -> None:
        name, content = sent_images.name_of(images), self._packed(images)
        if self._place.spread is not None:
            self._under_way = self._place.spread(name, content)
            return
        with suppress(RuntimeError):  # a broken executor: it takes no training either, which is said of each
            self._under_way = self._place.executor.submit(sent_images.keep, name, content)
            return
        self._under_way = Future()
        self._under_way.set_result(None)

    def _packed(self, images: DataIdentity) -> bytes:
        found = data_sets.load(self._source)
        if found.sha256 != images.sha256:
            raise DataError(f"{self._source}: these images changed since the climb began: start it again")
        return sent_images.packed(found)

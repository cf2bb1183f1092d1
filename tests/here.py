"""An executor that trains in this process: quicker than a child, for tests that are about what is trained."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from stepladder.execution.child import answer
from stepladder.execution.children import train_in_child


class Here(Executor):
    """Trains at once what it is given, and answers as a child does."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert fn is train_in_child
        assert not kwargs
        ended: Future[Any] = Future()
        ended.set_result(answer(args[1]))
        return ended

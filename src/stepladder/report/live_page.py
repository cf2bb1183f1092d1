"""The report on localhost while a climb goes on: a Watcher that keeps count, and a server that renders when asked."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from stepladder.climbing import Failure, Task
from stepladder.errors import StepladderError
from stepladder.report.html_page import Live
from stepladder.run import Run

HOST = "127.0.0.1"
LISTENING_S = 6.0  # a page that asked within this time is being looked at: pages ask every 2 seconds

Render = Callable[[Live], str]


class LivePage:
    """Serves a page from when it is entered to when it is left; then the last page is given time to be fetched.

    ``render`` makes the page; it is called in a thread of its own, one call at a time, when a browser asks and
    something has changed. Raises StepladderError if the port is taken.
    """

    def __init__(self, render: Render, *, port: int = 0) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._rendering = threading.Lock()
        self._page: tuple[str, str] = ("", "")  # version, text
        self._version = 0
        self._n_stored = self._n_finished = self._n_failed = 0
        self._left: dict[str, str] = {}  # runs that are not finished, by key, in words
        self._under_way: dict[str, str] = {}
        self._ended = False
        self._asked_at = float("-inf")
        self._fetched = ""
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            raise StepladderError(
                f"cannot serve on port {port} ({error.strerror}): give another one with --port"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> "LivePage":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended = True
            self._version += 1
            self._under_way.clear()
        if kind is None:
            self._wait_for_readers()
        self._server.shutdown()
        self._server.server_close()

    def _wait_for_readers(self) -> None:
        """Until the last page is fetched, if somebody is looking."""
        while self._fetched != str(self._version) and time.monotonic() - self._asked_at < LISTENING_S:
            time.sleep(0.1)

    # What a Watcher is told.

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        with self._lock:
            self._n_stored, self._n_finished = n_stored, 0
            self._left = {key: str(task) for key, (task, _) in to_train.items()}
            self._version += 1

    def advanced(self, task: Task, *, epochs_done: int) -> None:
        with self._lock:
            self._under_way[task.identity.key] = f"{task}: epoch {epochs_done} of {task.identity.recipe.epochs}"

    def finished(self, task: Task, run: Run) -> None:  # noqa: ARG002
        self._leave(task)

    def failed(self, failure: Failure) -> None:
        self._leave(failure.task)

    def noted(self, text: str) -> None:
        """Notes stay on the terminal."""

    def _leave(self, task: Task) -> None:
        with self._lock:
            self._left.pop(task.identity.key, None)
            self._under_way.pop(task.identity.key, None)
            self._n_finished += 1
            self._version += 1

    # What a browser asks for.

    def state(self) -> Live:
        """How far the climb is."""
        with self._lock:
            n_total = self._n_stored + self._n_finished + len(self._left)
            n_done = self._n_stored + self._n_finished
            head = "The climb has ended." if self._ended else f"{n_done} of {n_total} runs are finished."
            return Live((head, *sorted(self._under_way.values())), n_done, n_total, str(self._version))

    def asked(self) -> Live:
        self._asked_at = time.monotonic()
        return self.state()

    def page(self) -> str:
        """The newest page, rendered once for each change."""
        with self._rendering:
            live = self.asked()
            if self._page[0] != live.version:
                self._page = (live.version, self._render(live))
            self._asked_at = time.monotonic()
            self._fetched = live.version
            return self._page[1]


def _handler(page: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self.answer(page.page, "text/html; charset=utf-8")
            elif self.path == "/state":
                self.answer(lambda: json.dumps(vars(page.asked())), "application/json")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def answer(self, make: Callable[[], str], kind: str) -> None:
            try:
                status, text = HTTPStatus.OK, make()
            except StepladderError as error:  # such as a store that is gone: the climb says so too
                status, text, kind = HTTPStatus.INTERNAL_SERVER_ERROR, str(error), "text/plain; charset=utf-8"
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The terminal belongs to the climb."""

    return Handler

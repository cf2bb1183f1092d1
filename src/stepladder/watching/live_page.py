"""The report on localhost while a climb goes on: a Watcher that keeps count, and a server that renders when asked.

A page asks how far the climb is, and gets its answer when that has changed (a long poll: browsers slow down the clocks
of hidden tabs to one tick a minute, but not their answers). So it is known who looks, and the end can wait for them.
"""

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from socket import MSG_PEEK, SHUT_RDWR, socket
from socketserver import TCPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from stepladder._base.plain import message
from stepladder._base.wording import is_are, n_of
from stepladder.climbing.climbing import Failure, Task
from stepladder.errors import StepladderError
from stepladder.reporting.html.html_page import Live, policy
from stepladder.runs.run import Epoch, Run
from stepladder.watching.growing import GrowingCurves

HOST = "127.0.0.1"
OWN_NAME = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)  # others come from other sites (DNS rebinding)
ANSWER_EVERY_S = 1.0  # at most so often is a page told of changes,
ANSWER_WITHIN_S = 5.0  # and at least so often, changes or not
CHECK_EVERY_S = 0.5  # whether a browser that waits is still there
GONE_AFTER_S = 30.0  # a page that is open asks again before that, even where drawing it has to wait for a core
FAREWELL_S = 60.0  # the most that the end waits for pages to fetch the last results
HURRY_S = 0.5  # the same after Ctrl-C
RENDERING_S = 3.0  # rendering ends by itself within this time: a process should not end in the middle of it
ASK_WITHIN_S = 10.0  # a browser asks at once
ANSWER_TAKEN_WITHIN_S = 30.0  # and takes the answer
MOST_CONNECTIONS = 32  # at once
ROOM_WITHIN_S = 2.0  # who is hung up on goes
MOST_FAILED = 20  # runs that are named
MOST_READERS = 256  # that are remembered
LONGEST_READER = 64  # characters of the name that a page gives itself
REST = 2  # times the processor time of a rendering pass before pages hear of the next: training comes first

HEADERS = {  # of every answer, errors too
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Render = Callable[[Live], str]


class LivePage:
    """Serves a page from when it is entered to when it is left; then open pages are given time to fetch the last one.

    ``render`` makes the page; it is called in a thread of its own, one call at a time, when a browser asks and
    something has changed. Raises StepladderError if the port is taken.
    """

    def __init__(self, render: Render, *, port: int = 0) -> None:
        self._render = render
        self._rendering = threading.Lock()
        self._page = ("", "")  # version, text
        self._rest_until = -inf
        self._changed = threading.Condition()  # guards all below
        self._n_changes = self._version = 0  # of anything; the number of the last change that a new page would show
        self._is_planned = False
        self._n_stored = self._n_finished = 0
        self._left: set[str] = set()  # keys of runs that are neither finished nor failed
        self._failed: list[str] = []
        self._under_way = GrowingCurves()
        self._ending = ""  # how the climb ended, in words
        self._readers: dict[str, float] = {}  # by page, when it was last answered; inf while it waits for an answer
        self.told: set[str] = set()  # pages that know of the end, and ask no more once they have the last page
        self._n_waiting: Counter[str] = Counter()  # requests of each page; one that it gave up may be among them
        try:
            self._server = _Server((HOST, port), partial(_Handler, self), complain=self._complain)
        except OSError as error:
            raise StepladderError(
                f"cannot serve on port {port} ({error.strerror}): give another one with --port"
            ) from None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.complain: Callable[[str], None] = lambda _: None  # is told once if the server fails; the climb goes on
        self._has_complained = False

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> "LivePage":
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread to be had
            self._complain(str(error))
        return self

    def _serve(self) -> None:
        try:
            self._server.serve_forever(poll_interval=0.1)
        except Exception as error:  # whatever it is: a climb survives its report
            self._complain(f"{type(error).__name__}: {error}")

    def _complain(self, reason: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            self.complain(f"the live report had a problem ({reason}); the climb goes on")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        regular = error is None or isinstance(error, StepladderError)
        with self._changed:
            self._ending = _ending(error)
            self._under_way.clear()
            self._change(of_page=regular)
        try:
            self._see_readers_off(FAREWELL_S if regular else HURRY_S)
        finally:
            if self._thread.ident is not None:
                self._server.shutdown()
            self._server.server_close()
            self._rendering.acquire(timeout=RENDERING_S)  # for good: nothing is rendered any more

    def _see_readers_off(self, at_most_s: float) -> None:
        """Until everybody who is there has got the last page."""
        deadline = time.monotonic() + at_most_s
        with self._changed:
            while (now := time.monotonic()) < deadline and any(
                answered_at > now - GONE_AFTER_S for answered_at in self._readers.values()
            ):
                self._changed.wait(0.1)

    def _change(self, *, of_page: bool) -> None:
        """Something changed; the lock is held."""
        self._n_changes += 1
        if of_page:
            self._version = self._n_changes
        self._changed.notify_all()

    # What a Watcher is told.

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        with self._changed:
            self._is_planned = True
            self._n_stored, self._n_finished, self._left = n_stored, 0, set(to_train)
            self._change(of_page=True)

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        with self._changed:
            if self._under_way.hear(task, epochs, change=self._n_changes + 1):
                self._change(of_page=False)

    def finished(self, task: Task, run: Run) -> None:  # noqa: ARG002
        with self._changed:
            self._n_finished += 1
            self._leave(task)

    def failed(self, failure: Failure) -> None:
        with self._changed:
            self._failed.append(f"Not trained: {failure}")
            self._leave(failure.task)

    def noted(self, text: str) -> None:
        """Notes stay on the terminal."""

    def _leave(self, task: Task) -> None:
        self._left.discard(task.identity.key)
        self._under_way.leave(task)
        self._change(of_page=True)

    # What a browser asks for.

    def _live(self) -> Live:
        """How far the climb is; the lock is held."""
        n_done = self._n_stored + self._n_finished
        n_total = n_done + len(self._failed) + len(self._left)
        done = f"{n_done} of {n_of(n_total, 'run')} {is_are(n_total)} finished."
        count = done if self._is_planned else "The climb is about to begin."
        n_more = len(self._failed) - MOST_FAILED
        failed = [*self._failed[:MOST_FAILED], *([f"Not trained: {n_of(n_more, 'more run')}."] if n_more > 0 else [])]
        lines = [self._ending] * bool(self._ending) + [count, *failed, *self._under_way.lines()]
        return Live(tuple(map(message, lines)), n_done, n_total, str(self._version), ended=bool(self._ending))

    def _offered(self) -> str:
        """The version that a page is to show by now; the lock is held."""
        rests = self._page[0] and time.monotonic() < self._rest_until and not self._ending
        return self._page[0] if rests else str(self._version)

    def state(self, *, shown: str, after: int, is_there: Callable[[], bool]) -> dict[str, Any]:
        """How far the climb is: at once at first, then after the next change, or when a page has waited for long.

        ``shown`` is the version that the page shows, ``after`` the last change it knows of, -1 at first: of the curves
        under way it is told what is newer. Raises ConnectionAbortedError when a browser is not there any more.
        """
        asked_at = time.monotonic()
        with self._changed:
            while after >= 0 and not self._ending and (waited_s := time.monotonic() - asked_at) < ANSWER_WITHIN_S:
                if waited_s >= ANSWER_EVERY_S and (self._n_changes > after or self._offered() != shown):
                    break
                self._changed.wait(CHECK_EVERY_S)
                if not is_there():
                    raise ConnectionAbortedError
            state = {**asdict(self._live()), "version": self._offered(), "change": self._n_changes}
            return {**state, "curves": self._under_way.curves(after=after)}

    def page(self) -> tuple[str, bool]:
        """The newest page, rendered once for each change, and whether it is the last."""
        with self._rendering:
            with self._changed:
                live, is_last = self._live(), bool(self._ending)
            if self._page[0] != live.version:
                began_s = time.thread_time()
                self._page = (live.version, self._render(live))
                self._rest_until = time.monotonic() + REST * (time.thread_time() - began_s)
            return self._page[1], is_last

    def asked(self, reader: str) -> None:
        """A page waits for an answer; ``reader`` is "" for one that is being opened, and asks again under its name."""
        with self._changed:
            if reader not in self._readers:
                self._readers.pop("", None)
                while len(self._readers) >= MOST_READERS:
                    self._readers.pop(next(iter(self._readers)))
            self._readers[reader] = inf
            self._n_waiting[reader] += 1

    def answered(self, reader: str, *, is_last: bool) -> None:
        """A page got its answer, and needs no other if that ``is_last``."""
        with self._changed:
            self._n_waiting[reader] -= 1
            if self._n_waiting[reader] > 0:
                return  # it asks again already: that answer counts
            del self._n_waiting[reader]
            if is_last:
                self._readers.pop(reader, None)
            else:
                self._readers[reader] = time.monotonic()
            self._changed.notify_all()


def _ending(error: BaseException | None) -> str:
    if error is None:
        return "The climb has ended."
    if isinstance(error, KeyboardInterrupt):
        return "The climb was interrupted."
    return f"The climb has stopped: {error}"


class _Server(ThreadingHTTPServer):
    """Serves a few at once, and whoever does not ask makes room for those who do: what it takes is bounded."""

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would share a port that is taken
    request_queue_size = 32

    def __init__(self, *how: Any, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._most = most_connections()
        self._room = threading.Condition()  # guards all below
        self._open: dict[socket, float] = {}  # when each began
        self._silent: set[socket] = set()  # those that have not asked yet
        super().__init__(*how)

    def server_bind(self) -> None:
        """Without HTTPServer's question for the host's name, which can take seconds where nobody answers it."""
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket, Any]:
        try:
            return super().get_request()
        except OSError:  # the process may open no more files: not asked again at once
            time.sleep(CHECK_EVERY_S)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Whether there is room; the one that has been silent for longest makes some, and that is waited for."""
        with self._room:
            silent = next((each for each in self._open if each in self._silent), None)
            if len(self._open) >= self._most and silent:
                self._hang_up(silent)
            if not self._room.wait_for(lambda: len(self._open) < 2 * self._most, ROOM_WITHIN_S):
                return False
            self._open[request] = time.monotonic()
            self._silent.add(request)
            return True

    def service_actions(self) -> None:
        """Now and then: whoever is slow to ask has had time enough."""
        with self._room:
            for each in list(self._silent):
                if self._open[each] < time.monotonic() - ASK_WITHIN_S:
                    self._hang_up(each)

    def _hang_up(self, connection: socket) -> None:
        """Its thread has nothing more to wait for, and ends; the lock is held."""
        self._silent.discard(connection)
        with suppress(OSError):
            connection.shutdown(SHUT_RDWR)

    def has_asked(self, request: socket) -> None:
        with self._room:
            self._silent.discard(request)

    def shutdown_request(self, request: Any) -> None:
        with self._room:
            self._silent.discard(request)
            self._open.pop(request, None)
            self._room.notify()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A browser that goes away in the middle of an answer is no news; all else is said, and the climb goes on."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._complain(f"{type(error).__name__}: {error}")


def most_connections() -> int:
    """At once: a small part of the files that this process may open, for the climb needs some too."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if allowed == resource.RLIM_INFINITY else max(4, min(MOST_CONNECTIONS, allowed // 16))


class _Handler(BaseHTTPRequestHandler):
    timeout = ANSWER_TAKEN_WITHIN_S
    server_version, sys_version = "Stepladder", ""

    def __init__(self, page: LivePage, *connection: Any) -> None:
        self.page = page
        super().__init__(*connection)

    def parse_request(self) -> bool:
        understood = super().parse_request()
        assert isinstance(self.server, _Server)
        self.server.has_asked(self.connection)
        return understood

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = dict(parse_qsl(query))
        reader = asked.get("reader", "")[:LONGEST_READER]
        if not OWN_NAME.fullmatch(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif path == "/":
            self.answer(lambda: self.newest(reader), "text/html", reader=reader)
        elif path == "/state":
            self.answer(lambda: self.state(asked), "application/json", reader=reader)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def state(self, asked: Mapping[str, str]) -> tuple[str, bool]:
        shown, after = asked.get("shown", ""), int(asked.get("after", -1))
        found = self.page.state(shown=shown, after=after, is_there=lambda: _is_there(self.connection))
        if found["ended"]:
            self.page.told.add(asked.get("reader", "")[:LONGEST_READER])
        return json.dumps(found), found["ended"] and found["version"] == shown

    def newest(self, reader: str) -> tuple[str, bool]:
        """A page that has not been told of the end asks once more, even if it has the last page by then."""
        text, is_last = self.page.page()
        return text, is_last and reader in self.page.told

    def answer(self, make: Callable[[], tuple[str, bool]], kind: str, *, reader: str) -> None:
        """Answer what is made and whether it is the last, or why it cannot be made just now; the page asks again."""
        self.page.asked(reader)
        try:
            text, is_last, status = *make(), HTTPStatus.OK
        except ConnectionError:
            self.page.answered(reader, is_last=True)
            raise
        except Exception as error:  # files may change while they are read, and a climb survives its report
            name = "" if isinstance(error, StepladderError) else f"{type(error).__name__}: "
            text, is_last, status, kind = f"{name}{error}", False, HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain"
        needs_no_more = True  # if it goes away now
        try:
            self.send(text, status, kind)
            needs_no_more = is_last and reader != ""
        finally:
            self.page.answered(reader, is_last=needs_no_more)

    def send(self, text: str, status: HTTPStatus, kind: str) -> None:
        body = text.encode(errors="replace")  # a file's name may be no text
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if kind == "text/html":
            self.send_header("Content-Security-Policy", f"{policy(live=True)}; frame-ancestors 'none'")
        if status is not HTTPStatus.OK:
            self.send_header("Refresh", "2")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The terminal belongs to the climb."""


def _is_there(connection: socket) -> bool:
    """Whether a browser that waits has not closed its end."""
    timeout = connection.gettimeout()
    try:
        connection.setblocking(False)
        return connection.recv(1, MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(timeout)

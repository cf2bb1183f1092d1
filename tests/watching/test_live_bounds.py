"""The live page among strangers: connections that say nothing, too much or too slowly; what its answers allow."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from conftest import TINY_LADDER, stepladder_command
from playwright.sync_api import Browser, Page

from stepladder import Store, collect, load
from stepladder.reporting.html.html_page import Live, html_page
from stepladder.runs.results import Results
from stepladder.watching import live_page
from stepladder.watching.live_page import LivePage

PATIENCE_S = 60
FEW_FILES = 128


def quick(live: Live) -> str:
    return f"version {live.version}"


def port_of(page: LivePage) -> int:
    return int(page.url.rstrip("/").rpartition(":")[2])


def ask(port: int, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def is_served(port: int) -> bool:
    """As a browser sees it, which asks again."""
    try:
        return ask(port, "/state")[0] == 200
    except OSError:
        return False


def ends(connection: socket.socket) -> bool:
    """Whether the other side hangs up, while this one sends a byte now and then."""
    connection.settimeout(0.05)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            connection.sendall(b"x")
            if not connection.recv(1000):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/state", {}, 200),
        ("/absent", {}, 404),
        ("/", {"Host": "example.org"}, 421),
        ("/state?after=x", {}, 500),
        ("/" + "x" * 70_000, {}, 414),
        ("/", {"X": "y" * 70_000}, 431),
        ("/", {f"X-{k}": "y" for k in range(200)}, 431),
    ],
)
def test_every_answer_says_what_it_is_not_to_be_used_for(path: str, headers: dict[str, str], status: int) -> None:
    with LivePage(quick) as page:
        found, said, _ = ask(port_of(page), path, **headers)
        page._readers.clear()
    assert found == status
    assert said["x-content-type-options"] == "nosniff"
    assert said["x-frame-options"] == "DENY"
    assert said["referrer-policy"] == "no-referrer"
    assert said["cache-control"] == "no-store"
    assert said["server"].strip() == "Stepladder"
    if (path, status) == ("/", 200):
        policy = said["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy


def test_who_does_not_ask_in_time_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "ASK_WITHIN_S", 0.3)
    with LivePage(quick) as page, ExitStack() as stack:
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(page))))
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert ends(slow)
        assert ask(port_of(page), "/state")[0] == 200
        page._readers.clear()


def test_who_does_not_take_the_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page._Handler, "timeout", 0.3)
    n_before = threading.active_count()
    with LivePage(lambda _: "x" * 20_000_000) as page, ExitStack() as stack:
        for _ in range(3):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(page))))
            idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ask(port_of(page), "/state")[0] == 200
        deadline = time.monotonic() + PATIENCE_S
        while threading.active_count() > n_before + 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= n_before + 1
        page._readers.clear()


def test_silent_connections_make_room_for_those_that_ask() -> None:
    n_before, most = threading.active_count(), live_page.most_connections()
    with LivePage(quick) as page, ExitStack() as stack:
        for _ in range(10):
            for _ in range(most):
                with suppress(OSError):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port_of(page)), timeout=PATIENCE_S))
            assert ask(port_of(page), "/state")[0] == 200
        assert threading.active_count() <= n_before + 2 * most + 1
        page._readers.clear()


def test_the_names_of_readers_take_no_room() -> None:
    with LivePage(quick) as page:
        for number in range(live_page.MOST_READERS + 20):
            page.asked(f"reader {number}")
            page.answered(f"reader {number}", is_last=False)
        assert len(page._readers) <= live_page.MOST_READERS
        ask(port_of(page), "/state?reader=" + "x" * 10_000)
        assert max(map(len, page._readers)) <= live_page.LONGEST_READER
        page._readers.clear()


def test_a_server_that_fails_is_said_once_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    page = LivePage(quick)
    page.complain = said.append
    monkeypatch.setattr(page._server, "process_request", fail)
    with page:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port_of(page))) as asking, suppress(OSError):
                asking.settimeout(PATIENCE_S)
                assert asking.recv(1) == b""
    assert said == ["the live report had a problem (RuntimeError: can't start new thread); the climb goes on"]


# A real climb that may open few files.


@pytest.mark.parametrize("request_begun", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
def test_idle_connections_do_not_end_a_climb(request_begun: bytes, tmp_path: Path, digits: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=900).replace("epochs = 100 ", "epochs = 900 "))
    store, log = tmp_path / "runs", tmp_path / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            stepladder_command("climb", path, "--store", store, "--live", "--seeds", 1, "--jobs", 2),
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES)),  # noqa: PLW1509
        )
    with ExitStack() as stack:
        stack.callback(kill_all, process)
        until(lambda: process.poll() is not None or "live report at" in log.read_text())
        found = re.search(r"live report at http://127\.0\.0\.1:(\d+)/", log.read_text())
        assert found, log.read_text()
        port = int(found[1])
        for number in range(4 * FEW_FILES):
            with suppress(OSError):
                idle = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                idle.sendall(request_begun)
            if number % FEW_FILES == 0:
                until(lambda: is_served(port))
        assert psutil.Process(process.pid).num_threads() < 40
        until(lambda: process.poll() is not None or list(store.glob("*/*.partial.safetensors")))
        until(lambda: is_served(port))
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(PATIENCE_S) == 143
    assert "Go on with:" in log.read_text()
    assert "Traceback" not in log.read_text()


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# The policy of a page, in a real browser.


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> tuple[Results, Store]:
    folder = tmp_path_factory.mktemp("untrained")
    (folder / "tiny.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=4))
    store = Store.open(folder / "runs", create=True)
    return collect(load(folder / "tiny.toml"), store), store


def visit(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    """An open page, and what it complains of."""
    page, complaints = browser.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    return page, complaints


INJECTED = """\
<script>window.evil = 1</script><img src="x" onerror="window.evil = 2"><img src="http://192.0.2.1/x.png">
<iframe srcdoc="<script>parent.evil = 3</script>"></iframe><a id="link" href="javascript:window.evil = 4">x</a>
<script src="data:text/javascript,window.evil = 5"></script><object data="http://192.0.2.1/"></object>
"""


def test_what_is_injected_into_a_page_does_not_run(
    browser: Browser, untrained: tuple[Results, Store], tmp_path: Path
) -> None:
    results, store = untrained
    text = html_page(results, store=store)
    assert "unsafe-eval" not in text.partition("<style>")[0]
    for name, content in (("page", text), ("evil", text.replace("<main>", f"<main>{INJECTED}"))):
        (tmp_path / f"{name}.html").write_text(content, "utf-8")
        page, complaints = visit(browser, tmp_path / f"{name}.html")
        if name == "evil":
            page.locator("#link").click()
        page.locator("[data-theme-button]").click()  # its own scripts run
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("window.evil ?? null") is None
        assert bool(complaints) == (name == "evil"), complaints
        assert page.evaluate("try { eval('1') } catch (error) { error.name }") in ("EvalError", 1)
        page.close()


def test_a_live_page_may_ask_its_own_server_alone(browser: Browser, untrained: tuple[Results, Store]) -> None:
    results, store = untrained
    with LivePage(lambda live: html_page(results, store=store, live=live)) as page:
        opened = browser.new_page()
        opened.goto(page.url)
        opened.get_by_text("The climb is about to begin.").wait_for()
        asked = opened.evaluate("fetch('/state').then((answer) => answer.text())")
        assert json.loads(asked)["n_total"] == 0
        said = opened.evaluate("fetch('http://127.0.0.1:1/').then(() => 'asked', (error) => error.name)")
        assert said == "TypeError"
        opened.close()
        page._readers.clear()

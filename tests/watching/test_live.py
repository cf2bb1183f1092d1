"""The report while a climb goes on: the real command, its page in a real browser, and what it answers to others."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import TINY_LADDER, CommandLine, stepladder_command
from playwright.sync_api import Browser, Page, TimeoutError
from records import make_epoch

from stepladder import load
from stepladder.climbing.climbing import Failure, plan
from stepladder.engines import choose_engine
from stepladder.errors import DataError, StepladderError
from stepladder.reporting.html.html_page import Live
from stepladder.reporting.numbers import percent
from stepladder.watching.live_page import LivePage

PATIENCE_S = 120
NETWORK = re.compile(r"Failed to load resource: net::")  # Chromium says so itself when nobody answers


class Climbing:
    """``stepladder climb --live`` as a process group of its own, which writes into files."""

    def __init__(self, folder: Path, ladder: Path, *more: object) -> None:
        self.store = folder / "runs"
        self.err = folder / "stderr"
        self.out = folder / "stdout"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                stepladder_command("climb", ladder, "--store", self.store, "--live", *more),
                stdout=out,
                stderr=err,
                env=os.environ | {"NO_COLOR": "1"},
                start_new_session=True,
                # a CI that runs in the background ignores Ctrl-C, and hands that down
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )

    def __enter__(self) -> "Climbing":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def said(self) -> str:
        return self.err.read_text()

    def url(self) -> str:
        """Where it serves, as it says."""
        until(lambda: "live report at" in self.said() or self.process.poll() is not None)
        found = re.search(r"live report at (http://127\.0\.0\.1:\d+/)\n", self.said())
        assert found, self.said()
        return found[1]

    def hold_at(self, pattern: str) -> None:
        """Stop training as soon as the store holds such a file; ``go_on`` lets it go on."""
        until(lambda: any(self.store.glob(pattern)) or self.process.poll() is not None)
        for worker in self.workers():
            worker.suspend()

    def go_on(self) -> None:
        for worker in self.workers():
            worker.resume()

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "execution.child" in " ".join(child.cmdline())]

    def finish(self) -> int:
        return self.process.wait(PATIENCE_S)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def answer(url: str, **headers: str) -> tuple[int, str]:
    """Status and text of an answer, whatever the status."""
    try:
        with urlopen(Request(url, headers=headers), timeout=PATIENCE_S) as found:
            return found.status, found.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def state(url: str, **query: object) -> dict[str, Any]:
    status, text = answer(f"{url}state?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def visit(browser: Browser, complaints: list[str]) -> Iterator[Callable[[str], Page]]:
    """Open a page; the test fails if one complained of anything but a server that is gone."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * PATIENCE_S)

    def open_page(url: str) -> Page:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.evaluate("window.isTheSame = true")
        return page

    yield open_page
    context.close()
    assert not [each for each in complaints if not NETWORK.match(each)]


@pytest.fixture
def ladder(tmp_path: Path, digits: Path) -> Callable[[int], Path]:
    """The tiny ladder with so many epochs."""

    def write(epochs: int) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(TINY_LADDER.format(data=str(digits), epochs=epochs))
        return path

    return write


def wait_for_dots(page: Page, n: int) -> None:
    page.locator(".ladder .dot").nth(n - 1).wait_for(state="attached")


def wait_for_end(page: Page, climbing: Climbing) -> None:
    try:
        page.get_by_text("The climb has ended.").wait_for()
    except TimeoutError:
        says = page.locator("#live").inner_text()
        processes = [(each.status(), each.cmdline()[-1]) for each in climbing.workers()]
        pytest.fail(f"the page says {says!r}, the climb {climbing.said()!r}, its workers are {processes}")


def draw(page: Page) -> None:
    box = page.evaluate(  # in one go: new results may take the canvas away between two questions
        """() => {
            const canvas = document.querySelector("canvas.paper");
            canvas.scrollIntoView({ block: "center", behavior: "instant" });
            return canvas.getBoundingClientRect().toJSON();
        }"""
    )
    page.mouse.move(box["x"] + 140, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 220, steps=5)
    page.mouse.up()


def test_results_appear_until_the_last(
    tmp_path: Path, ladder: Callable[[int], Path], visit: Callable[[str], Page], stepladder: CommandLine
) -> None:
    path = ladder(25)
    with Climbing(tmp_path, path, "--seeds", 2, "--jobs", 1) as climbing:
        climbing.hold_at("*/*.partial.safetensors")
        page, other = visit(climbing.url()), visit(climbing.url())
        page.get_by_text(re.compile(r"rung 'start', seed 1: epoch \d+ of 25")).wait_for()
        assert page.get_by_text("0 of 6 runs are finished.").count() == 1
        assert page.locator(".ladder .dot").count() == 0
        assert "is not trained yet" in page.locator(".headline.plain").inner_text()  # no warning: all is well
        climbing.go_on()
        climbing.hold_at("*/seed-2.*.partial.safetensors")
        for each in (page, other):
            wait_for_dots(each, 1)
            assert each.locator(".ladder .dot").count() < 6
        draw(other)
        climbing.go_on()
        wait_for_end(page, climbing)
        assert climbing.finish() in (0, 1)
    assert "Traceback" not in climbing.said()
    shown = json.loads(stepladder("show", path, "--store", tmp_path / "runs", "--json").stdout)
    other.get_by_text("New results are here").wait_for()
    other.locator("[data-clear]").click()
    for each in (page, other):
        wait_for_dots(each, 6)
        each.get_by_text("6 of 6 runs are finished.").wait_for()  # a run may be drawn before it is counted
        assert each.locator("progress").evaluate("(bar) => [bar.value, bar.max]") == [6, 6]
        assert each.get_by_text("6 of 6 runs are finished.").count() == 1
        assert each.evaluate("isTheSame")
        for rung, place in zip(reversed(shown["rungs"]), each.locator(".ladder > li:not(.scale)").all(), strict=True):
            assert f"{percent(Fraction(rung['test_final_mean']))}%" in place.locator(".result").inner_text()
            dots = place.locator(".dot").evaluate_all("all => all.map((dot) => dot.title)")
            assert [int(dot.split()[1].rstrip(":")) for dot in dots] == rung["seeds"] == [1, 2]


def test_what_a_person_does_survives(
    tmp_path: Path, ladder: Callable[[int], Path], visit: Callable[[str], Page], complaints: list[str]
) -> None:
    with Climbing(tmp_path, ladder(40), "--seeds", 50, "--jobs", 1) as climbing:
        climbing.hold_at("*/seed-3.*.partial.safetensors")  # with one seed there is none to choose
        page = visit(climbing.url())
        wait_for_dots(page, 2)
        recipe = page.locator("article details").first
        recipe.locator("summary").click()
        page.locator("[data-theme-button]").click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        page.locator("select[data-seeds]").first.select_option("1")
        page.evaluate("scrollTo(0, document.querySelector('#rung-1 .mistakes').offsetTop)")
        place = page.evaluate("document.querySelector('#rung-1 .mistakes').getBoundingClientRect().top")
        n_seen = page.locator(".ladder .dot").count()
        climbing.go_on()
        wait_for_dots(page, n_seen + 1)
        assert recipe.get_attribute("open") is not None
        assert page.locator("article details[open]:not(.part)").count() == 1
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.locator("select[data-seeds]").first.input_value() == "1"
        assert abs(page.evaluate("document.querySelector('#rung-1 .mistakes').getBoundingClientRect().top") - place) < 2
        page.locator("select[data-seeds]").first.click()  # it stays open, and nothing is taken from under it
        page.get_by_text("New results are here").wait_for()
        page.keyboard.press("Escape")
        page.get_by_text("New results are here").wait_for(state="detached")
        assert page.evaluate("document.activeElement.matches('#rung-1 select[data-seeds]')")
        draw(page)
        page.get_by_text("New results are here").wait_for()
        assert page.evaluate("drawing.pixels.some((value) => value > 0) && !drawing.isExample")
        n_seen = page.locator(".ladder .dot").count()
        page.locator("[data-clear]").click()
        wait_for_dots(page, n_seen + 1)
        assert page.evaluate("isTheSame")
        assert not complaints
        climbing.signal(signal.SIGKILL)
        page.get_by_text("The climb does not answer any more; this page stays as it is.").wait_for()


GROWN = """() => {
    const figure = document.querySelector("#live figure");
    return [figure.querySelectorAll("polyline")[1].points.numberOfItems, figure.querySelector("p").textContent];
}"""


def test_a_curve_grows_while_its_seed_trains(
    tmp_path: Path, ladder: Callable[[int], Path], visit: Callable[[str], Page]
) -> None:
    path = ladder(900)
    path.write_text(path.read_text().replace("epochs = 100 ", "epochs = 900 "))
    with Climbing(tmp_path, path, "--seeds", 1, "--jobs", 1) as climbing:
        climbing.hold_at("*/*.partial.safetensors")
        page = visit(climbing.url())
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].partition("?")[0]))
        page.locator("#live figure circle").wait_for(state="attached")
        n_at_first, _ = page.evaluate(GROWN)
        climbing.go_on()
        for n in (n_at_first, n_at_first + 10):
            until(lambda n=n: page.evaluate(GROWN)[0] > n)  # type: ignore[misc]
        n_points, words = page.evaluate(GROWN)
        assert re.fullmatch(rf"rung 'start', seed 1: epoch {n_points} of 900, test \d+\.\d\d%", words)
        assert page.locator("#live").get_by_text("rung 'start', seed 1").count() == 1  # it is said once
        assert set(asked) == {"state"}  # no page was drawn anew for it
        assert page.evaluate("isTheSame")
        assert not Axe().run(page).response["violations"]


def test_ctrl_c_while_a_page_is_open(
    tmp_path: Path, ladder: Callable[[int], Path], visit: Callable[[str], Page]
) -> None:
    with Climbing(tmp_path, ladder(100), "--seeds", 50, "--jobs", 1) as climbing:
        page = visit(climbing.url())
        page.get_by_text(re.compile(r"epoch \d+ of 100")).wait_for()
        climbing.signal(signal.SIGINT)
        assert climbing.finish() == 130
        assert "Go on with:" in climbing.said()
        assert "Traceback" not in climbing.said()
        page.get_by_text(re.compile("The climb was interrupted|does not answer any more")).wait_for()


def test_what_others_are_answered(tmp_path: Path, ladder: Callable[[int], Path]) -> None:
    with Climbing(tmp_path, ladder(100), "--seeds", 50, "--jobs", 1, "--port", 0) as climbing:
        url = climbing.url()
        port = int(url.rstrip("/").rpartition(":")[2])
        first = state(url)
        assert first["lines"]
        assert not first["ended"]
        news = state(url, after=first["change"])
        until(lambda: state(url)["n_total"] == 150)
        assert news["change"] >= first["change"]
        status, text = answer(url)
        assert status == 200
        assert '<section id="live"' in text
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}"):
            assert answer(url, Host=host)[0] == 200
        for host in ("example.org", f"example.org:{port}", "127.0.0.1.example.org", "localhost@example.org"):
            status, text = answer(url, Host=host)
            assert (status, "tiny" in text) == (421, False)
        assert answer(f"{url}favicon.ico")[0] == 404
        assert answer(f"{url}../../etc/passwd")[0] == 404
        for method in ("HEAD", "POST", "PUT"):
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request(method, "/")
            assert connection.getresponse().status == 501
            connection.close()
        for _ in range(3):  # browsers that go away before their answer is whole
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                gone.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                gone.recv(100)
        assert answer(url)[0] == 200
        assert climbing.process.poll() is None
        lines = climbing.said().splitlines()
        assert all(line.startswith(("note: live report", "note: engine", "0 of 150", "rung ")) for line in lines), lines


def test_a_port_that_is_taken_is_refused(tmp_path: Path, ladder: Callable[[int], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Climbing(tmp_path, ladder(4), "--port", port) as climbing:
            assert climbing.finish() == 2
    assert f"cannot serve on port {port}" in climbing.said()
    assert "--port" in climbing.said()
    assert not list((tmp_path / "runs").glob("*/*"))


def test_a_port_without_live_is_refused(tmp_path: Path, stepladder: CommandLine, ladder: Callable[[int], Path]) -> None:
    done = stepladder("climb", ladder(4), "--store", tmp_path / "runs", "--port", 8000)
    assert done.returncode == 2
    assert "add --live" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_without_live_nothing_listens(tmp_path: Path, ladder: Callable[[int], Path]) -> None:
    command = stepladder_command("climb", ladder(100), "--store", tmp_path / "runs", "--seeds", 50, "--jobs", 1)
    with psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            until(lambda: list(tmp_path.glob("runs/*/*.partial.safetensors")))
            family = [process, *process.children(recursive=True)]
            assert not [each for one in family for each in one.net_connections() if each.status == psutil.CONN_LISTEN]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


# The page by itself, around pages that are quickly made.


def version_of(live: Live) -> str:
    return f"version {live.version}"


class Follower:
    """Asks as the page does, in a thread, until it has the last page."""

    def __init__(self, url: str) -> None:
        self.states = [state(url, reader="follower")]
        self.page = ""
        self.thread = threading.Thread(target=self.follow, args=(url,))
        self.thread.start()

    def follow(self, url: str) -> None:
        while not self.states[-1]["ended"]:
            self.states.append(state(url, reader="follower", after=self.states[-1]["change"]))
        self.page = answer(f"{url}?reader=follower")[1]


def test_the_end_waits_for_those_who_look_and_for_nobody_else() -> None:
    with LivePage(version_of) as page:
        with socket.create_connection(("127.0.0.1", int(page.url.rstrip("/").rpartition(":")[2]))) as gone:
            gone.sendall(b"GET /state?reader=gone&after=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: "gone" in page._readers)
        until(lambda: "gone" not in page._readers)
        follower = Follower(page.url)
    follower.thread.join(PATIENCE_S)
    assert follower.page == f"version {page._version}"
    assert not page._readers


def test_a_page_that_cannot_be_rendered_is_tried_again() -> None:
    problems: list[Exception] = [StepladderError("no store"), KeyError("gone")]

    def render(live: Live) -> str:
        if problems:
            raise problems.pop(0)
        return version_of(live)

    with LivePage(render) as page:
        assert answer(page.url) == (500, "no store")
        assert answer(page.url) == (500, "KeyError: 'gone'")
        assert answer(page.url) == (200, "version 0")
        assert answer(f"{page.url}state?after=x")[0] == 500
        page._readers.clear()


def test_what_goes_wrong_is_said(ladder: Callable[[int], Path]) -> None:
    engine, _ = choose_engine()
    one, other, third = plan(load(ladder(4)), seeds=[1], engine=engine)
    page = LivePage(version_of)

    def fail() -> None:
        assert state(page.url)["lines"] == ["The climb is about to begin."]
        page.planned({each.identity.key: (each, 0) for each in (one, other, third)}, 2)
        page.advanced(other, epochs=[make_epoch(9_000)])
        page.failed(Failure(one, "lost its worker twice"))
        followers.append(Follower(page.url))
        raise DataError("these images changed")

    followers: list[Follower] = []
    with pytest.raises(DataError), page:
        fail()
    followers[0].thread.join(PATIENCE_S)
    first, *_, last = followers[0].states
    assert first["lines"] == [
        "2 of 5 runs are finished.",
        "Not trained: rung 'start', seed 1: lost its worker twice",
        "rung 'dropout', seed 1: epoch 1 of 4, test 90.00%",
    ]
    assert (first["n_done"], first["n_total"]) == (2, 5)
    assert last["lines"] == ["The climb has stopped: these images changed", *first["lines"][:2]]
    assert followers[0].page

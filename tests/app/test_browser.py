"""The page in a real Chromium: what a visitor does, from finding a study to drawing a digit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import etude
from etude.runs.folder import RunFolder, find_runs

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"
    ),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server:
    """``etude app`` as a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        words = [
            sys.executable,
            "-P",
            "-m",
            "etude",
            "app",
            "--port",
            "0",
            "--no-open",
            "--runs",
            str(root),
        ]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.entry = self.process.stdout.readline().split()[0]  # with the token
        self.address = self.entry.partition("?")[0].rstrip("/")

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=200)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "runs")
    yield served
    if served.process.poll() is None:
        served.stop()
    for folder in find_runs(served.root):
        pid = folder.status().get("pid")
        if folder.state == "running" and pid:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def watched(browser: Any, server: Server, **options: Any) -> tuple[Any, list[str]]:
    """A page, and what went wrong in it: errors in its console, requests that leave the machine."""
    page = browser.new_page(**options)
    page.set_default_timeout(120_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: (
            wrong.append(f"{said.text} {said.location['url']}")
            if said.type == "error" and "422" not in said.text
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((server.address, "data:")) else wrong.append(request.url)
        ),
    )
    enter(page, server)
    return page, wrong


def enter(page: Any, server: Server) -> None:
    """Open the page by its whole address; it leads on to the one without the token."""
    page.goto(server.entry)
    page.wait_for_url(f"{server.address}/")


def the_run(server: Server, place: int = 0) -> RunFolder:
    return find_runs(server.root)[place]


def test_find_a_study_change_a_field_run_stop_resume_and_compare(
    server: Server, browser: Any
) -> None:
    page, wrong = watched(browser, server)
    page.goto(server.address)
    page.get_by_label("Words to find").fill("spirals perceptron")
    page.get_by_role("link", name="Two spirals").click()
    page.locator("summary").click()
    page.get_by_label("width", exact=True).fill("many")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("width is 'many'; expected a whole number of at least 1").wait_for()
    page.get_by_label("width", exact=True).fill("8")
    page.get_by_label("steps", exact=True).fill("200000")
    page.get_by_role("button", name="Run", exact=True).click()

    page.wait_for_url("**/runs/spirals/*")
    page.locator(".chart canvas").first.wait_for()
    first = page.locator("#place").inner_text()
    page.wait_for_function("text => document.getElementById('place').innerText !== text", arg=first)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for()
    stopped = the_run(server).last_row()["step"]
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Stop").wait_for()
    until = time.monotonic() + 200
    while the_run(server).last_row()["step"] <= stopped and time.monotonic() < until:
        time.sleep(0.1)
    assert the_run(server).last_row()["step"] > stopped
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for()

    page.goto(f"{server.address}/studies/spirals?steps=100&width=4")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".state.finished").wait_for()
    page.goto(f"{server.address}/runs")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare").click()
    page.locator(".chart canvas").first.wait_for()
    assert page.get_by_role("rowheader", name="width").count() == 1
    assert wrong == []


def test_a_digit_drawn_with_the_mouse_is_seen(server: Server, browser: Any) -> None:
    page, wrong = watched(browser, server)
    page.goto(f"{server.address}/studies/digits/try")
    page.get_by_role("button", name="Train it now").wait_for()
    page.goto(f"{server.address}/studies/digits?width=12&epochs=12")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".state.finished").wait_for(timeout=180_000)
    page.get_by_role("link", name="Try it").click()
    pad = page.locator("canvas.pad")
    box = pad.bounding_box()

    def stroke(*places: tuple[float, float]) -> None:
        spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=5)
        page.mouse.up()

    stroke((0.3, 0.2), (0.7, 0.2), (0.45, 0.85))
    assert not page.locator("#answers").is_visible()  # a guess comes first
    page.locator(".guess").get_by_role("button", name="7", exact=True).click()
    page.locator(".bars span.top-one").first.wait_for()
    assert page.locator(".bars span.top-one").first.inner_text() == "7"

    shared = page.url
    page.goto("about:blank")
    page.goto(shared)  # the drawing stands in the address
    page.get_by_role("button", name="just show me").click()
    page.locator(".bars span.top-one").first.wait_for()
    assert page.locator(".bars span.top-one").first.inner_text() == "7"
    assert wrong == []


def test_keys_alone_place_a_point_and_play(server: Server, browser: Any) -> None:
    page, wrong = watched(browser, server)
    page.goto(f"{server.address}/studies/spirals/try")
    page.get_by_role("button", name="exclusive or").click()
    pad = page.get_by_role("application")
    pad.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert "0.2,0.1,0" in unquote(page.url)
    page.get_by_role("button", name="nearly").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Play again").wait_for()
    page.get_by_role("slider", name="Step").press("Home")
    assert "step 0:" in page.locator(".player").inner_text()
    page.get_by_role("button", name="One step").press("Enter")
    assert "step 5:" in page.locator(".player").inner_text()
    assert wrong == []


def test_a_text_is_written_while_one_looks(server: Server, browser: Any) -> None:
    etude.run(
        "gpt",
        root=server.root,
        quiet=True,
        steps=3,
        width=16,
        heads=2,
        layers=1,
        context=16,
        length=30,
    )
    page, wrong = watched(browser, server)
    page.goto(f"{server.address}/studies/gpt/try#temperature=0.5&seed=7")
    page.get_by_role("button", name="Show", exact=True).click()  # a guess comes first
    assert page.locator("#answers section").count() == 0
    page.get_by_role("button", name="letters").click()
    page.locator(".tokens .later").first.wait_for(state="attached")
    page.get_by_role("button", name="Play again").wait_for()
    assert page.locator(".tokens .later").count() == 0
    assert page.locator(".grid tbody tr").count() == 2
    assert "drawn from" in page.locator(".note").inner_text()
    text = page.locator(".tokens").inner_text()
    assert f"run={the_run(server).path.name}#" in page.url
    assert "temperature=0.5" in page.url

    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    page.get_by_role("button", name="Just show me").click()
    page.get_by_role("button", name="Play again").wait_for()
    assert page.locator(".tokens").inner_text() == text
    assert wrong == []


def test_a_run_outlives_the_server(server: Server, browser: Any) -> None:
    page, _ = watched(browser, server)
    page.goto(f"{server.address}/studies/spirals?steps=3000&width=8")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/spirals/*")
    place = page.url.removeprefix(server.address)
    page.goto("about:blank")
    server.stop(signal.SIGKILL)
    again = Server(server.root)
    try:
        enter(page, again)
        page.goto(again.address + place)
        page.locator(".state.finished").wait_for(timeout=120_000)
        assert the_run(again).state == "finished"
    finally:
        again.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(server: Server, browser: Any, scheme: str) -> None:
    page, wrong = watched(
        browser, server, viewport={"width": 390, "height": 800}, color_scheme=scheme
    )
    for address in (
        "/",
        "/studies/transformer",
        "/studies/spirals/try",
        "/courses",
        "/courses/ITU",
        "/runs",
        "/trash",
        "/nonsense",
    ):
        page.goto(server.address + address)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{address} is {wide} pixels too wide"
    assert [line for line in wrong if "404" not in line] == []


FORM = '<form method="post" action="/trash/empty"><button>Read on</button></form>'
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><foreignObject width="300"'
    f' height="200"><body xmlns="http://www.w3.org/1999/xhtml">{FORM}</body></foreignObject></svg>'
)
LESSON = r"""title

$\text{<script>document.title = "owned"</script><img src=http://127.0.0.1:9/x.png>}$
![](http://127.0.0.1:9/track.png)
"""


def test_a_strangers_report_can_do_nothing(server: Server, browser: Any, tmp_path: Path) -> None:
    """Neither from a file, where it is opened by 'etude report', nor on the page."""
    from etude.results import trash
    from etude.runs.report import report

    for _ in range(2):
        etude.run("spirals", root=server.root, quiet=True, points=20, steps=3, width=4)
    trash.discard(the_run(server, 1), server.root)
    folder = the_run(server)
    about = json.loads(folder.study_json.read_text())
    folder.study_json.write_text(json.dumps({**about, "lesson": LESSON}))
    (tmp_path / "report.html").write_text(report(folder))
    alone = browser.new_page()
    asked: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto((tmp_path / "report.html").as_uri())
    assert alone.title() != "owned"
    alone.wait_for_function("[...document.images].every((image) => image.naturalWidth > 0)")
    quiet = alone.eval_on_selector("header p", "p => getComputedStyle(p).color")
    assert quiet == "rgb(95, 102, 112)"  # its own style is let in
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []

    page, wrong = watched(browser, server)
    folder.report_html.write_text(FORM + "<script>document.title = 'owned'</script>")
    (folder.figures / "evil.svg").write_text(SVG)
    for file in ("report", "figures/evil.svg"):
        page.goto(f"{server.address}/runs/{folder.name}/{file}")
        page.get_by_role("button", name="Read on").click()
        page.wait_for_timeout(500)
        assert page.title() != "owned"
        assert len(trash.discarded(server.root)) == 1, f"{file} emptied the trash"
    refused = [line for line in wrong if "sandboxed" in line or "form" in line.lower()]
    assert len(refused) >= 2

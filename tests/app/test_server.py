"""The server without a browser: what each address shows, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import etude
from etude.app import processes
from etude.app.guard import FOREIGN, HEADERS, Access
from etude.app.server import application
from etude.app.trying import Trying, encoded
from etude.app.waiting import Waiting
from etude.catalogue import Catalogue
from etude.courses.library import NAMES
from etude.demos import (
    Bars,
    Choice,
    Drawing,
    Frames,
    Grid,
    Pictures,
    Points,
    Said,
    Slider,
    Tokens,
    Words,
)
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.owner import is_same, owner

OURS = {"origin": "http://testserver"}
TOKEN = "a-secret"


def visitor(root: Path, *, host: str = "testserver", token: str = TOKEN) -> TestClient:
    """Somebody who asks by a name, and keeps a token."""
    access = Access(TOKEN, frozenset({"testserver", "127.0.0.1", "localhost"}))
    client = TestClient(
        application(root, access), base_url=f"http://{host}", raise_server_exceptions=False
    )
    port = host.partition(":")[2] or "80"
    client.cookies.set(f"etude-{port}", token)
    return client


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "runs"))


@pytest.fixture
def page(root: Path) -> TestClient:
    return visitor(root)


def names(root: Path) -> list[str]:
    return [folder.name for folder in find_runs(root)]


def test_a_study_is_found_by_any_word_of_its_lesson(page: TestClient) -> None:
    shown = page.get("/").text
    for entry in Catalogue().all():
        card = shown[shown.index(f'data-words="{entry.name} ') :]
        words = card[: card.index('">')].split()
        last = re.findall(r"[a-z]{4,}", entry.references.lower())[-1]
        assert any(last in word for word in words), "the end is looked through, too"
        assert len(words) == len({*words})


def test_the_catalogue_shows_every_study(page: TestClient) -> None:
    shown = page.get("/").text
    for entry in Catalogue().all():
        assert f'href="/studies/{entry.name}"' in shown


def test_every_page_answers(page: TestClient, root: Path) -> None:
    one, two = names(root)
    addresses = [
        "/studies/spirals",
        "/studies/digits?scale=full&width=8",
        "/studies/spirals/picture",
        "/studies/spirals/try",
        "/runs",
        f"/runs/{one}",
        f"/runs/{one}/live",
        f"/runs/{one}/report",
        f"/runs/{one}/figures/boundary.svg",
        f"/runs/{one}/export/safetensors",
        f"/compare?run={one}&run={two}",
        f"/compare/curves?run={one}&run={two}",
        "/trash",
        "/favicon.ico",
        "/static/style.css",
        "/static/vendor/uPlot.iife.min.js",
    ]
    for address in addresses:
        answer = page.get(address)
        assert answer.status_code == 200, (address, answer.text[:300])
        of_a_run = re.search(r"/(report|figures|export)(/|$)", address)
        for header, value in (HEADERS | FOREIGN if of_a_run else HEADERS).items():
            assert answer.headers[header] == value


def test_the_lesson_has_its_equations_and_asks_nobody(page: TestClient) -> None:
    shown = page.get("/studies/spirals").text
    assert "<math" in shown
    assert "http://" not in shown.replace("http://www.w3.org", "")
    assert "https://" not in shown


@pytest.mark.parametrize(
    "address",
    [
        "/studies/nonsense",
        "/studies/../../etc",
        "/runs/spirals/nonsense",
        "/runs/..%2f..%2fetc/passwd",
        "/nonsense",
        "/studies/spirals?scale=none",
        "/studies/linear/try",
    ],
)
def test_what_is_not_there_is_said_kindly(page: TestClient, address: str) -> None:
    answer = page.get(address)
    assert answer.status_code in (400, 404)
    assert "Traceback" not in answer.text
    assert "notice" in answer.text


@pytest.mark.parametrize(
    "file", ["..%2fstudy.json", "study.json", ".lock", "boundary.svg%00", "%2fetc%2fpasswd"]
)
def test_no_path_of_a_request_reaches_the_files(page: TestClient, root: Path, file: str) -> None:
    assert page.get(f"/runs/{names(root)[0]}/figures/{file}").status_code == 404


@pytest.mark.parametrize("origin", [{}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_only_the_page_itself_may_change_anything(
    page: TestClient, root: Path, origin: dict[str, str]
) -> None:
    one = names(root)[0]
    for address in (f"/runs/{one}/discard", "/studies/spirals/runs", "/trash/empty"):
        assert page.post(address, headers=origin).status_code == 403
    assert one in names(root)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "[", "", "localhost:x", "localhost@evil"]
)
def test_a_name_that_was_rebound_is_not_answered(page: TestClient, host: str) -> None:
    answer = page.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "not to be asked for by the name" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST:7860"])
def test_the_names_of_this_machine_are_answered(root: Path, host: str) -> None:
    assert visitor(root, host=host).get("/runs").status_code == 200


@pytest.mark.parametrize(
    ("host", "yes", "no"),
    [
        ("127.0.0.1", ["127.0.0.1:1", "localhost", "[::1]:80"], ["10.0.0.1", "evil.example"]),
        ("10.0.0.7", ["10.0.0.7:7860"], ["10.0.0.8", "evil.example", "localhost"]),
        ("box.lan", ["box.lan", "BOX.lan:7860"], ["box.lan.evil", "10.0.0.7"]),
        ("0.0.0.0", ["10.0.0.7:7860", "[fe80::1]:7860", "localhost"], ["evil.example", "1.evil"]),
    ],
)
def test_which_names_are_the_pages_own(host: str, yes: list[str], no: list[str]) -> None:
    access = Access.at(host)
    assert [name for name in [*yes, *no] if access.known(name)] == yes


@pytest.mark.parametrize("token", ["", "A-SECRET", "a-secret2"])
def test_without_the_token_nothing_is_answered(root: Path, token: str) -> None:
    one = names(root)[0]
    client = visitor(root, token=token)
    for address in ("/", "/runs", f"/runs/{one}/live", "/static/style.css", "/favicon.ico", "/x"):
        answer = client.get(address)
        assert answer.status_code == 403
        assert "with the token in it" in answer.text
        assert one not in answer.text
    assert client.get("/runs", params={"token": f"{token}x"}).status_code == 403
    asked = client.get(f"/runs/{one}/live", headers={"accept": "application/json"})
    assert "token" in asked.json()["error"]
    assert client.post("/trash/empty", headers=OURS).status_code == 403
    assert client.post(f"/runs/{one}/discard?token={TOKEN}", headers=OURS).status_code == 403
    assert one in names(root)


def test_the_token_in_the_address_becomes_a_cookie_that_no_other_site_can_use(root: Path) -> None:
    client = visitor(root)
    client.cookies.clear()
    answer = client.get(f"/studies/digits?width=8&token={TOKEN}&scale=full")
    assert TOKEN not in answer.text  # it stands in no address that is handed on
    assert "url=/studies/digits?width=8&amp;scale=full" in answer.text
    kept = answer.headers["set-cookie"]
    assert kept.startswith(f"etude-80={TOKEN};")
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert client.get("/studies/digits?width=8&scale=full").status_code == 200
    led = client.get(f"http://testserver//evil.example/?token={TOKEN}").text
    assert 'url=/evil.example/"' in led  # a path, and no other machine


def test_each_start_has_a_token_of_its_own() -> None:
    one, two = Access.at("127.0.0.1"), Access.at("127.0.0.1")
    assert one.token != two.token
    assert len(one.token) >= 32
    assert not one.right(two.token)
    assert not one.right("")
    assert not one.right("ä")


def test_the_browser_is_not_started_with_the_token_in_its_words() -> None:
    from etude.cli.app import way_in

    with way_in("http://127.0.0.1:7860/?token=a-secret") as path:
        assert "a-secret" not in path.as_uri()
        assert 'url=http://127.0.0.1:7860/?token=a-secret"' in path.read_text()
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists()


FORM = '<form method="post" action="/trash/empty"><button>Read on</button></form>'


def test_a_strangers_report_and_figures_can_do_nothing(page: TestClient, root: Path) -> None:
    folder = find_runs(root)[0]
    folder.report_html.write_text(f"<script>1</script>{FORM}")
    (folder.figures / "evil.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script><foreignObject>'
        f'<body xmlns="http://www.w3.org/1999/xhtml">{FORM}</body></foreignObject></svg>'
    )
    for file in ("report", "figures/evil.svg", "figures/boundary.png"):
        answer = page.get(f"/runs/{folder.name}/{file}")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"].split("; ")
        assert "sandbox" in policy  # neither scripts nor forms, and no origin
        assert {"default-src 'none'", "form-action 'none'"} <= set(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_report_that_is_missing_is_shown_and_not_written(page: TestClient, root: Path) -> None:
    folder = find_runs(root)[0]
    folder.report_html.unlink()
    assert "How to repeat it" in page.get(f"/runs/{folder.name}/report").text
    assert not folder.report_html.exists()


def test_a_request_that_is_too_large_is_refused(page: TestClient) -> None:
    answer = page.post("/studies/spirals/try", content=b"x" * 600_000, headers=OURS)
    assert answer.status_code == 403
    assert "larger than 256 kB" in answer.text


def test_a_wrong_field_comes_back_with_its_sentence(page: TestClient, root: Path) -> None:
    answer = page.post(
        "/studies/spirals/runs", data={"scale": "quick", "width": "many"}, headers=OURS
    )
    assert answer.status_code == 422
    assert "width is &#39;many&#39;; expected a whole number of at least 1" in answer.text
    assert 'value="many"' in answer.text
    assert len(names(root)) == 2


def test_thrown_away_and_had_back(page: TestClient, root: Path) -> None:
    one, two = names(root)
    page.post(f"/runs/{one}/discard", headers=OURS)
    assert names(root) == [two]
    assert one in page.get("/trash").text
    page.post(f"/trash/{one}/restore", headers=OURS)
    assert names(root) == [one, two]
    page.post(f"/runs/{one}/discard", headers=OURS)
    page.post("/trash/empty", headers=OURS)
    assert names(root) == [two]
    assert one not in page.get("/trash").text


def test_what_is_finished_can_be_neither_stopped_nor_resumed(page: TestClient, root: Path) -> None:
    one = names(root)[0]
    answer = page.post(f"/runs/{one}/stop", headers=OURS)
    assert "only one that is running can be stopped" in answer.text
    assert "is finished" in page.post(f"/runs/{one}/resume", headers=OURS).text


def test_only_the_process_that_writes_a_run_is_ever_stopped(page: TestClient, root: Path) -> None:
    """Its number may be another's by now, here or on another machine that shares the folder."""
    folder = find_runs(root)[0]
    folder.result_json.unlink()
    lock = folder.lock()
    process = subprocess.Popen(
        ["sleep", "60"],
        # what runs in a shell's background has SIGINT ignored, and so have its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        right = owner(process.pid)
        assert is_same(right, process.pid)
        wrong = {
            "born": "another time",
            "host": "another machine",
            "pid": os.getpid(),
        }
        for key, value in wrong.items():
            folder.tell(**{**right, key: value})
            answer = page.post(f"/runs/{folder.name}/stop", headers=OURS)
            assert answer.status_code == 400
            assert "stop it there" in answer.text or "has just ended" in answer.text
        for pid in (None, True, 0, 1, -1, "7"):
            folder.tell(**{**right, "pid": pid})
            answer = page.post(f"/runs/{folder.name}/stop", headers=OURS)
            assert "does not say which process" in answer.text
        assert process.poll() is None
        folder.tell(**right)
        page.post(f"/runs/{folder.name}/stop", headers=OURS)
        assert process.wait(timeout=200) == -signal.SIGINT
        assert "has just ended" in page.post(f"/runs/{folder.name}/stop", headers=OURS).text
    finally:
        process.kill()
        lock.release()


def kept(root: Path, run: str, source: str = "catalogue", holds: bool = True) -> RunFolder:
    """A finished run of digits with a network, whose claim holds or not."""
    folder = RunFolder(root / "digits" / run)
    folder.path.mkdir(parents=True)
    record = {"study": "digits", "source": source, "scale": "quick", "seed": 0}
    record |= {"fields": {}, "changed": {}}
    folder.study_json.write_text(json.dumps(record))
    claim = {"metric": "test/accuracy", "at_least": 0.9}
    verdict = {"claim": claim, "value": 0.95 if holds else 0.5, "holds": holds}
    result = {"metrics": {"test/accuracy": verdict["value"]}, "claims": [verdict], "seconds": 1.0}
    folder.result_json.write_text(json.dumps(result))
    folder.network.write_bytes(bytes(8))
    return folder


def test_a_strangers_code_is_not_executed_for_a_visitor(tmp_path: Path) -> None:
    mark, source = tmp_path / "executed", tmp_path / "digits.py"
    source.write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    folder = kept(tmp_path / "runs", "2025-01-01_00-00-00-aaaa", str(source))
    page = visitor(tmp_path / "runs")
    assert page.get("/studies/digits").status_code == 200
    for address in (
        "/studies/digits/try",
        f"/runs/{folder.name}/export/notebook",
        f"/runs/{folder.name}/export/hdf5",
    ):
        answer = page.get(address)
        assert answer.status_code == 400
        assert "you have not run" in answer.text, address
    assert "you have not run" in page.post("/studies/digits/try", json={}, headers=OURS).text
    assert not mark.exists()


def test_the_newest_run_whose_claims_hold_is_tried(tmp_path: Path) -> None:
    entry = Catalogue()["digits"]
    trying = Trying(tmp_path)
    assert trying.latest(entry) is None
    weak = kept(tmp_path, "2025-01-01_00-00-00-aaaa", holds=False)
    found = trying.latest(entry)
    assert found is not None
    assert found.path == weak.path
    good = kept(tmp_path, "2025-01-02_00-00-00-aaaa")
    kept(tmp_path, "2025-01-03_00-00-00-aaaa", holds=False)
    found = trying.latest(entry)
    assert found is not None
    assert found.path == good.path


def test_a_run_has_begun_once_it_has_said_what_it_is(tmp_path: Path) -> None:
    folder = RunFolder.create("fake", tmp_path)
    lock = folder.lock()
    try:
        folder.tell(**owner(os.getpid()))
        assert processes.begun(tmp_path, os.getpid()) is None
        folder.study_json.write_text(json.dumps({"study": "fake"}))
        found = processes.begun(tmp_path, os.getpid())
        assert found is not None
        assert found.path == folder.path
        assert processes.begun(tmp_path, os.getppid()) is None
    finally:
        lock.release()


class Fakes:
    """Runs that are begun, and are under way while their lock is held."""

    def __init__(self, root: Path) -> None:
        self.root, self.begun, self.locks = root, [], []

    def launch(self, words: Sequence[str], root: Path) -> RunFolder:
        if words[0] == "fails":
            raise UserError("it can't")
        folder = RunFolder.create("fake", root)
        folder.study_json.write_text(json.dumps({"study": "fake", "threads": int(words[0])}))
        folder.tell(**owner(os.getpid()))
        self.locks.append(folder.lock())
        self.begun.append(folder)
        return folder

    def end(self) -> None:
        self.begun.pop(0).status_json.unlink()
        self.locks.pop(0).release()


def soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 200
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def test_as_many_run_at_once_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.app.waiting.LOOK", 0.01)
    fakes = Fakes(tmp_path)
    waiting = Waiting(tmp_path, cores=4, launch=fakes.launch)
    assert waiting.begin("first", ["2"], 2)
    assert waiting.begin("second", ["2"], 2)  # they fit beside each other
    assert not waiting.begin("third", ["4"], None)  # nobody knows: it waits for all cores
    assert not waiting.begin("fails", ["fails"], 1)
    assert not waiting.begin("fifth", ["1"], 1)  # nobody is passed
    assert [each.title for each in waiting.asked()] == ["third", "fails", "fifth"]
    fakes.end()
    assert len(waiting.asked()) == 3
    fakes.end()
    assert soon(lambda: [f.study()["threads"] for f in fakes.begun] == [4])
    waiting.drop(waiting.asked()[-1].number)
    fakes.end()
    assert soon(lambda: [each.trouble for each in waiting.asked()] == ["it can't"])
    assert waiting.begin("sixth", ["99"], 99)  # one runs in any case


def test_runs_that_wait_stand_on_the_page(
    page: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etude.app.waiting.LOOK", 60)
    fakes = Fakes(root)
    fakes.launch(["64"], root)
    form = {"scale": "quick", "seed": "7", "width": "9"}
    answer = page.post("/studies/spirals/runs", data=form, headers=OURS, follow_redirects=False)
    assert answer.headers["location"] == "/runs#waiting"
    shown = page.get("/runs").text
    assert "spirals, quick, seed 7 · width 9" in shown
    drop = re.search(r'action="(/waiting/\d+/drop)"', shown)
    assert drop
    assert page.post(drop[1], headers=OURS).status_code == 200
    assert "seed 7" not in page.get("/runs").text
    assert len(find_runs(root)) == 3


def test_of_many_runs_the_newest_are_shown_and_all_where_they_are_asked_for(
    page: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = names(root)
    assert len(ours) > 1
    assert "Show all" not in page.get("/runs").text
    monkeypatch.setattr("etude.app.pages.ROWS", 1)
    shown = page.get("/runs").text
    assert [name in shown for name in sorted(ours)] == [False] * (len(ours) - 1) + [True]
    assert f"Show all {len(ours)}" in shown
    everything = page.get("/runs?all").text
    assert all(name in everything for name in ours)


def test_the_courses_are_shown_with_what_is_done(page: TestClient) -> None:
    shown = page.get("/courses").text
    assert shown.count('href="/courses/') == len(NAMES)
    assert "✓ 1 run here" in shown  # spirals
    for name in NAMES:
        answer = page.get(f"/courses/{name}")
        assert answer.status_code == 200
        assert "Week by week" in answer.text
    shown = page.get("/courses/CU").text
    assert "✓ spirals" in shown
    assert 'title="not built yet: masked autoencoders"' in shown
    assert 'id="A3"' in shown
    assert '<th scope="col">when' not in shown  # it counts weeks
    assert '<th scope="col">when' in page.get("/courses/OU").text
    assert page.get("/courses/nonsense").status_code == 404
    assert page.get("/courses/cu").status_code == 404


def test_a_study_says_who_asks_for_it_and_what_goes_before(page: TestClient) -> None:
    shown = page.get("/studies/spirals").text
    assert 'href="/courses/CU#A2">CU A2</a>' in shown
    assert re.search(r"before it: .*/studies/perceptron.*after it: .*/studies/circle", shown, re.S)


def test_live_sends_curves_only_when_there_are_new_ones(page: TestClient, root: Path) -> None:
    one = names(root)[0]
    first = page.get(f"/runs/{one}/live").json()
    assert first["state"] == "finished"
    assert first["curves"]["loss"][""][0][-1] == 30
    assert page.get(f"/runs/{one}/live?size={first['size']}").json()["curves"] is None
    assert "spirals" in first["log"]


def test_the_playground_answers(page: TestClient) -> None:
    given = {
        "points": [[-0.5, 0, 0], [0.5, 0, 1]],
        "layers": "1",
        "width": "4",
        "activation": "tanh",
        "seed": 0,
    }
    (frames,) = page.post("/studies/spirals/try", json=given, headers=OURS).json()
    assert frames["kind"] == "frames"
    assert frames["images"][-1][0].endswith("100% right")
    assert frames["images"][0][1].startswith("data:image/")


@pytest.mark.parametrize(
    "given",
    [
        [],
        {},
        {"points": "x"},
        {"points": [[0, 0, 5]], "layers": "1", "width": "4", "activation": "tanh", "seed": 0},
        {"points": [[0, 2, 0]], "layers": "1", "width": "4", "activation": "tanh", "seed": 0},
        {"points": [[0, 0, 0]], "layers": "99", "width": "4", "activation": "tanh", "seed": 0},
    ],
)
def test_a_wrong_input_to_a_demo_is_one_sentence(page: TestClient, given: object) -> None:
    answer = page.post(
        "/studies/spirals/try", json=given, headers=OURS | {"accept": "application/json"}
    )
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"] or "no JSON object" in answer.json()["error"]


def test_json_that_is_nested_without_end_is_one_sentence(page: TestClient) -> None:
    answer = page.post("/studies/spirals/try", content=b"[" * 200_000, headers=OURS)
    assert answer.status_code == 400
    assert "no JSON object" in answer.text


@pytest.mark.parametrize("origin", ["http://[", "http://testserver:x", "//testserver:80"])
def test_an_origin_that_is_none_is_refused(page: TestClient, origin: str) -> None:
    assert page.post("/trash/empty", headers={"origin": origin}).status_code == 403


def test_a_demo_without_a_trained_network_offers_to_train_one(page: TestClient) -> None:
    assert "Train it now" in page.get("/studies/digits/try").text


@pytest.mark.parametrize(
    ("control", "value"),
    [
        (Drawing("d", 2), [0, 1, 2]),
        (Drawing("d", 2), [0, 1, 2, 256]),
        (Drawing("d", 2), [0, 1, 2, True]),
        (Slider("s", 0, 1, 0), 2),
        (Slider("s", 0, 1, 0), "1"),
        (Slider("s", 0, 1, 0), float("nan")),
        (Choice("c", ["a"]), "b"),
        (Words("w"), " "),
        (Words("w", longest=3), "long"),
        (Points("p"), []),
    ],
)
def test_controls_refuse_what_they_do_not_offer(control: Drawing, value: object) -> None:
    with pytest.raises(UserError, match="expected"):
        control.read(value)


def test_answers_are_encoded() -> None:
    image = np.linspace(0, 1, 12).reshape(3, 4)
    answers = [
        Bars("b", {"x": 0.25}),
        Pictures("p", {"one": image}),
        Frames("f", [image], ["t"]),
        Tokens("t", [("w", 0.5)]),
        Grid("g", ["a"], ["b", "c"], image[:1, :2]),
        Said("s", "words"),
    ]
    kinds = [encoded(answer)["kind"] for answer in answers]
    assert kinds == ["bars", "pictures", "frames", "tokens", "grid", "said"]
    assert encoded(answers[4])["values"] == [[0.0, 0.091]]


def test_controls_stand_in_the_order_of_the_study(page: TestClient) -> None:
    shown = page.get("/studies/spirals/try").text
    assert sorted(
        ["points", "layers", "width", "activation"], key=lambda name: shown.index(f'"{name}": {{')
    ) == [
        "points",
        "layers",
        "width",
        "activation",
    ]


def test_a_link_names_the_run_whose_network_is_tried(tmp_path: Path) -> None:
    etude.run("digits", root=tmp_path, width=2, epochs=0.1, quiet=True)
    etude.run("digits", root=tmp_path, width=2, epochs=0.1, seed=1, quiet=True)
    one, two = (name.split("/")[1] for name in names(tmp_path))
    page = visitor(tmp_path)
    assert f'data-run="{two}"' in page.get("/studies/digits/try").text
    assert f'data-run="{one}"' in page.get(f"/studies/digits/try?run={one}").text
    given = {"drawing": [0] * 400 + [255] * 60 + [0] * 324}
    bars = [
        page.post(f"/studies/digits/try{query}", json=given, headers=OURS).json()[0]["values"]
        for query in ("", f"?run={two}", f"?run={one}")
    ]
    assert bars[0] == bars[1] != bars[2]
    assert page.get("/studies/digits/try?run=none").status_code == 404
    assert page.post("/studies/digits/try?run=..", json=given, headers=OURS).status_code == 404


def test_the_catalogue_needs_no_pytorch(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from starlette.testclient import TestClient;"
        "from etude.app.guard import Access; from etude.app.server import application;"
        f"page = TestClient(application(Path({str(root)!r}), Access('t', {{'testserver'}})));"
        "page.headers['cookie'] = 'etude-80=t'; assert page.get('/').status_code == 200;"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- colours ---------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2, of #rrggbb."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_meet_wcag_aa(scheme: str) -> None:
    static = Path(etude.__file__).parent / "app" / "static"
    css = (static / "style.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    named = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    for text in ("ink", "quiet", "accent", "good", "bad"):
        for ground in ("ground", "paper", "soft"):
            assert contrast(named[text], named[ground]) >= 4.5, (text, ground)
    assert contrast(named["on-accent"], named["accent"]) >= 4.5
    assert contrast(named["ink"], named["shade"]) >= 4.5  # text on the darkest shade
    assert contrast(named["accent"], named["ground"]) >= 3  # the ring of what has the focus
    assert contrast(named["edge"], named["paper"]) >= 3  # of fields and buttons
    for name in ("curves.js", "try.js"):
        for colour in re.findall(r'"(#[0-9a-f]{6})"', (static / name).read_text()):
            ground = (
                named["paper"] if name == "curves.js" else "#ffffff"
            )  # points are placed on white
            assert contrast(colour, ground) >= 3, (name, colour)

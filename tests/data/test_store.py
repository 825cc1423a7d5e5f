import contextlib
import gzip
import hashlib
import lzma
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from etude import data
from etude.data import download as downloads
from etude.data import store
from etude.data.sets import SETS, DataSet, Edition, File
from etude.errors import UserError

CONTENT = bytes(range(256)) * 2_000  # 512 kB


class Server(ThreadingHTTPServer):
    """Serves `content` at every address but /absent; what it was asked stands in `asked`."""

    daemon_threads = True

    def __init__(
        self, content=CONTENT, ranges=True, cut_at=(), encoding=None, changes=False, tags=False
    ):
        self.tags = tags
        self.older = bytes(len(content)) if changes else None  # what the first answer is of
        self.content, self.ranges, self.cut_at, self.encoding = (
            content,
            ranges,
            list(cut_at),
            encoding,
        )
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def url(self, name="file.bin"):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        if self.path == "/absent":
            return self.send_error(404)
        if self.path in SERVERS:
            self.close_connection = True
            with contextlib.suppress(OSError):  # whoever asked has hung up
                return SERVERS[self.path](self)
        start, content = 0, server.content
        if server.older:
            content, server.older = server.older, None
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        if self.headers.get("If-Range", tag) != tag:
            asked = None
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        else:
            self.send_response(200)
        if server.tags:
            self.send_header("ETag", tag)
        if server.encoding:
            self.send_header("Content-Encoding", server.encoding)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        end = server.cut_at.pop(0) if server.cut_at else len(content)
        self.wfile.write(content[start : max(start, end)])
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_):
        pass


def endless(handler):
    """More and more, and no word of how much."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(CONTENT)


def dripping(handler):
    """A byte now and then, so that no wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    for byte in CONTENT:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.01)


def crumbs(handler):
    """One byte a connection, from wherever is asked."""
    start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=")[:-1])
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("Content-Length", str(len(CONTENT) - start))
    handler.end_headers()
    handler.wfile.write(CONTENT[start : start + 1])


def nothing_there(handler):
    """No range can be had, not even the whole."""
    handler.send_response(416)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def elsewhere(handler):
    """The file is said to lie on the reader's own disk."""
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def in_circles(handler):
    handler.send_response(302)
    handler.send_header("Location", "/in_circles")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


SERVERS = {
    f"/{each.__name__}": each
    for each in (endless, dripping, crumbs, nothing_there, elsewhere, in_circles)
}


@pytest.fixture
def serve():
    servers = []

    def start(**how):
        servers.append(Server(**how))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def registered(monkeypatch):
    def register(*urls, content=CONTENT, name="file.bin"):
        files = (File(name, "md5:" + hashlib.md5(content).hexdigest(), len(content), urls),)
        monkeypatch.setitem(SETS, "toy", DataSet("toy", (Edition("official", files),), "", "", ""))

    return register


def left(home):
    return sorted(path.name for path in (home / "cache" / "toy").iterdir() if path.name != ".lock")


def test_a_fresh_download(home, serve, registered, capsys):
    server = serve()
    registered(server.url())
    path = data.locate("toy", "file.bin")
    assert path == home / "cache" / "toy" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert left(home) == ["file.bin"]
    assert "downloading file.bin (0.5 MB) from 127.0.0.1" in capsys.readouterr().err
    assert data.locate("toy", "file.bin") == path
    assert server.asked == [None]  # once


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(home, serve, registered, ranges):
    server = serve(ranges=ranges, cut_at=[100_000, 300_000])
    registered(server.url())
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert left(home) == ["file.bin"]
    assert server.asked == [None, "bytes=100000-", "bytes=300000-"]


def test_what_an_earlier_call_got_is_kept_and_used(home, serve, registered):
    server = serve(cut_at=[100_000] * 9)
    registered(server.url())
    with pytest.raises(UserError, match="cut after 100,000 bytes"):
        data.locate("toy", "file.bin")
    assert left(home) == ["file.bin.part"]
    other = serve()
    registered(other.url())
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert other.asked == ["bytes=100000-"]


@pytest.mark.parametrize("stale", [b"x" * 1000, CONTENT, CONTENT + b"more", b""])
@pytest.mark.parametrize("ranges", [True, False])
def test_whatever_lies_in_the_part_file(home, serve, registered, stale, ranges):
    registered(serve(ranges=ranges).url())
    (home / "cache" / "toy").mkdir(parents=True)
    (home / "cache" / "toy" / "file.bin.part").write_bytes(stale)
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert left(home) == ["file.bin"]


def test_a_wrong_checksum_leaves_nothing(home, serve, registered):
    wrong = b"!" * len(CONTENT)
    registered(serve(content=wrong).url())
    with pytest.raises(UserError, match=r"file\.bin from 127") as error:
        data.locate("toy", "file.bin")
    for content in (CONTENT, wrong):
        assert hashlib.md5(content).hexdigest() in str(error.value)
    assert "\n" not in str(error.value)
    assert left(home) == []


def test_the_next_address_is_tried(serve, registered):
    broken, good = serve(content=b"!"), serve()
    registered("http://127.0.0.1:9/refused", broken.url("absent"), broken.url(), good.url())
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (endless, "is not what it should be: expected 512,000 bytes but more came"),
        (dripping, r"only \d+ bytes in"),
        (crumbs, "the connection was cut after 3 bytes"),
        (nothing_there, "416"),
        (elsewhere, "an address that is not of http or https"),
        (in_circles, "from address to address without end"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_server_is_one_sentence_and_the_next_one_is_asked(
    home, serve, registered, monkeypatch, server, reason
):
    monkeypatch.setattr(downloads, "PATIENCE", 0.1)
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds, sleep=time.sleep: sleep(0.01))
    bad = serve()
    registered(bad.url(server.__name__))
    with pytest.raises(UserError, match=reason) as error:
        data.locate("toy", "file.bin")
    assert "\n" not in str(error.value)
    assert len(bad.asked) <= 31
    kept = sum(path.stat().st_size for path in (home / "cache" / "toy").glob("*.part"))
    assert kept < len(CONTENT)
    registered(bad.url(server.__name__), serve().url())
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert left(home) == ["file.bin"]


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changes_between_two_pieces_comes_whole(home, serve, registered, tags):
    server = serve(cut_at=[100_000, len(CONTENT)], changes=True, tags=tags)
    registered(server.url())
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert len(server.asked) == (2 if tags else 3)


def test_another_length_is_noticed_before_anything_is_fetched(home, serve, registered):
    server = serve(content=CONTENT * 2)
    registered(server.url())
    with pytest.raises(UserError, match="expected 512,000 bytes but got 1,024,000"):
        data.locate("toy", "file.bin")
    assert left(home) == []


def test_no_link_is_written_through(home, serve, registered):
    mine = home / "mine.txt"
    mine.write_text("mine")
    registered(serve().url())
    part = home / "cache" / "toy" / "file.bin.part"
    part.parent.mkdir(parents=True)
    part.symlink_to(mine)
    assert data.locate("toy", "file.bin").read_bytes() == CONTENT
    assert mine.read_text() == "mine"
    assert left(home) == ["file.bin"]
    assert not (home / "cache" / "toy" / "file.bin").is_symlink()


def test_no_network_is_one_sentence_that_says_what_to_do(home, serve, registered):
    registered("http://127.0.0.1:9/file.bin", serve().url("absent"))
    with pytest.raises(UserError) as error:
        data.obtain("toy")
    text = str(error.value)
    for part in (
        "'toy' lacks file.bin",
        "no connection",
        "404 Not Found",
        "$ETUDE_DATA/toy/file.bin",
        "data fetch toy",
    ):
        assert part in text
    assert str(home / "data" / "toy" / "file.bin") in text
    assert "\n" not in text
    assert left(home) == []


def test_a_gz_is_stored_as_it_is_sent(serve, registered):
    packed = gzip.compress(CONTENT)
    registered(serve(content=packed, encoding="gzip").url(), content=packed)
    assert data.locate("toy", "file.bin").read_bytes() == packed


def test_a_cache_that_cannot_be_written(home, serve, registered, monkeypatch):
    registered(serve().url())
    (home / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cache.*cannot be written"):
        data.locate("toy", "file.bin")


def test_a_full_disk(home, serve, registered, monkeypatch):
    registered(serve().url())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.os, "fsync", full)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        data.locate("toy", "file.bin")
    assert left(home) == ["file.bin.part"]


def test_several_processes_download_once(home, serve, registered):
    server = serve()
    registered(server.url())
    threads = [threading.Thread(target=data.fetch, args=("toy",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (home / "cache" / "toy" / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None]


def test_fetch_mends_a_damaged_file_in_the_cache(home, serve, registered):
    registered(serve().url())
    path = data.fetch("toy").paths["file.bin"]
    path.write_bytes(b"damaged")
    assert [state.intact for state in data.verify("toy")] == [False]
    data.fetch("toy")
    assert [state.intact for state in data.verify("toy")] == [True]


def test_the_users_folder_goes_before_the_cache_and_is_not_checked(home, registered):
    registered()
    for place in ("cache", "data"):
        (home / place / "toy").mkdir(parents=True)
        (home / place / "toy" / "file.bin").write_bytes(place.encode())
    assert data.locate("toy", "file.bin").read_bytes() == b"data"
    assert data.fetch("toy").paths["file.bin"].read_bytes() == b"data"
    (state,) = data.present("toy")
    assert (state.bytes, state.intact) == (4, None)
    assert [state.intact for state in data.verify("toy")] == [False]


def test_fetch_asks_for_nothing_where_another_complete_form_is_there(home):
    folder = home / "data" / "cifar-10"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}.xz" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(b"")
    assert data.fetch("cifar-10").edition.name == "its batches"


def test_present_says_what_is_missing():
    states = data.present("mnist")
    assert len(states) == 4
    assert all(state.path is None and state.bytes is None for state in states)
    assert [state.intact for state in data.verify("mnist")] == [False] * 4


def test_an_xz_is_verified_by_its_content(home, monkeypatch):
    file = File("part", "md5:" + hashlib.md5(CONTENT).hexdigest(), also=("part.xz",))
    monkeypatch.setitem(SETS, "toy", DataSet("toy", (Edition("official", (file,)),), "", "", ""))
    (home / "data" / "toy").mkdir(parents=True)
    path = home / "data" / "toy" / "part.xz"
    path.write_bytes(lzma.compress(CONTENT))
    assert data.verify("toy")[0].intact is True
    path.write_bytes(lzma.compress(CONTENT)[:300])
    assert data.verify("toy")[0].intact is False


def test_wrong_names_suggest_the_right_one():
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        data.present("mnits")
    with pytest.raises(UserError, match=r"did you mean 'train\.csv'"):
        data.locate("ag-news", "trian.csv")


def test_without_the_users_folder(home, monkeypatch, registered):
    monkeypatch.delenv("ETUDE_DATA")
    registered("http://127.0.0.1:9/file.bin")
    assert store.data_folder() is None
    with pytest.raises(UserError, match=r"\$ETUDE_DATA/toy/file.bin, or run"):
        data.obtain("toy")


def test_the_registry_is_whole():
    for name, entry in SETS.items():
        assert entry.name == name
        assert entry.editions[0].complete
        for file in entry.files:
            assert file.urls or name in (
                "bccd",
                "camvid",
                "nerf-lego",
            )  # made of many files; not online in one
            assert file.bytes
            assert len(file.checksum) == len("md5:") + 32
        assert entry.homepage.startswith("https://")
        assert entry.source
        assert entry.licence

"""One file from the network: resumed where it was cut, checked before it gets its name."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from etude.errors import UserError, printable

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte
TRIES = 3  # in a row without a new byte
BLOCK = 1 << 16


class Unreachable(Exception):
    """No address gave the file; the message says why, address by address."""


def download(urls: Sequence[str], path: Path, checksum: str) -> None:
    """Get `path` from the first of `urls` that has it, and check it (``"md5:…"`` or
    ``"sha256:…"``).

    What has come is kept in ``<path>.part``; a later call goes on from there, by an HTTP Range
    request. `path` itself appears, at once and whole, only when the checksum is right. If it is
    there already and right, nothing is done.

    Raises
    ------
    Unreachable
        if no address could be reached or gave the file (the ``.part`` stays for a later call)
    UserError
        if what came is not the file (the ``.part`` is removed), or the disk cannot hold it
    """
    from requests import RequestException

    reasons: list[str] = []
    wrong: str | None = None
    for url in urls:
        host = urlsplit(url).netloc
        try:
            wrong = _retrieve(url, path, checksum)
        except RequestException as error:
            reasons.append(f"{host}: {_why(error)}")
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
        else:
            if wrong is None:
                return
    if wrong is not None:
        raise UserError(
            f"{wrong}; it was removed, nothing is left of it: try again later, or put the file"
            " there yourself"
        )
    raise Unreachable("; ".join(reasons) or "no address is known for it")


def _retrieve(url: str, path: Path, checksum: str) -> str | None:
    """Download, check and rename by pooch; what is wrong with the checksum, or None."""
    import pooch

    part = path.with_name(path.name + ".part")

    def resume(url: str, output: str, _: object) -> None:
        _stream(url, part)
        part.replace(output)  # a temporary name of pooch's, in the same folder

    pooch.get_logger().setLevel("WARNING")
    while True:
        resumed = part.exists()
        try:
            pooch.retrieve(url, checksum, path.name, path.parent, downloader=resume)
            return None
        except ValueError as error:  # a wrong checksum: pooch has removed the file
            if not resumed:
                return (
                    f"{path.name} from {urlsplit(url).netloc} is not what it should be:"
                    f" {_checksums(error)}"
                )


def _checksums(error: ValueError) -> str:
    """``"expected md5:… but got …"`` out of pooch's message."""
    text = str(error).partition(". Deleted")[0]
    return text[text.find("expected") :] if "expected" in text else text


def _stream(url: str, part: Path) -> None:
    """Append to `part` all that `url` has beyond it, over as many connections as that takes."""
    import requests
    import urllib3

    failures = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:  # nothing beyond: it is whole, or it is not this file
                if response.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return
                part.unlink()
                continue
            response.raise_for_status()
            if response.status_code != 206 or not response.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {have}-"):
                have = 0  # the server sends the whole file
            length = response.headers.get("Content-Length")
            total = have + int(length) if length is not None and length.isdigit() else None
            try:
                got = have + _save(response, part, have, total)
                cut: Exception | None = None
            except urllib3.exceptions.HTTPError as error:
                got, cut = part.stat().st_size, error
        if cut is None and (total is None or got == total):
            return
        failures = 0 if got > have and response.status_code == 206 else failures + 1
        if failures == TRIES:
            raise requests.ConnectionError(f"the connection was cut after {got:,} bytes") from cut
        time.sleep(0.2 * failures)


def _save(response: Response, part: Path, have: int, total: int | None) -> int:
    """Write the body behind the first `have` bytes of `part`, with a bar on a terminal; how many
    bytes came.
    """
    from tqdm import tqdm

    name, shown = part.name.removesuffix(".part"), sys.stderr.isatty()
    if not shown:
        size = "" if total is None else f" ({total / 1e6:,.1f} MB)"
        server = printable(urlsplit(response.url).netloc)
        print(f"downloading {name}{size} from {server}", file=sys.stderr)
    bar: Any = tqdm(
        total=total,
        initial=have,
        desc=name,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        disable=not shown,
    )
    came = 0
    with part.open("ab" if have else "wb") as file, bar:
        # As it is on the wire: a server that calls a .gz file "encoded" must not have it unpacked.
        for block in response.raw.stream(BLOCK, decode_content=False):
            file.write(block)
            came += len(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    return came


def _why(error: Exception) -> str:
    """A few words for what requests says in many."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection"
    if isinstance(error, requests.ConnectionError):
        return str(error) if str(error).startswith("the connection was cut") else "no connection"
    return str(error) or type(error).__name__

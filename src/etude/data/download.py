"""One file from the network: resumed where it was cut, checked before it gets its name."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from etude.errors import UserError, printable

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte
TRIES = 3  # in a row without ENOUGH new bytes
ENOUGH = 1 << 16  # bytes that a connection brings before the next one counts as a new start
PATIENCE = 60.0  # seconds over which the speed is taken
SLOWEST = 1_000  # bytes a second
BLOCK = 1 << 16


class Unreachable(Exception):
    """No address gave the file; the message says why, address by address."""


class _AnotherFile(Exception):
    """What the server offers has another length than the file."""


def download(urls: Sequence[str], path: Path, checksum: str, size: int | None = None) -> None:
    """Get a file from the first address that has it, and check it.

    What has come is kept in ``<path>.part``; a later call goes on from there, by an HTTP Range
    request. ``path`` itself appears, at once and whole, only when the checksum is right. If it is
    there already and right, nothing is done.

    Args:
        urls: the addresses, asked in this order.
        path: where the file is put; its folder is there.
        checksum: of the whole file, ``"md5:…"`` or ``"sha256:…"``.
        size: of the whole file in bytes, where it is known; no more than that is ever taken.

    Raises:
        Unreachable: no address could be reached or gave the file; the ``.part`` stays for a later
            call.
        UserError: what came is not the file (the ``.part`` is removed), or the disk can't hold it.
    """
    from requests import RequestException

    part = path.with_name(path.name + ".part")
    reasons: list[str] = []
    wrong: str | None = None
    try:
        if path.exists() and _matches(path, checksum):
            return
        for url in urls:
            host = urlsplit(url).netloc
            try:
                wrong = _retrieve(url, part, checksum, size)
            except RequestException as error:
                reasons.append(f"{host}: {_why(error)}")
                continue
            if wrong is None:
                part.replace(path)
                return
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    if wrong is not None:
        raise UserError(
            f"{wrong}; it was removed, nothing is left of it: try again later, or put the file"
            " there yourself"
        )
    raise Unreachable("; ".join(reasons) or "no address is known for it")


def _retrieve(url: str, part: Path, checksum: str, size: int | None) -> str | None:
    """Download and check; what is wrong with the file that came, which is removed, or None."""
    name, host = part.name.removesuffix(".part"), urlsplit(url).netloc
    for _ in range(2):
        try:
            in_pieces = _stream(url, part, size)
        except _AnotherFile as error:
            part.unlink(missing_ok=True)
            return f"{name} from {host} is not what it should be: {error}"
        if _matches(part, checksum):
            return None
        got = _digest(part, checksum)
        part.unlink()
        if not in_pieces:
            break  # else an old piece may be of another file: once more, from its beginning
    return f"{name} from {host} is not what it should be: expected {checksum} but got {got}"


def _matches(path: Path, checksum: str) -> bool:
    return _digest(path, checksum) == checksum


def _digest(path: Path, checksum: str) -> str:
    """The checksum of a file, by the algorithm of the one that it should have."""
    algorithm = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _stream(url: str, part: Path, size: int | None) -> bool:
    """Append to ``part`` all that ``url`` has beyond it, over as many connections as that takes.

    Returns:
        Whether the file was put together from the answers of several requests.
    """
    import requests
    import urllib3

    failures = 0
    version: str | None = None  # of the file at this address, by its ETag or its date
    in_pieces = False
    while True:
        have = _length(part)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version  # the whole file, if it has changed since
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and have:
                if response.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return True  # nothing beyond: it is whole, or it is not this file
                part.unlink()
                continue
            response.raise_for_status()
            if response.status_code != 206 or not response.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {have}-"):
                have = 0  # the server sends the whole file
            in_pieces = have > 0
            version = _version(response)
            length = response.headers.get("Content-Length")
            total = have + int(length) if length is not None and length.isdigit() else size
            if size is not None and total != size:
                raise _AnotherFile(f"expected {size:,} bytes but got {total:,}")
            try:
                got = have + _save(response, part, have, total)
                cut: Exception | None = None
            except (urllib3.exceptions.HTTPError, requests.Timeout) as error:
                got, cut = _length(part), error
        if cut is None and (total is None or got == total):
            return in_pieces
        progress = response.status_code == 206 and got - have >= ENOUGH
        failures = 0 if progress else failures + 1
        if failures == TRIES:
            if isinstance(cut, requests.Timeout):
                raise cut
            raise requests.ConnectionError(f"the connection was cut after {got:,} bytes") from cut
        time.sleep(0.2 * failures)


def _version(response: Response) -> str | None:
    """What says in an ``If-Range`` that it is still the same file: a strong ETag, else the date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _length(part: Path) -> int:
    """The bytes that are there; 0 where nothing is. A link or a pipe of that name is removed."""
    try:
        status = part.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(status.st_mode):
        part.unlink()
        return 0
    return status.st_size


def _opened(part: Path, have: int) -> IO[bytes]:
    """The file, to be written behind its first ``have`` bytes, and never through a link."""
    beginning = 0 if have else os.O_TRUNC
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | beginning | careful, 0o666)
    return os.fdopen(file, "ab")


def _save(response: Response, part: Path, have: int, total: int | None) -> int:
    """Write the body behind the first ``have`` bytes of ``part``, with a bar on a terminal.

    Returns:
        How many bytes came.

    Raises:
        _AnotherFile: the body is longer than ``total``.
        requests.Timeout: less than ``SLOWEST`` bytes a second came for ``PATIENCE`` seconds.
    """
    import requests
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
    since, before = time.monotonic(), 0
    with _opened(part, have) as file, bar:
        # As it is on the wire: a server that calls a .gz file "encoded" must not have it unpacked.
        # And as it comes: a whole block of a server that drips may take days.
        while block := response.raw.read1(BLOCK, decode_content=False):
            came += len(block)
            if total is not None and have + came > total:
                raise _AnotherFile(f"expected {total:,} bytes but more came")
            file.write(block)
            bar.update(len(block))
            if (passed := time.monotonic() - since) >= PATIENCE:
                if came - before < SLOWEST * passed:
                    raise requests.Timeout(f"only {came - before:,} bytes in {passed:.0f} s")
                since, before = time.monotonic(), came
        file.flush()
        os.fsync(file.fileno())
    return came


def _why(error: Exception) -> str:
    """A few words for what requests says in many."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return str(error) if str(error).startswith("only") else "no answer in time"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "it leads to an address that is not of http or https"
    if isinstance(error, requests.TooManyRedirects):
        return "it leads from address to address without end"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection"
    if isinstance(error, requests.ConnectionError):
        return str(error) if str(error).startswith("the connection was cut") else "no connection"
    return printable(str(error)) or type(error).__name__

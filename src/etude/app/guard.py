"""Who may ask the page for anything: those who know its token, by a name that is its own.

A server on loopback can be reached by every user of the machine, and by any site that a visitor
has open. So three things are asked of a request: the token, which only those know who see where the
page was started; a name by which this machine is meant, for another site may have its own name lead
here; and of what changes anything, that it comes from the page itself.
"""

from __future__ import annotations

import html
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etude.errors import UserError

LARGEST = 256 * 1024  # bytes of one request: a drawing is 3 kB
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'"
        " data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FOREIGN = {
    "content-security-policy": (
        "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none';"
        " base-uri 'none'; frame-ancestors 'none'"
    )
}
"""Of what lies in a run's folder, which may be a stranger's: it is shown, and can do nothing, least
of all in the page's name."""

CLOSED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Etude</title>
<body style="font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto">
<h1>{title}</h1>
<p>{sentence}</p>
"""
ENTERED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={address}">
<title>Etude</title><body><p><a href="{address}">Open the page</a></p>
"""
NO_TOKEN = (
    "This page is opened by its whole address, with the token in it: the one that 'etude app'"
    " printed where it was started, as in http://127.0.0.1:7860/?token=…. It is another each time"
    " that the page is started."
)


@dataclass(frozen=True)
class Access:
    """What a request must know and how it must ask.

    Args:
        token: which the address of a first request holds, and a cookie of all others.
        hosts: the names by which the page may be asked for.
        addresses: whether it may be asked for by any address in numbers, too; what another site can
            have led here is only ever a name.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    hosts: frozenset[str] = LOOPBACK
    addresses: bool = False

    @classmethod
    def at(cls, host: str) -> Access:
        """Of a page that answers at ``host``, with a new token.

        It may be asked for by the host that was named. Where that is every address of this machine,
        by any of them and by the machine's own names.
        """
        if host in LOOPBACK:
            return cls()
        if host in ("", "0.0.0.0", "::"):
            names = {socket.gethostname().lower(), socket.getfqdn().lower()}
            return cls(hosts=LOOPBACK | names, addresses=True)
        return cls(hosts=frozenset({host.lower()}))

    def known(self, host: str) -> bool:
        """Whether the page is meant by the name and port in a ``Host`` header."""
        name, _ = _host(host)
        if not self.addresses or name in self.hosts:
            return name in self.hosts
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def right(self, token: str) -> bool:
        """Whether a token is the page's."""
        return secrets.compare_digest(token.encode(), self.token.encode())

    def cookie(self, host: str) -> str:
        """The name of the cookie that holds the token. Cookies are shared among all ports of a
        name, so the port is part of it: several pages can be open at once.
        """
        return f"etude-{_host(host)[1]}"


class Guard:
    """Refuses what :class:`Access` does not allow, and what is too large; sets the headers that
    browsers obey.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self.answer(Request(scope))
        if answer is not None:
            answer.headers.update(HEADERS | {"cache-control": "no-store"})
            await answer(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                raise UserError(f"the request is larger than {LARGEST // 1024} kB")
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, limited, with_headers)

    def answer(self, request: Request) -> Response | None:
        """The answer to a request that does not reach the page: it is refused, or brings the token
        for the first time. None where it does reach it.
        """
        host = request.headers.get("host", "")
        if not self.access.known(host):
            return PlainTextResponse(f"This page is not to be asked for by the name {host!r}.", 403)
        given = request.query_params.get("token")
        if given is not None and self.access.right(given) and request.method == "GET":
            return self._entered(request, host)
        if not self.access.right(request.cookies.get(self.access.cookie(host), "")):
            return _closed(request)
        if request.method in ("GET", "HEAD"):
            return None
        if _netloc(request.headers.get("origin", "")) != host:
            return PlainTextResponse("This request does not come from the page itself.", 403)
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > LARGEST:
            return PlainTextResponse(f"The request is larger than {LARGEST // 1024} kB.", 403)
        return None

    def _entered(self, request: Request, host: str) -> Response:
        """Keep the token in a cookie, and lead on to the same address without it.

        The page leads on by itself: after a mere redirect from another site's link, a browser would
        keep a strict cookie back.
        """
        path = "/" + quote(request.url.path.lstrip("/"), safe="/")
        rest = [(k, v) for k, v in parse_qsl(request.url.query) if k != "token"]
        address = path + (f"?{urlencode(rest)}" if rest else "")
        answer = HTMLResponse(ENTERED.format(address=html.escape(address)))
        name, token = self.access.cookie(host), self.access.token
        answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
        return answer


def _closed(request: Request) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": NO_TOKEN}, 403)
    return HTMLResponse(CLOSED.format(title="Closed", sentence=html.escape(NO_TOKEN)), 403)


def _host(host: str) -> tuple[str, int]:
    """Name and port of a ``Host`` header; an empty name where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port or 80
    except ValueError:
        return "", 80


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def page_address(host: str, port: int, access: Access) -> str:
    """The address that opens the page."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?token={access.token}"

"""The server: which address shows what.

Pages and answers are made in :mod:`etude.app.pages` and ``trying``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etude.app.pages import Pages
from etude.app.trying import Trying
from etude.errors import UserError

LARGEST = 256 * 1024  # bytes of one request: a drawing is 3 kB
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'"
        " data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def application(root: Path, hosts: frozenset[str] | None = None) -> Starlette:
    """The page, over the runs in ``root``.

    Args:
        root: the folder of all runs.
        hosts: the names by which it may be asked; None: any.
    """
    trying = Trying(root)
    pages = Pages(root, trying)
    routes = [
        Route("/", pages.catalogue),
        Route("/studies/{study}", pages.study),
        Route("/studies/{study}/runs", pages.start, methods=["POST"]),
        Route("/studies/{study}/picture", pages.picture),
        Route("/studies/{study}/try", pages.demo),
        Route("/studies/{study}/try", trying.answer, methods=["POST"]),
        Route("/runs", pages.runs),
        Route("/runs/{study}/{run}", pages.run),
        Route("/runs/{study}/{run}/live", pages.live),
        Route("/runs/{study}/{run}/report", pages.report),
        Route("/runs/{study}/{run}/figures/{file}", pages.figure),
        Route("/runs/{study}/{run}/export/{kind}", pages.export),
        Route("/runs/{study}/{run}/{act}", pages.act, methods=["POST"]),
        Route("/compare", pages.compare),
        Route("/compare/curves", pages.compared_curves),
        Route("/trash", pages.trash),
        Route("/trash/empty", pages.empty_trash, methods=["POST"]),
        Route("/trash/{study}/{run}/restore", pages.restore, methods=["POST"]),
        Route("/favicon.ico", icon),
        Mount("/static", StaticFiles(packages=[("etude.app", "static")])),
    ]
    middleware = [Middleware(Guard, hosts=hosts), Middleware(GZipMiddleware, minimum_size=1_000)]

    async def told(request: Request, error: Exception) -> Response:
        return pages.trouble(request, str(error), 400)

    async def missing(request: Request, error: Exception) -> Response:
        return pages.trouble(request, "There is no such page.", 404)

    handlers: dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        UserError: told,
        404: missing,
    }
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


class Guard:
    """Refuses what does not come from the page itself, and what is too large; sets the headers that
    browsers obey.

    A server on loopback can be reached by any site that the visitor has open. So a request that
    changes anything must come from this page (its ``Origin`` is ours), and a name that was rebound
    to 127.0.0.1 is not answered.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refused = self.refuse(request)
        if refused:
            await PlainTextResponse(refused, 403, HEADERS)(scope, receive, send)
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

    def refuse(self, request: Request) -> str:
        """Why a request is refused; empty where it is not."""
        host = request.headers.get("host", "")
        if self.hosts is not None and urlsplit(f"//{host}").hostname not in self.hosts:
            return f"This page is not to be asked for by the name {host!r}."
        if request.method in ("GET", "HEAD"):
            return ""
        origin = request.headers.get("origin", "")
        if urlsplit(origin).netloc != host:
            return "This request does not come from the page itself."
        length = request.headers.get("content-length", "0")
        return (
            f"The request is larger than {LARGEST // 1024} kB."
            if int(length or 0) > LARGEST
            else ""
        )


def icon(request: Request) -> Response:
    """The icon, where browsers look on their own: on a report, or a page that is left before its
    head is read.
    """
    return FileResponse(Path(__file__).parent / "static" / "icon.svg", media_type="image/svg+xml")


def serve(root: Path, host: str, port: int, opened: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; ``opened`` is told the address once it answers.

    Raises:
        UserError: the port is taken.
    """
    import socket

    import uvicorn

    own = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind((host, port))
        own.listen(128)  # from here on a visitor waits rather than being turned away
    except OSError as error:
        own.close()
        raise UserError(
            f"port {port} of {host} can't be used: {error.strerror}; name another with --port"
        ) from None
    loopback = host in ("127.0.0.1", "localhost", "::1")
    hosts = frozenset({"127.0.0.1", "localhost", "::1"}) if loopback else None
    config = uvicorn.Config(
        application(root, hosts), log_level="warning", access_log=False, timeout_graceful_shutdown=3
    )
    shown = f"[{host}]" if ":" in host else host
    opened(f"http://{shown}:{own.getsockname()[1]}/")
    uvicorn.Server(config).run(sockets=[own])

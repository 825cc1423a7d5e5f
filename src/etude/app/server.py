"""The server: which address shows what.

Pages and answers are made in :mod:`etude.app.pages` and ``trying``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from etude.app.courses import Courses
from etude.app.guard import Access, Guard, page_address
from etude.app.pages import Pages
from etude.app.trying import Trying
from etude.errors import UserError


def application(root: Path, access: Access) -> Starlette:
    """The page, over the runs in ``root``.

    Args:
        root: the folder of all runs.
        access: who may ask for it.
    """
    trying = Trying(root)
    pages = Pages(root, trying)
    courses = Courses(pages)
    routes = [
        Route("/", pages.catalogue),
        Route("/studies/{study}", pages.study),
        Route("/studies/{study}/runs", pages.start, methods=["POST"]),
        Route("/studies/{study}/picture", pages.picture),
        Route("/studies/{study}/try", pages.demo),
        Route("/studies/{study}/try", trying.answer, methods=["POST"]),
        Route("/courses", courses.all_of_them),
        Route("/courses/{course}", courses.one),
        Route("/runs", pages.runs),
        Route("/runs/{study}/{run}", pages.run),
        Route("/runs/{study}/{run}/live", pages.live),
        Route("/runs/{study}/{run}/report", pages.report),
        Route("/runs/{study}/{run}/figures/{file}", pages.figure),
        Route("/runs/{study}/{run}/export/{kind}", pages.export),
        Route("/runs/{study}/{run}/{act}", pages.act, methods=["POST"]),
        Route("/waiting/{number:int}/drop", pages.take_out, methods=["POST"]),
        Route("/compare", pages.compare),
        Route("/compare/curves", pages.compared_curves),
        Route("/trash", pages.trash),
        Route("/trash/empty", pages.empty_trash, methods=["POST"]),
        Route("/trash/{study}/{run}/restore", pages.restore, methods=["POST"]),
        Route("/favicon.ico", icon),
        Mount("/static", StaticFiles(packages=[("etude.app", "static")])),
    ]
    middleware = [Middleware(Guard, access=access), Middleware(GZipMiddleware, minimum_size=1_000)]

    async def told(request: Request, error: Exception) -> Response:
        return pages.trouble(request, str(error), 400)

    async def missing(request: Request, error: Exception) -> Response:
        return pages.trouble(request, "There is no such page.", 404)

    handlers: dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        UserError: told,
        404: missing,
    }
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def icon(request: Request) -> Response:
    """The icon, where browsers look on their own: on a report, or a page that is left before its
    head is read.
    """
    return FileResponse(Path(__file__).parent / "static" / "icon.svg", media_type="image/svg+xml")


def serve(root: Path, host: str, port: int, opened: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; ``opened`` is told the address, with the token, once it answers.

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
    access = Access.at(host)
    config = uvicorn.Config(
        application(root, access),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    opened(page_address(host, own.getsockname()[1], access))
    uvicorn.Server(config).run(sockets=[own])

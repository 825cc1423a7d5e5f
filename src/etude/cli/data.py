"""Data sets: which are here, where from; fetch and verify them.

Without a word more: a table of all sets. They are looked for in $ETUDE_DATA/<set>, then in the
cache.
"""

from __future__ import annotations

import argparse
from typing import Any

from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, print_table
from etude.data.sets import SETS
from etude.data.store import (
    Status,
    cache_folder,
    data_folder,
    data_set,
    fetch,
    find,
    present,
    verify,
)
from etude.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude data``."""
    parser.add_argument(
        "action", nargs="?", help="fetch: download a set; verify: compare checksums"
    )
    parser.add_argument("set", nargs="?", help=f"one of {', '.join(SETS)}")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(options: argparse.Namespace) -> int:
    """Print, fetch or verify."""
    if options.action not in (None, "fetch", "verify"):
        raise UserError(
            f"etude data can't '{options.action}'; expected fetch SET, verify [SET] or nothing"
        )
    if options.action == "fetch":
        if not options.set:
            raise UserError(f"fetch which set? There is {', '.join(SETS)}")
        found = fetch(options.set)
        for path in found.paths.values():
            echo(path)
        return 0
    if options.action == "verify":
        return check(options)
    rows = [row(name) for name in SETS]
    if options.json:
        echo_json(rows)
        return 0
    columns = [
        Column("set", accent=True),
        Column("here", wrap=True),
        Column("size", right=True),
        Column("where", wrap=True, drop=1),
    ]
    print_table(
        columns,
        [[r["set"], r["here"], size(r["bytes"]), r["folder"] or r["homepage"]] for r in rows],
    )
    echo(f"$ETUDE_DATA: {data_folder() or 'not set'} · cache: {cache_folder()}")
    echo("'etude data fetch SET' downloads one. The quick scale of every study needs none.")
    return 0


def row(name: str) -> dict[str, Any]:
    """What is there of one set."""
    entry, found, files = data_set(name), find(name), present(name)
    there = [status for status in files if status.path]
    missing = "no" if not there else f"{len(there)} of {len(files)} files"
    return {
        "set": name,
        "here": found.edition.name if found else missing,
        "complete": bool(found and found.edition.complete),
        "bytes": (
            sum(status.bytes or 0 for status in there)
            if found
            else sum(f.bytes or 0 for f in entry.files)
        ),
        "folder": str(there[0].path.parent) if there and there[0].path else None,
        "homepage": entry.homepage,
        "source": entry.source,
        "licence": entry.licence,
    }


def check(options: argparse.Namespace) -> int:
    """Compare the checksums of one set, or of all that are here; exit code 1 where a file
    is wrong.
    """
    names = [data_set(options.set).name] if options.set else [name for name in SETS if find(name)]
    states = [state for name in names for state in verify(name)]
    if options.json:
        plain = [
            {**vars(state), "path": str(state.path) if state.path else None} for state in states
        ]
        echo_json(plain)
    elif not states:
        echo("no data set is here; 'etude data fetch SET' downloads one")
    else:
        columns = [
            Column("set", accent=True),
            Column("file", wrap=True),
            Column("size", right=True, drop=1),
            Column("checksum", wrap=True),
        ]
        print_table(columns, [[s.set, s.file, size(s.bytes), verdict(s)] for s in states])
    return int(any(state.intact is False for state in states))


def verdict(state: Status) -> str:
    """In words, what is to be said of one file."""
    if state.path is None:
        return "✗ not here"
    if state.intact is None:
        return f"no checksum is known  {state.path}"
    return (
        f"{'✓' if state.intact else '✗ wrong checksum: remove it and fetch the set again'} "
        f" {state.path}"
    )


def size(count: object) -> str:
    """Bytes in MB."""
    return f"{count / 1e6:,.1f} MB" if isinstance(count, int) and count else ""

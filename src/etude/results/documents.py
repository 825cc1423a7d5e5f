"""What was measured, as the documents show it: the README's overview, the page of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etude.catalogue import in_order
from etude.claims import INTERVAL, Claim, Control
from etude.entry import Entry

FEATURED = (  # what the README shows: of each topic one at least
    "spirals",
    "optimizers",
    "digits",
    "cifar",
    "gpt",
    "diffusion",
    "dqn",
    "gcn",
)


def featured(entries: Sequence[Entry]) -> list[Entry]:
    """Those studies that the README shows; ``docs/results.md`` has all."""
    return [entry for entry in entries if entry.name in FEATURED]


def rows(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Claim, dict[str, Any], dict[str, Any]]]:
    """``(study, claim, what was measured of the scale, and of the claim)``; the last two are empty
    where nothing was.

    What was measured against another bound does not count.
    """
    for entry in in_order(entries):
        order = list(entry.scales)
        for claim in sorted(
            entry.claims, key=lambda claim: order.index(claim.scale) if claim.scale in order else 99
        ):
            of_scale = entry.measured.get(claim.scale, {})
            found = [
                m
                for m in of_scale.get("claims", [])
                if (m["metric"], m["bound"], m["each"]) == (claim.metric, claim.bound, claim.each)
            ]
            yield entry, claim, of_scale if found else {}, found[0] if found else {}


def table(entries: Sequence[Entry]) -> str:
    """Every claim of every scale, as Markdown."""
    lines = [
        "| study | scale | claim | measured | | time | source |",
        "|---|---|---|---|---|---:|---|",
    ]
    for entry, claim, of_scale, found in rows(entries):
        claimed = (
            f"{claim.name} {claim.bound}, {'each of' if claim.each else 'mean of'} {claim.seeds}"
        )
        measured, mark, time = "not yet measured", "", ""
        if found:
            measured, mark, time = (
                found["measured"],
                _mark(claim, found),
                _duration(of_scale["seconds"]),
            )
        cells = [f"`{entry.name}`", claim.scale, claimed, measured, mark, time, claim.source]
        lines.append(" | ".join(["", *[cell.replace("|", "\\|") for cell in cells], ""]).strip())
    return "\n".join(lines)


def overview(entries: Sequence[Entry]) -> str:
    """The README's Markdown table: one row a study; what its first quick claim measured, and which
    scales hold.
    """
    lines = [
        "| study | what it is | measured at quick | holds | time | other scales |",
        "|---|---|---|---|---:|---|",
    ]
    by_study: dict[str, list[tuple[Entry, Claim, dict[str, Any], dict[str, Any]]]] = {}
    for row in rows(entries):
        by_study.setdefault(row[0].name, []).append(row)
    for name, claimed in by_study.items():
        entry, quick = claimed[0][0], [row for row in claimed if row[1].scale == "quick"]
        first, time = "not yet", ""
        if quick and quick[0][3]:
            _, claim, of_scale, found = quick[0]
            first, time = (
                f"{claim.metric} {found['measured']} ({claim.bound})",
                _duration(of_scale["seconds"]),
            )
        others = []
        for scale in [scale for scale in entry.scales if scale != "quick"]:
            there = [row for row in claimed if row[1].scale == scale]
            if there:
                _, claim, _, found = there[0]
                others.append(
                    f"{scale}: {found['measured']} {_mark(claim, found)}"
                    if found
                    else f"{scale}: not yet"
                )
        cells = [f"`{name}`", entry.title, first, _holding(quick), time, "; ".join(others)]
        lines.append(" | ".join(["", *[cell.replace("|", "\\|") for cell in cells], ""]).strip())
    return "\n".join(lines)


def _holding(quick: Sequence[tuple[Entry, Claim, dict[str, Any], dict[str, Any]]]) -> str:
    """How many claims hold of those that were measured, and how many were not."""
    marks = [_mark(claim, found) for _, claim, _, found in quick]
    if len(marks) == 1:
        return marks[0]
    measured = [mark for mark in marks if mark]
    if not measured:
        return ""
    waiting = len(marks) - len(measured)
    held = f"{measured.count('✓')} of {len(measured)}"
    return f"{held}; {waiting} not yet measured" if waiting else held


def _mark(claim: Claim, found: dict[str, Any]) -> str:
    """✓, ✗ or ?; of too few seeds how many; nothing where nothing was measured."""
    if not found:
        return ""
    few = found["seeds"] < claim.seeds and found["mark"] not in ("✗", "?")
    return f"{found['seeds']} of {claim.seeds} seeds" if few else str(found["mark"])


def results_page(entries: Sequence[Entry]) -> str:
    """``docs/results.md``."""
    how = []
    for entry in in_order(entries):
        for scale, found in entry.measured.items():
            memory = found["peak_memory_bytes"]
            versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
            how.append(
                f"- **{entry.name}, {scale}**: `{found['command']}`, {found['date']}, on"
                f" {found['machine']}{f'; peak memory {memory / 1e6:,.0f} MB' if memory else ''};"
                f" {versions}"
            )
    return "\n".join(
        [
            "# Results",
            "",
            (
                f"Every claim beside what was measured with seeds 0, 1, …: {INTERVAL}. ✓ holds,"
                " ✗ does not, ? is suspiciously perfect. The time is that of the fastest run. This"
                " page is written by `etude check … --record`; nothing in it is typed by hand."
            ),
            "",
            table(entries),
            "",
            "## How it was measured",
            "",
            *(how or ["Nothing yet."]),
            "",
        ]
    )


def lesson_part(entry: Entry) -> str:
    """What stands between the marks in a study's own README: its cover, and its claims beside what
    was measured.
    """
    lines = [f"![{entry.title}](cover.webp)", ""] if entry.cover else []
    for path in sorted(entry.path.parent.glob("figure-*.webp")) if entry.folder else ():
        name = path.stem.removeprefix("figure-")
        lines += [f"![{name.replace('_', ' ')}]({path.name})", ""]
    lines += ["| scale | claim | measured | | time |", "|---|---|---|---|---:|"]
    for _, claim, of_scale, found in rows([entry]):
        measured = found["measured"] if found else "not yet measured"
        time = _duration(of_scale["seconds"]) if found else ""
        cells = [
            claim.scale,
            f"`{claim.metric}` {claim.bound}"
            + (f", without {claim.without}" if isinstance(claim, Control) else ""),
            measured,
            _mark(claim, found),
            time,
        ]
        lines.append(" | ".join(["", *[cell.replace("|", "\\|") for cell in cells], ""]).strip())
    lines += ["", _how_to_run(entry)]
    commands = [f"`{found['command']}`" for found in entry.measured.values()]
    if commands:
        lines += ["", f"Measured by {', '.join(commands)}: {INTERVAL}."]
    return "\n".join(lines)


def _how_to_run(entry: Entry) -> str:
    """The commands that run a study and show what it can be told."""
    others = [f"`--scale {scale}`" for scale in entry.scales if scale != "quick"]
    other = f" Other settings are {', '.join(others)}." if others else ""
    return (
        f"`etude run {entry.name}` runs it at the scale quick, and writes its figures into a report"
        f" in `runs/{entry.name}/`.{other} Every field of the class in `{entry.path.name}` is an"
        f" option: `etude show {entry.name}` lists them."
    )


def between_markers(page: str, content: str, name: str) -> str | None:
    """``page`` with ``content`` between its markers of this name; None where it has no such
    part.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}" if found and closed else None


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

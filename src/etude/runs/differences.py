"""What is not as it was when a run began, of all on which its numbers rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etude.runs.folder import machine, versions
from etude.runs.lifecycle import json_form


def differences(
    recorded: Mapping[str, Any], name: str, seed: int | None, fields: Mapping[str, Any]
) -> Iterator[str]:
    """A sentence for each difference between the record of a run and the program that resumes it.

    Args:
        recorded: ``study.json``, written when the run began.
        name: of the run, now.
        seed: that is asked for now; None where none is.
        fields: the hyper-parameters, now.
    """
    if seed not in (None, recorded["seed"]):
        yield (
            f"the run began with seed {recorded['seed']} and goes on with it; seed {seed} is passed"
            " over"
        )
    if recorded.get("study", name) != name:
        yield f"this is a run of {recorded['study']}, resumed as one of {name}"
    now, before = json_form(fields), recorded.get("fields", {})
    for field in {**before, **now}:
        if before.get(field) != now.get(field):
            yield (
                f"{field} was {before.get(field)!r} when the run began and is {now.get(field)!r}"
                " now; the numbers may not be those of a run never stopped"
            )
    other = [*_of_the_machine(recorded)]
    if other:
        yield (
            f"the run began with {'; '.join(other)}: equal bits are promised on one machine with"
            " the same versions only"
        )


def _of_the_machine(recorded: Mapping[str, Any]) -> Iterator[str]:
    was = recorded.get("versions") or {}
    for name, version in versions().items():
        if was.get(name, version) != version:
            yield f"{name} {was[name]}, now {version}"
    processor = (recorded.get("machine") or {}).get("processor")
    if processor and processor != machine()["processor"]:
        yield f"{processor}, now {machine()['processor']}"

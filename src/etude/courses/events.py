"""What happens in a course, as it is kept in its gradebook: one record a thing, never changed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Work = Annotated[str, Meta(min_length=1, max_length=100)]  # a part, an assignment, ``quizzes/3``
LONGEST = 20_000  # signs of a text
Words = Annotated[str, Meta(max_length=LONGEST)]
Digest = Annotated[str, Meta(max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]
ProposalState = Literal["draft", "proposed", "returned", "approved"]


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A record of the gradebook. A key that it does not know is refused."""


class Enrolment(Base, frozen=True, kw_only=True, tag_field="kind", tag="student"):
    """A student is in the course, under this name; or has left it."""

    student: Name
    name: Words = ""
    email: Words = ""
    section: Words = ""
    left: bool = False


class Team(Base, frozen=True, kw_only=True, tag_field="kind", tag="team"):
    """A team has these members, for one assignment or for all."""

    team: Name
    members: tuple[Name, ...]
    of: Work | Literal[""] = ""


class Submission(Base, frozen=True, kw_only=True, tag_field="kind", tag="submission"):
    """Something was handed in, by a student or for a team."""

    student: Name | Literal[""] = ""
    team: Name | Literal[""] = ""
    work: Work
    digest: Digest = ""  # SHA-256 of what was handed in
    at: Moment


class Grading(Base, frozen=True, kw_only=True, tag_field="kind", tag="grading"):
    """A program marked a submission. ``earned`` is None where a mark is taken back."""

    student: Name | Literal[""] = ""
    team: Name | Literal[""] = ""
    teams_of: Work | Literal[""] = ""  # whose team it is, where the work is a part of that
    work: Work
    earned: Decimal | None
    most: Decimal = Decimal(100)
    submission: Digest = ""  # the digest of what was marked
    source: Digest = ""  # of the assignment
    tests: Digest = ""
    tier: Words = ""  # of the sandbox


class HandMark(Base, frozen=True, kw_only=True, tag_field="kind", tag="mark"):
    """A person marked a work. ``earned`` is None where a mark is taken back."""

    student: Name | Literal[""] = ""
    team: Name | Literal[""] = ""
    teams_of: Work | Literal[""] = ""  # whose team it is, where the work is a part of that
    work: Work
    earned: Decimal | None
    most: Decimal = Decimal(100)
    submission: Digest = ""
    rubric: dict[Name, Decimal] = {}  # the marks of each criterion; they sum to those earned
    comment: Words = ""


class Adjusted(Base, frozen=True, kw_only=True, tag_field="kind", tag="adjustment"):
    """Marks of the hundred are added, or the student fails whatever the marks."""

    student: Name
    by: Decimal = Decimal(0)
    fails: bool | None = None


class Extension(Base, frozen=True, kw_only=True, tag_field="kind", tag="extension"):
    """A deadline of a student's or a team's own; None takes it back."""

    student: Name | Literal[""] = ""
    team: Name | Literal[""] = ""
    work: Work
    until: Moment | None


class Excuse(Base, frozen=True, kw_only=True, tag_field="kind", tag="excuse"):
    """A student is excused from a work, or from its being late. The reason is private: it stands
    here and in no list, export or explanation.
    """

    student: Name
    work: Work
    reason: Words = ""
    withdrawn: bool = False


class Missed(Base, frozen=True, kw_only=True, tag_field="kind", tag="missed"):
    """A student was not there, without notice."""

    student: Name
    work: Work
    withdrawn: bool = False


class PolicyVersion(Base, frozen=True, kw_only=True, tag_field="kind", tag="policy"):
    """From here on grades are reckoned by this ``course.toml``."""

    digest: Digest
    text: Annotated[str, Meta(max_length=1_000_000)]


class Drawn(Base, frozen=True, kw_only=True, tag_field="kind", tag="drawn"):
    """Who reviews whose work was drawn: ``{reviewer: [whose work]}``."""

    work: Work
    seed: int
    each: int
    pairs: dict[Name, tuple[Name, ...]]


class Review(Base, frozen=True, kw_only=True, tag_field="kind", tag="review"):
    """A student reviewed the work of another, or of another team."""

    student: Name
    work: Work
    of: Name
    text: Words
    at: Moment


class Proposal(Base, frozen=True, kw_only=True, tag_field="kind", tag="proposal"):
    """A proposal has a new state: a draft, proposed, returned with feedback, approved."""

    student: Name | Literal[""] = ""
    team: Name | Literal[""] = ""
    teams_of: Work | Literal[""] = ""  # whose team it is, where the work is a part of that
    work: Work
    state: ProposalState
    text: Words = ""
    feedback: Words = ""


Event = (
    Enrolment
    | Team
    | Submission
    | Grading
    | HandMark
    | Adjusted
    | Extension
    | Excuse
    | Missed
    | PolicyVersion
    | Drawn
    | Review
    | Proposal
)

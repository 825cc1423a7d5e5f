"""The courses' pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from etude.catalogue import Catalogue
from etude.courses.course import Meeting
from etude.courses.edition import edition_of
from etude.courses.library import NAMES, all_courses, course, planned
from etude.courses.words import by_week, cited, days, grade_rows, policies, titled, when

if TYPE_CHECKING:
    from etude.app.pages import Pages


class Courses:
    """What the addresses of courses show.

    Args:
        pages: the other pages, whose templates and runs these use.
    """

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def all_of_them(self, request: Request) -> Response:
        """All courses as cards."""
        there = {entry.name for entry in Catalogue().all()}
        cards = []
        for each in all_courses():
            studies = each.asked().keys()
            done = self.pages.finished(studies & there)
            cards.append((each, len(studies), len(studies & there), len(done)))
        return self.pages.show(request, "courses.html", title="Courses", courses=cards)

    def one(self, request: Request) -> Response:
        """One course: its weeks, assignments, grade, rules, and what its syllabus leaves open."""
        name = request.path_params["course"]
        if name not in NAMES:
            raise HTTPException(404)
        edition = edition_of(course(name))
        cited_papers = {paper.id: cited(paper) for paper in edition.course.papers}
        built = {entry.name for entry in Catalogue().all()} & edition.course.asked().keys()

        def papers(row: Meeting) -> list[str]:
            return [cited_papers[each] for each in row.papers]

        return self.pages.show(
            request,
            "course.html",
            title=edition.course.title,
            course=edition.course,
            weeks=by_week(edition.course),
            dated=any(row.dates for row in edition.course.schedule),
            grade=list(grade_rows(edition.course.grade)),
            policies=list(policies(edition.course)),
            open=edition.open,
            built=built,
            done=self.pages.finished(built),
            planned=planned(),
            days=days,
            titled=titled,
            papers=papers,
            when=lambda assignment: when(edition, assignment),
        )

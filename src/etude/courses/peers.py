"""Who reviews whose work: drawn by a seed, nobody's own or own team's, evenly shared.

A work is one author's, or a team's. Each student reviews ``each`` works; the numbers of reviews
that works get differ as little as can be. Who comes late, and whose work comes late, is added
without changing what was drawn.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping

from etude.errors import UserError

Pairs = dict[str, tuple[str, ...]]


def draw(
    teams: Mapping[str, str], seed: int, each: int, before: Mapping[str, tuple[str, ...]] = {}
) -> Pairs:
    """Who reviews whose work.

    Args:
        teams: ``{student: whose work hers is}``: a team's name, or the student's own id.
        seed: of the draw; the same gives the same.
        each: works that a student reviews, or all of the others' where there are fewer.
        before: what was drawn before, which stays.

    Returns:
        ``{reviewer: works}``, in the order of the students' ids.

    Raises:
        UserError: there is nobody else whose work could be reviewed.
    """
    if each < 1:
        raise UserError(f"each student reviews {each} works; expected at least one")
    works = sorted(set(teams.values()))
    if len(works) < 2:
        raise UserError(f"there are {len(works)} works; expected two, for nobody reviews her own")
    chance = random.Random(f"{seed}")
    place = {work: chance.random() for work in works}
    reviewers = sorted(teams)
    chance.shuffle(reviewers)
    pairs = {name: [*before.get(name, ())] for name in reviewers}
    fixed = {name: set(of) for name, of in before.items()}
    load = Counter(dict.fromkeys(works, 0))
    for of in (*before.values(),):
        load.update(work for work in of if work in place)
    for name in reviewers:
        free = [work for work in works if work != teams[name] and work not in pairs[name]]
        free.sort(key=lambda work: (load[work], place[work]))
        chosen = free[: max(0, each - len(pairs[name]))]
        pairs[name] += chosen
        load.update(chosen)
    _even(pairs, fixed, teams, load)
    if before:
        _late(pairs, teams, load, each, chance)
    return {name: tuple(sorted(pairs[name])) for name in sorted(pairs)}


def _even(
    pairs: dict[str, list[str]],
    fixed: Mapping[str, set[str]],
    teams: Mapping[str, str],
    load: Counter[str],
) -> None:
    """Move reviews from works with many to works with fewer, until no move makes it more even.

    A move may go over several reviewers, each of whom gives up one work for another.
    """
    while True:
        for start in sorted(load, key=lambda work: (-load[work], work)):
            way = _way(start, pairs, fixed, teams, load)
            if way:
                for reviewer, old, new in way:
                    pairs[reviewer][pairs[reviewer].index(old)] = new
                load[start] -= 1
                load[way[-1][2]] += 1
                break
        else:
            return


def _way(
    start: str,
    pairs: Mapping[str, list[str]],
    fixed: Mapping[str, set[str]],
    teams: Mapping[str, str],
    load: Counter[str],
) -> list[tuple[str, str, str]]:
    """The moves from a work to one with at least two reviews fewer; [] where there are none."""
    came: dict[str, tuple[str, str]] = {}
    waiting = deque([start])
    seen = {start}
    while waiting:
        work = waiting.popleft()
        if load[work] <= load[start] - 2:
            moves = []
            while work != start:
                reviewer, old = came[work]
                moves.append((reviewer, old, work))
                work = old
            return moves[::-1]
        for reviewer in sorted(pairs):
            if work in pairs[reviewer] and work not in fixed.get(reviewer, ()):
                for other in sorted(load):
                    taken = other == teams[reviewer] or other in pairs[reviewer]
                    if other not in seen and not taken:
                        seen.add(other)
                        came[other] = (reviewer, work)
                        waiting.append(other)
    return []


def _late(
    pairs: dict[str, list[str]],
    teams: Mapping[str, str],
    load: Counter[str],
    each: int,
    chance: random.Random,
) -> None:
    """Find reviewers for works that came after the draw: those who have the fewest to review."""
    wanted = min(each, *(len(teams) - sum(t == w for t in teams.values()) for w in load))
    for work in sorted(load):
        while load[work] < wanted:
            able = [n for n in pairs if teams[n] != work and work not in pairs[n]]
            if not able:
                break
            chance.shuffle(able)
            reviewer = min(able, key=lambda name: len(pairs[name]))
            pairs[reviewer].append(work)
            load[work] += 1

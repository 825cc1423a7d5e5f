"""Films: what is drawn once and what is drawn again make the same pictures as whole frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude.figures.animations import Film, write_gif
from etude.studies.agents._film import animate as animate_episode
from etude.studies.foundations.optimizers._figures import animate as animate_walks
from etude.studies.foundations.optimizers._surfaces import Surface
from etude.studies.generative._figures import mosaic_film
from etude.studies.vision.nerf._figures import orbit

random = np.random.default_rng(0)
FILMS = {
    "episode": lambda: animate_episode(
        {2 * k: random.integers(0, 256, (40, 60, 3), dtype=np.uint8) for k in range(9)},
        {"V": torch.rand(17), "came": torch.rand(16)},
    ),
    "mosaic_film": lambda: mosaic_film(
        torch.rand(4, 2, 3, 16), ["t = 1.00", "step 2,000", "after the third", "the end"], hold=2
    ),
    "turning": lambda: orbit(torch.rand(4, 8, 8, 3), random.random((4, 8, 8, 3))),
    "walks": lambda: animate_walks(
        Surface(lambda p: p.square().sum(-1), (0.9, 0.9), ((0.0, 0.0),), (-1, 1, -1, 1)),
        {
            "one": [(0.9 / k, 0.9 / k) for k in range(1, 30)],
            "two": [(0.9, 0.9 - k / 30) for k in range(60)],
        },
    ),
}


@pytest.mark.parametrize("name", FILMS)
def test_what_moves_is_all_that_changes(name: str) -> None:
    film = FILMS[name]()
    shots = [np.asarray(shot).astype(int) for shot in film.shots()]
    whole = Film(film.figure, lambda frame: film.draw(frame) and None, film.frames)
    expected = [np.asarray(shot).astype(int) for shot in whole.shots()]
    assert len(shots) == film.frames == len(expected)
    for shot, right in zip(shots, expected, strict=True):
        assert shot.shape == right.shape
        assert (np.abs(shot - right).max(2) > 40).mean() < 2e-4, "a title of three figures is more"
    assert not np.array_equal(shots[0], shots[-1])


def test_a_film_of_one_frame(tmp_path) -> None:
    write_gif(
        list(mosaic_film(torch.rand(1, 2, 3, 16), ["the only one"]).shots()),
        tmp_path / "one.gif",
        8,
    )
    assert (tmp_path / "one.gif").stat().st_size > 0

"""The game on a ring of clusters, which are easy to count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from etude import Run
from etude.networks.gan import PlaneNetwork

from ._figures import point_clouds
from ._losses import LOSSES
from ._sampling import arc_fraction, generate, mode_fractions, ring_of_points

if TYPE_CHECKING:
    from .gan import GAN

RADIUS = 0.12  # a point this close to a centre is near its cluster: four standard deviations


def play_on_a_ring(run: Run, study: GAN) -> None:
    """Play with both losses for eight clusters on a circle, and count what is generated."""
    points, modes, centres = ring_of_points(4_000)
    train = run.place(points), run.place(modes)
    films = {}
    for loss in LOSSES:
        mean, (times, films[loss]) = study.play(
            run,
            train,
            PlaneNetwork(study.latent, 2),
            PlaneNetwork(2, 1),
            loss=loss,
            steps=study.ring_steps,
            beta1=study.ring_beta1,
            average=0.0,
            name=f"ring, {loss}",
        )

        z = study.codes(run, 2_000)
        generated = generate(mean, z, run.place(torch.zeros(2_000, dtype=torch.long)))
        fractions = mode_fractions(generated.cpu(), centres, RADIUS)
        run.result({f"ring/{loss}/modes": (fractions > 0.02).sum()})
        run.result({f"ring/{loss}/near a mode": fractions.sum()})
    by_chance = arc_fraction(len(centres), RADIUS)  # of points that know nothing of clusters
    run.result({"ring/uniform circle/near a mode": by_chance})
    run.figure("ring", point_clouds(films, times, centres))

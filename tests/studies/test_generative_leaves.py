"""What the generative studies share: digits in parts, nearest examples, points on a ring."""

from __future__ import annotations

import torch

from etude import Run, data
from etude.studies.generative._digits import split_digits
from etude.studies.generative._judge import nearest_examples
from etude.studies.generative.gan._sampling import ring_of_points


def test_the_parts_are_the_whole_scaled_to_the_unit_interval(tmp_path) -> None:
    with Run("digits", root=tmp_path, quiet=True) as run:
        train, validation, test = split_digits(run, "uci", 0.1)
    digits = data.uci_digits()
    assert len(validation[0]) == round(0.1 * len(digits.train))
    assert len(train[0]) + len(validation[0]) == len(digits.train)
    both = torch.cat([train[0], validation[0]])
    assert (both.min(), both.max()) == (0, 1)
    torch.testing.assert_close(both.sum(), digits.train.inputs.sum() / 16)
    torch.testing.assert_close(test[0], digits.test.inputs / 16)
    assert torch.equal(test[1], digits.test.labels)


def test_the_nearest_example_has_the_place_of_its_picture() -> None:
    real = torch.eye(4).view(4, 1, 2, 2)
    generated = torch.tensor([[3, 1], [0, 2]])
    pictures = real[generated.repeat(1, 2)].flatten(2)[:, :2]  # a part of a larger mosaic
    found = nearest_examples(0.9 * pictures, real)
    torch.testing.assert_close(found, real[generated].flatten(2))


def test_points_lie_near_the_centre_of_their_cluster() -> None:
    torch.manual_seed(0)
    points, cluster, centres = ring_of_points(4_000, modes=8, noise=0.03)
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(8))
    assert cluster.bincount(minlength=8).min() > 400
    torch.testing.assert_close(
        (points - centres[cluster]).std(), torch.tensor(0.03), atol=1e-3, rtol=0
    )

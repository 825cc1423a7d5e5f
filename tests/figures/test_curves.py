"""Curves: which lines share a colour and a name."""

from etude.figures.curves import learning_curves


def test_repetitions_of_a_variant_share_one_colour_and_one_name():
    series = ([0, 1, 2], [3.0, 2.0, 1.0])
    stages = ["adam #1", "sgd #1", "adam #2", "sgd #2", "adam #3"]
    (axes,) = learning_curves({"loss": dict.fromkeys(stages, series)}).axes
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[2] == colours[4] != colours[1] == colours[3]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["adam", "sgd"]


def test_stages_of_their_own_have_colours_of_their_own():
    series = ([0, 1, 2], [3.0, 2.0, 1.0])
    (axes,) = learning_curves({"loss": {"": series, "stage 2": series}}).axes
    assert axes.lines[0].get_color() != axes.lines[1].get_color()

"""What becomes of Q without a target network: bootstrapped targets that chase themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from etude import Run, figures
from etude.studies.agents._figures import Series, over_steps, thousands

if TYPE_CHECKING:
    from .dqn import DeepQ

STEPS = 600  # of gradient descent in each training


def without_target_network(run: Run, study: DeepQ) -> None:
    """Train the plainest Q-learning, one step ahead, without a target network and with one; and
    with one that also gives the value of an action which the other network chose.

    Results: the mean Q that each of them ends with, and by how much double targets lower it.
    Figure: Q over training.
    """
    steps = min(STEPS, study.steps)
    plain = replace(study, n_step=1, double=False, dueling=False, steps=steps, episodes=5)
    variants = {
        "no target network": replace(plain, target_rate=1.0),
        "target network": plain,
        "target network, double": replace(plain, double=True),
    }
    for name, variant in variants.items():
        with run.part(name, seed=run.seed):
            variant.train(run)
    logged = over_steps(run.curves(), "Q")
    curves = {name: logged[name] for name in variants}
    q = {name: values[-1] for name, (_, values) in curves.items()}
    run.result({f"{name}/mean Q": value for name, value in q.items()})
    gain = q["target network"] - q["target network, double"]
    run.result({"gain/of double targets, in mean Q": gain})
    run.figure("divergence", divergence(curves, 1 / (1 - study.discount)))


def divergence(curves: Mapping[str, Series], highest: float) -> Figure:
    """The mean Q of each batch over steps of the environment, on a logarithmic axis.

    Args:
        curves: by name, steps and values.
        highest: the largest possible return, drawn as a line.
    """
    figure, (axes,) = figures.canvas(6.8, 3.6)
    looks = zip((1, 0, 2), ("-", (0, (5, 2)), (0, (1, 1))), strict=True)
    for (name, (steps, q)), (number, dash) in zip(curves.items(), looks, strict=False):
        colour = figures.PALETTE[number]
        axes.plot(steps, [max(value, 0.1) for value in q], color=colour, linestyle=dash, label=name)
    axes.axhline(highest, color=figures.QUIET, linewidth=1)
    axes.annotate(
        f"the largest possible return, {highest:g}",
        (0.995, highest),
        (0, 4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        ha="right",
    )
    axes.set(xlabel="steps of the environment", ylabel="mean $Q$ of a batch", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(thousands)
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure

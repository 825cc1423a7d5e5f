"""Pictures of the parts of the error, of learning curves, and of the choice of a penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, canvas


def decomposition(degrees: Sequence[int], parts: Tensor) -> Figure:
    """Noise, squared bias and variance as stacked bars, and the measured error as dots.

    Args:
        degrees: the degrees of the polynomials, in rising order.
        parts: noise, squared bias, variance and measured error of each degree, (degrees, 4).
    """
    figure, (axes,) = canvas(6.4, 4.0)
    places = range(len(degrees))
    below = 0 * parts[:, 0]
    for name, column, colour in zip(
        ("noise", "bias²", "variance"), parts.T, (QUIET, PALETTE[0], PALETTE[1]), strict=False
    ):
        axes.bar(
            places, column, 0.72, bottom=below, color=colour, alpha=0.75, linewidth=0, label=name
        )
        below = below + column
    axes.plot(
        places, parts[:, 3], "o", color=INK, markersize=5, label="error on new points, measured"
    )
    axes.set_xticks(list(places), [str(degree) for degree in degrees])
    axes.set(xlabel="degree of the polynomial", ylabel="mean squared error")
    axes.legend(loc="upper center")
    return figure


def fitted_curves(
    grid: Tensor, predictions: Mapping[int, Tensor], truth: Tensor, noise: float
) -> Figure:
    """The fits to many data sets, one panel for each degree; f is dashed, with a band of the noise.

    Args:
        grid: the points at which the curves are drawn, (cells,).
        predictions: degree → the fitted values, (draws, cells).
        truth: the values of f on the grid, (cells,).
        noise: the standard deviation of the data around f.
    """
    figure, panels = canvas(3.1 * len(predictions), 3.0, columns=len(predictions))
    x = grid.numpy()
    for axes, (degree, curves) in zip(panels, predictions.items(), strict=True):
        low, high = truth - noise, truth + noise
        band = axes.fill_between(x, low, high, color=QUIET, alpha=0.15, linewidth=0)
        each = axes.plot(x, curves.T, color=PALETTE[1], linewidth=0.7, alpha=0.5)
        mean = axes.plot(x, curves.mean(0), color=PALETTE[0], linewidth=2)
        line = axes.plot(x, truth, color=INK, linewidth=1.3, linestyle=(0, (5, 3)))
        axes.set(
            title=f"degree {degree}",
            xlabel="$x$",
            ylim=(float(truth.min()) - 1.4, float(truth.max()) + 1.2),
        )
    handles = [each[0], mean[0], line[0], band]
    names = ["fit to one data set", "mean of the fits", "$f$", "$f$ ± the noise"]
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


def learning_curves(
    sizes: Sequence[int], curves: Mapping[str, Sequence[tuple[float, float]]], floor: float
) -> Figure:
    """Training error (dashed) and test error (solid) against the number of training points.

    Args:
        sizes: the numbers of training points.
        curves: model → training error and test error for each size.
        floor: the variance of the noise, a lower bound on the expected test error.
    """
    figure, (axes,) = canvas(6.2, 3.8)
    for number, (name, errors) in enumerate(curves.items()):
        fitted, test = zip(*errors, strict=True)
        axes.plot(sizes, test, color=PALETTE[number], marker="o", markersize=3.5, label=name)
        axes.plot(sizes, fitted, color=PALETTE[number], linestyle=(0, (4, 2)), linewidth=1.3)
    axes.axhline(floor, color=QUIET, linewidth=1)
    axes.annotate(
        "variance of the noise",
        (sizes[0], floor),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
    )
    axes.set(xscale="log", yscale="log", xlabel="points", ylabel="mean squared error")
    axes.set_ylim(top=20 * floor if floor else None)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend()
    return figure


def selection(
    penalties: Tensor, errors: Tensor, chosen: int, rmse: Mapping[str, float | Tensor]
) -> Figure:
    """The error on each fold for each penalty, their mean, the choice, and least squares beside it.

    Args:
        penalties: the values of λ, (λ,).
        errors: root mean squared errors on the folds, (folds, λ).
        chosen: the index of the chosen λ.
        rmse: root mean squared errors of ``diabetes`` (the choice) and of ``least_squares``, each
            by cross-validation (``…/rmse/chosen``) and on the test rows (``…/rmse/test``).
    """
    figure, (axes,) = canvas(7.0, 4.2)
    x = penalties.numpy()
    mean = errors.square().mean(0).sqrt()
    axes.plot(x, errors.T, color=PALETTE[0], linewidth=0.7, alpha=0.3)
    axes.plot(x, mean, color=PALETTE[0], linewidth=2.2, label="64 columns: mean of the folds")
    axes.axhline(
        float(rmse["least_squares/rmse/chosen"]),
        color=PALETTE[1],
        linestyle=(0, (5, 3)),
        label="10 columns, least squares: mean of the folds",
    )
    axes.plot(
        x[chosen],
        mean[chosen],
        "o",
        color=PALETTE[0],
        markersize=8,
        label=f"chosen: λ = {x[chosen]:.2g}",
    )
    tested = [float(rmse[f"{model}/rmse/test"]) for model in ("diabetes", "least_squares")]
    axes.plot(
        x[chosen], tested[0], "D", color=PALETTE[0], markersize=8, label="64 columns: test rows"
    )
    axes.plot(x[0], tested[1], "D", color=PALETTE[1], markersize=8, label="10 columns: test rows")
    axes.set(xscale="log", xlabel="penalty λ", ylabel="root mean squared error, held-out rows")
    axes.set_ylim(float(errors.min()) - 2, max(*tested, 1.1 * float(mean.max())))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def divisions(estimated: Tensor, measured: Tensor) -> Figure:
    """For each division of the table, what cross-validation says of ridge minus least squares, and
    what the test rows say.

    Args:
        estimated: differences of mean squared errors by cross-validation, (divisions,).
        measured: the same on the test rows, (divisions,).
    """
    figure, (axes,) = canvas(5.6, 4.6)
    axes.axhline(0, color=QUIET, linewidth=1)
    axes.axvline(0, color=QUIET, linewidth=1)
    axes.plot(estimated, measured, "o", color=PALETTE[0], alpha=0.5, label="one division")
    axes.plot(
        estimated.mean(), measured.mean(), "D", color=PALETTE[1], markersize=9, label="their mean"
    )
    axes.set(
        xlabel="cross-validation: error of ridge − least squares",
        ylabel="test rows: error of ridge − least squares",
    )
    axes.legend(loc="upper right")
    return figure

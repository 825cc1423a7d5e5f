"""Questions on validation: what an error is made of, folds, choices and their luck."""

from __future__ import annotations

import statistics
from random import Random

import torch

from etude import data
from etude.questions import (
    Choice,
    Count,
    Number,
    Predict,
    Redraw,
    Several,
    TrueFalse,
    Wrong,
    apart,
    measured,
    question,
    written,
)


@question
def bias_or_variance(rng: Random) -> Number:
    """Bias or variance from the predictions of several data sets."""
    truth = float(rng.randint(2, 8))
    offset = rng.choice([-3, -2, -1, 1, 2, 3])
    spread = [float(each) for each in rng.choice([[-2, -1, 1, 2], [-3, 0, 0, 3], [-4, 1, 1, 2]])]
    rng.shuffle(spread)
    predictions = torch.tensor([truth + offset + each for each in spread]).double()
    bias = float((predictions.mean() - truth).square())
    variance = float(predictions.var(correction=0))
    error = float((predictions - truth).square().mean())
    noise = rng.choice([0.5, 1.0, 2.0])
    which = rng.choice(["bias", "variance", "error"])
    found = {"bias": bias, "variance": variance, "error": error + noise}[which]
    asked = {
        "bias": "What is the squared bias?",
        "variance": "What is the variance of the method?",
        "error": "What is the expected squared error at a new, noisy point there?",
    }[which]
    told = ", ".join(written(float(each)) for each in predictions)
    return Number(
        prompt=(
            f"At a point where $f(x)$ = {truth:g}, a method that was fitted to four data sets"
            " predicts"
            f" {told}. Take these four for all that there are. The noise has the variance"
            f" {noise:g}."
            f" {asked}"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                bias if which != "bias" else variance,
                "the squared bias was given" if which != "bias" else "the variance was given",
                "Bias is how far the *mean* prediction is from $f$; variance is how far"
                " predictions are"
                " from their mean.",
            ),
            Wrong(
                variance if which == "error" else error,
                "one term was given" if which == "error" else "both terms were given",
                "The squared distance from $f$ is squared bias *plus* variance.",
            ),
            Wrong(
                error if which == "error" else found + noise,
                "the noise was forgotten" if which == "error" else "the noise was added",
                "The noise is a third term, which no model removes: it counts for the error at a"
                " noisy"
                " point, and neither for bias nor for variance.",
            ),
            Wrong(
                abs(bias**0.5) if which == "bias" else variance**0.5,
                "the root was given",
                "The terms that add up are squares.",
            ),
            within=0.03,
        ),
        why=(
            f"The mean prediction is {written(float(predictions.mean()))}: squared bias"
            f" {written(bias)},"
            f" variance {written(variance)}, noise {noise:g}; together"
            f" {written(bias + variance + noise)}."
        ),
        see="What the error is made of",
    )


@question
def rows_of_a_fit(rng: Random) -> Count:
    """How many rows each model of cross-validation is fitted to."""
    parts = rng.choice([4, 5, 8, 10])
    rows = parts * rng.choice([6, 10, 12, 20, 33])
    with torch.random.fork_rng(devices=[]):
        table = data.Labelled(torch.zeros(rows, 1), torch.zeros(rows))
        found = len(next(iter(data.folds(table, parts)))[0])
    return Count(
        prompt=(
            f"{parts}-fold cross-validation is made with {rows} rows. To how many rows is each of"
            " its"
            " models fitted?"
        ),
        answer=found,
        unit="rows",
        wrong=apart(
            found,
            Wrong(
                rows // parts,
                "the fold was given",
                "That is how many rows are *held out* each time.",
            ),
            Wrong(
                rows,
                "all rows were taken",
                "Each model is fitted without its fold. So the estimate is a little pessimistic:"
                " the"
                " last model will have more rows.",
            ),
            Wrong(
                rows // 2,
                "half was held out",
                f"One of {parts} folds is held out.",
            ),
            Wrong(
                rows - parts,
                "a row was held out of each fold",
                "One *fold* is held out.",
            ),
        ),
        why=f"{rows} · {parts - 1}/{parts} = {found}.",
        see="What can be done without knowing $f$",
    )


@question
def fits_of_a_choice(rng: Random) -> Count:
    """How many fits nested cross-validation takes."""
    outer = rng.choice([3, 5, 10])
    inner = rng.choice([3, 4, 5, 10])
    penalties = rng.choice([5, 8, 10, 20, 41])
    fits = 0
    for _ in range(outer):
        fits += sum(1 for _ in range(inner) for _ in range(penalties))  # to choose λ
        fits += 1  # with the λ that was chosen
    return Count(
        prompt=(
            f"Nested cross-validation has {outer} outer folds. For each, {inner}-fold"
            " cross-validation of"
            f" the rest chooses one of {penalties} penalties, and a model with it is fitted to"
            " that rest."
            " How many models are fitted, if each penalty needs a fit of its own?"
        ),
        answer=fits,
        unit="models",
        wrong=apart(
            fits,
            Wrong(
                outer * inner * penalties,
                "the chosen models were forgotten",
                "With the penalty that was chosen a model is fitted once more for each outer fold.",
            ),
            Wrong(
                inner * penalties + outer,
                "the choice was made once",
                "Made once on all rows, the choice would have seen the rows that test it.",
            ),
            Wrong(
                outer * (inner + penalties),
                "folds and penalties were added",
                "Every penalty is tried on every inner fold.",
            ),
            Wrong(
                outer * penalties + 1,
                "the inner folds were forgotten",
                f"Each penalty is judged by {inner} fits.",
            ),
        ),
        why=f"{outer} · ({inner} · {penalties} + 1) = {fits}.",
        see="The optimism of a choice",
    )


@question
def error_of_a_difference(rng: Random) -> Number:
    """The standard error of a paired difference."""
    n = rng.choice([4, 5, 6])
    base = [float(rng.randint(5, 40)) for _ in range(n)]
    gaps = [float(rng.randint(-3, 6)) for _ in range(n)]
    other = [a - gap for a, gap in zip(base, gaps, strict=True)]
    s = statistics.stdev(gaps)
    found = s / n**0.5
    if s < 1:
        raise Redraw
    apart_error = (statistics.variance(base) / n + statistics.variance(other) / n) ** 0.5
    rows = "; ".join(f"{written(a)} and {written(b)}" for a, b in zip(base, other, strict=True))
    return Number(
        prompt=(
            f"Two models have these squared errors on the same {n} rows: {rows}. What is the"
            " standard"
            " error of the mean difference?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                s,
                "the standard deviation was given",
                "The mean of $n$ differences varies by $s / \\sqrt n$.",
            ),
            Wrong(
                s / n,
                "the root was forgotten",
                "$s / \\sqrt n$: the *variance* of a mean is $s^2 / n$.",
            ),
            Wrong(
                apart_error,
                "the models were treated as if they had different rows",
                "Both were measured on the same rows, so what makes a row hard for both cancels in"
                " the"
                " differences.",
            ),
            Wrong(
                statistics.pstdev(gaps) / n**0.5,
                "the deviation was divided by n",
                "The mean was estimated from the same rows, so it is divided by $n - 1$.",
            ),
            within=0.03,
        ),
        why=(
            f"The differences are {', '.join(written(gap) for gap in gaps)}, with $s$ ="
            f" {written(s)}:"
            f" $s / \\sqrt{{{n}}}$ = {written(found)}."
        ),
        see="A choice that went wrong",
    )


@question
def the_simplest_within_one(rng: Random) -> Choice:
    """Which model the one-standard-error rule takes."""
    degrees = sorted(rng.sample([1, 2, 3, 4, 6, 8, 10, 12], 4))
    best = rng.randint(40, 60) / 10
    error = rng.choice([0.3, 0.4, 0.5, 0.6])
    errors = {
        degrees[0]: best + error * rng.choice([3, 5]),
        degrees[1]: best + error * rng.choice([0.4, 0.8, 1.6]),
        degrees[2]: best,
        degrees[3]: best + error * rng.choice([0.3, 0.9]),
    }
    chosen = min(degree for degree, value in errors.items() if value <= best + error)

    def told(degree: int) -> str:
        return f"degree {degree}"

    listed = ", ".join(f"{value:.2f} at degree {degree}" for degree, value in errors.items())
    says = {
        degrees[2]: (
            "the smallest estimate was taken",
            "Chance helped to make it the smallest. A simpler model is within one standard error.",
        ),
        degrees[0]: (
            "the simplest model was taken",
            "Its error is more than one standard error above the best: it underfits.",
        ),
        degrees[3]: (
            "the most flexible model was taken",
            "Among models that can't be told apart the rule takes the *simplest*.",
        ),
        degrees[1]: (
            "a model was taken that is worse than chance explains",
            "Its error is more than one standard error above the best.",
        ),
    }
    return Choice(
        prompt=(
            f"Cross-validation finds these errors of polynomials: {listed}. The standard error is"
            f" {error:g} for each. Which one does the one-standard-error rule take?"
        ),
        answer=told(chosen),
        wrong=tuple(Wrong(told(degree), *says[degree]) for degree in degrees if degree != chosen),
        why=(
            f"All errors up to {best:.2f} + {error:g} = {best + error:.2f} can't be told from the"
            " best;"
            f" the simplest of those models has degree {chosen}."
        ),
        see="A choice that went wrong",
    )


@question
def will_more_data_help(rng: Random) -> TrueFalse:
    """What a learning curve says of more data."""
    noise = rng.choice([0.5, 1.0, 2.0])
    wide = rng.random() < 0.5
    train = noise * (rng.choice([0.2, 0.4]) if wide else rng.choice([2.5, 3.0]))
    test = train * (rng.choice([8, 10]) if wide else rng.choice([1.05, 1.15]))
    rows = rng.choice([30, 50, 100])
    gap = "The gap is wide: the variance is large, and it falls with more rows."
    level = "The gap is small and both errors are high: the bias is large, and stays."
    floor = "Both errors have to end at the noise, however far away they are."
    luck = "The test error is above the training error, so the test rows are harder."
    right = gap if wide else level
    says = {
        gap: ("a wide gap was seen", "The two errors are nearly equal here."),
        level: ("a small gap was seen", "The two errors are far apart here."),
        floor: (
            "the bias was forgotten",
            "They end at the noise *plus the squared bias*.",
        ),
        luck: (
            "rows were blamed",
            "A model fits its training rows better than others; that is no property of the test"
            " rows.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"With {rows} rows a model has the training error {train:.2g} and the test error"
            f" {test:.2g};"
            f" the noise has the variance {noise:g}. *Ten times as many rows will make the test"
            " error much"
            " smaller.*"
        ),
        holds=wide,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=right,
        see="The learning curve",
    )


@question
def what_may_see_all_rows(rng: Random) -> Several:
    """What has to be done inside of cross-validation."""
    k = rng.choice([5, 10])
    columns = rng.choice([200, 500, 5_000])
    best = rng.choice([10, 20])
    outside = {
        f"The {best} columns that correlate most with the labels are chosen from {columns}": (
            "columns were chosen with the labels that test them",
            "Among many columns some fit the held-out labels by chance, and the error looks far too"
            " good.",
        ),
        "The penalty is chosen that has the smallest error on the held-out rows, and that error is"
        " told": (
            "the smallest of many estimates was told",
            "It is too small on average, because chance helped to make it the smallest.",
        ),
        "Missing values are filled by a model of the column *and the label*": (
            "labels leaked into the inputs",
            "The held-out rows' inputs then know their labels.",
        ),
    }
    fine = [
        f"The rows are divided into {k} folds at random",
        "Degrees are converted from Fahrenheit to Celsius",
        f"The first {best} of {columns} columns are kept, because a physician said so beforehand",
        "Columns with a single value in all rows are left out",
    ]
    right = rng.sample(fine, rng.choice([2, 3]))
    wrong = rng.sample(sorted(outside), 4 - len(right))
    return Several(
        prompt=(
            f"Which of these may be done once, on all rows, *before* {k}-fold cross-validation,"
            " without"
            " making its estimate too good?"
        ),
        answer=tuple(right),
        missed="One more of them looks at no label.",
        wrong=tuple(Wrong(each, *outside[each]) for each in wrong),
        why="What looks at the labels is a part of the fit, and belongs inside of the folds.",
        see="A choice that must be inside",
    )


@question(cites={"screening/outside/r2": 0.506, "screening/inside/r2": -0.379})
def screening_of_noise(rng: Random) -> Predict:
    """What cross-validation says of columns that are pure noise."""
    found = measured(__file__)
    outside = found["screening/outside/r2"]
    inside = found["screening/inside/r2"]
    assert inside < 0 < 0.3 < outside
    return Predict(
        prompt=(
            "Labels and 1,000 columns of 50 rows are drawn independently, so nothing can be"
            " predicted."
            " The"
            " columns that correlate most with the labels are chosen on *all* rows, and only then"
            " is a"
            " model of them cross-validated. Which $R^2$ does cross-validation find?"
        ),
        answer="Clearly above 0: as if half of the variance were explained",
        wrong=(
            Wrong(
                "About 0, for there is nothing to explain",
                "the choice was thought to be harmless",
                "The chosen columns fit the held-out labels, too: these took part in the choice.",
            ),
            Wrong(
                "Clearly below 0, for the model overfits",
                "the honest estimate was expected",
                "That is what comes out when the choice is made *inside* of each fold.",
            ),
        ),
        why=(
            f"{written(outside, 2)} with the choice outside of the folds, {written(inside, 2)}"
            " with the choice"
            " inside"
            " (means of three seeds)."
        ),
        see="A choice that must be inside",
        run="etude run validation",
    )

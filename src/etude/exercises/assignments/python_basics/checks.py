"""What the first steps in Python are asked."""

from __future__ import annotations

import math

from numpy.random import Generator

from etude.exercises.checks import Code, agree, check, require, same_answer


def _name(rng: Generator, length: int) -> str:
    return "".join(rng.choice([*"abcdefgh"], length))


# -- getting help, and comments --------------------------------------------------------------------


@check("summary", public=True)
def help_on_a_function(student: Code, reference: Code, rng: Generator) -> None:
    for name in ("len", "print", "sorted", "dict", "zip"):
        same_answer(student, reference, "summary", name, 200, what=f"the summary of {name}")
    agree(student.call("summary", "no_such_name"), "", "the summary of no_such_name")


@check("summary")
def a_long_line_is_shortened(student: Code, reference: Code, rng: Generator) -> None:
    line = reference.call("summary", "abs", 1000)
    for width in (1, 2, len(line) - 1, len(line), len(line) + 1):
        same_answer(
            student, reference, "summary", "abs", width, what=f"the summary of abs, width {width}"
        )


@check("count-lines", public=True)
def a_small_program(student: Code, reference: Code, rng: Generator) -> None:
    source = "# greet\n\nfor name in names:\n    # one by one\n    print(name)  # says it\n"
    agree(student.call("count_lines", source), [2, 2, 1], "the counts")


@check("count-lines")
def lines_of_all_kinds(student: Code, reference: Code, rng: Generator) -> None:
    kinds = ["x = 1", "\t# a", "    ", "", "x = '#'", "x  # why", "  #", "\t", "'# no comment'"]
    for count in (0, 1, 30):
        source = "\n".join(rng.choice(kinds, count))
        same_answer(student, reference, "count_lines", source, what=f"the counts of {count} lines")


# -- printing --------------------------------------------------------------------------------------


@check("table", public=True)
def two_results(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("results_table", {"loss": 0.25, "accuracy": 91.4})
    agree(found, "loss       0.25\naccuracy  91.40", "the table")


@check("table")
def tables_of_any_width(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "results_table", {}, what="the table of nothing")
    for rows in (1, 2, 6):
        results = {
            _name(rng, int(rng.integers(3, 12))) + str(row): float(rng.normal() * 10**row)
            for row in range(rows)
        }
        digits = int(rng.integers(1, 5))
        what = f"the table of {rows} results"
        same_answer(student, reference, "results_table", results, digits, what=what)
        same_answer(student, reference, "results_table", results, what=what)


# -- conditional statements and loops --------------------------------------------------------------


@check("early-stopping", public=True)
def a_curve_that_rises_again(student: Code, reference: Code, rng: Generator) -> None:
    losses = [3.0, 2.0, 1.0, 1.5, 0.9, 1.1, 1.2, 0.8]
    for patience, epochs in ((1, 4), (2, 7), (3, 8)):
        found = student.call("stops_after", losses, patience)
        agree(found, epochs, f"the number of epochs with patience {patience}")


@check("early-stopping")
def equal_losses_and_losses_that_are_not_finite(
    student: Code, reference: Code, rng: Generator
) -> None:
    for losses in ([], [1.0], [1.0, 1.0, 1.0, 0.5], [math.inf] * 3, [math.nan, 1.0, math.nan]):
        for patience in (1, 2, 3):
            what = f"the number of epochs for the losses {losses} with patience {patience}"
            same_answer(student, reference, "stops_after", losses, patience, what=what)
    for patience in (1, 2, 3, 5):
        losses = [float(loss) for loss in rng.integers(0, 9, 30)]
        what = f"the number of epochs with patience {patience}"
        same_answer(student, reference, "stops_after", losses, patience, what=what)


# -- variables and functions -----------------------------------------------------------------------


@check("smooth", public=True)
def a_constant_stays_what_it_is(student: Code, reference: Code, rng: Generator) -> None:
    value = float(rng.normal())
    agree(student.call("smooth", [value] * 6), [value] * 6, "the mean of a constant")
    agree(student.call("smooth", [2.0, 5.0], 0.5), [2.0, 4.0], "the mean of 2 and 5 for β = ½")


@check("smooth")
def any_curve(student: Code, reference: Code, rng: Generator) -> None:
    for length in (0, 1, 2, 40):
        values = [float(value) for value in rng.normal(size=length)]
        for decay in (0.0, 0.3, 0.99):
            what = f"the mean of {length} values for β = {decay}"
            same_answer(student, reference, "smooth", values, decay, what=what)
    values = [float(value) for value in rng.normal(size=9)]
    same_answer(
        student, reference, "smooth", values, what="the mean for the decay that is the default"
    )


# -- reading and writing files ---------------------------------------------------------------------


@check("append", public=True)
def a_new_log(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("log_after", None, [(10, 0.5), (20, 0.125)])
    agree(found, "step,loss\n10,0.5\n20,0.125\n", "the log")


@check("append")
def what_is_there_stays_there(student: Code, reference: Code, rng: Generator) -> None:
    results = [(step, float(rng.normal())) for step in range(4)]
    for begin in ("", "step,loss\n7,0.25\n"):
        expected = reference.call("log_after", begin, results)
        agree(student.call("log_after", begin, results), expected, f"the log after {begin!r}")


@check("best", public=True)
def the_least_loss(student: Code, reference: Code, rng: Generator) -> None:
    agree(student.call("best_of", "step,loss\n1,10.5\n2,9.5\n3,9.75\n"), [2, 9.5], "the best")


@check("best")
def the_first_of_equals(student: Code, reference: Code, rng: Generator) -> None:
    for rows in (1, 2, 40):
        log = "step,loss\n"
        for row in range(rows):
            log += f"{100 - row},{float(rng.integers(-9, 12)) / 4!r}\n"
        same_answer(student, reference, "best_of", log, what=f"the best of {rows} rows")
    same_answer(
        student, reference, "best_of", "step,loss\n1,1e-05\n2,0.001\n", what="the best of 1e-05"
    )


# -- error handling --------------------------------------------------------------------------------


@check("numbers", public=True)
def good_and_bad_lines(student: Code, reference: Code, rng: Generator) -> None:
    text = "# widths\n1.5\n\ntwo\n3  # the last\n"
    agree(student.call("numbers_in", text), [[1.5, 3.0], [4]], "the numbers and the wrong lines")


@check("numbers")
def lines_of_any_kind(student: Code, reference: Code, rng: Generator) -> None:
    kinds = ["2", " -3.5e2 ", "", "1,5", "# 4", "   ", "5 6", "7#8", "x # 9", "\t10", "--1", "#"]
    for count in (0, 1, 40):
        text = "\n".join(rng.choice(kinds, count))
        what = f"what was read of {count} lines"
        same_answer(student, reference, "numbers_in", text, what=what)


@check("fraction", public=True)
def good_fractions(student: Code, reference: Code, rng: Generator) -> None:
    for value in (0, 1, 0.0, 1.0, 0.25, float(rng.uniform())):
        found = student.call("fraction_of", {"width": 7, "dropout": value}, "dropout")
        require(
            isinstance(found, float), f"the fraction is a {type(found).__name__}; expected a float"
        )
        agree(found, float(value), "the fraction")


@check("fraction")
def each_error(student: Code, reference: Code, rng: Generator) -> None:
    for settings in (
        {},
        {"width": 0.5},
        {"dropout": None},
        {"dropout": "0.5"},
        {"dropout": True},
        {"dropout": False},
        {"dropout": 2},
        {"dropout": 1 + float(rng.uniform(1e-9, 1e-3))},
        {"dropout": -float(rng.uniform(1e-9, 1e-3))},
        {"dropout": math.nan},
        {"dropout": -math.inf},
        {"dropout": 0.5},
    ):
        expected, _ = reference.call("error_of", settings, "dropout")
        found = student.call("error_of", settings, "dropout")
        agree(found[0], expected, f"the error for the settings {settings}")
        if expected:
            require("dropout" in found[1], f"the message of the {expected} does not say 'dropout'")

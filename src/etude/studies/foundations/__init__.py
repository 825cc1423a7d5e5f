"""Fitting, descending, regularising: what every later study rests on."""

TITLE = "Foundations"
ORDER = 1

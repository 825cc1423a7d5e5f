"""Learning a distribution, and drawing from it."""

TITLE = "Generative models"
ORDER = 4

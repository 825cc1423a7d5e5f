"""Sequences: recurrence, attention, and texts that are classified, translated, written."""

TITLE = "Sequences and language"
ORDER = 3

"""NCKU, the group project: digits, on data that nobody has seen."""

"""Studies: language."""

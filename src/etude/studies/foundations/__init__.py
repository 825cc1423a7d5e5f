"""Studies: foundations."""

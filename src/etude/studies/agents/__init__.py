"""Studies: agents."""

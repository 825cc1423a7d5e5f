"""Studies: vision."""

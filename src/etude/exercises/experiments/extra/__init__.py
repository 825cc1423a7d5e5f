"""ECE-472, the extra challenge: the fewest parameters."""

"""ECE-472, assignment 1: a noisy sine."""

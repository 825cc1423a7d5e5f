"""ECE-472, assignment 3: handwritten digits."""

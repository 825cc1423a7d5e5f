"""ECE-472, assignment 2: two spirals."""

"""ECE-472, assignment 5: news by topic."""

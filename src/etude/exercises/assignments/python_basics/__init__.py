"""Python, the first steps: help, printing, loops, functions, files, errors."""

"""Exercises: tasks cut out of references that run, the checks that judge them, the sandbox."""

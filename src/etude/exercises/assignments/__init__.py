"""Assignments: each a folder with its text, a reference with regions, and checks."""

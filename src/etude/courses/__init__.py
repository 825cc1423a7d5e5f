"""Courses as data: weeks, readings, assignments, grades, rules, and what a syllabus leaves open."""

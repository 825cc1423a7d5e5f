"""Experiments: assignments in which a student trains a network."""

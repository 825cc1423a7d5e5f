"""Regression: least squares, ridge, Gaussian basis functions, a step of descent, lasso."""

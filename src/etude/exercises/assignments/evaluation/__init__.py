"""Evaluation: splits, folds, statistics of the training rows, scores, calibration, doubt."""

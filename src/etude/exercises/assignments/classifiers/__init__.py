"""Classifiers by hand: nearest neighbours, a margin, a softmax, two layers."""

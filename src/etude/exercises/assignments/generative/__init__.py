"""Generative models by hand: variational, diffusion, adversarial, energy-based."""

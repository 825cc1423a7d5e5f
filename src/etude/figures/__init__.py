"""Pictures from tensors: Matplotlib, one style."""

"""PyTorch: tensors, automatic differentiation, modules, training, loading, saving."""

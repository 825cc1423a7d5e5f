"""ITU, assignment 1: digits with PyTorch."""

"""ECE-472, assignment 4: CIFAR-10 and CIFAR-100."""

"""Each module here states some works in ``WORKS``."""

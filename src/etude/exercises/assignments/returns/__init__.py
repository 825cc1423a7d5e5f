"""Returns by hand: what a reward now is worth, for values, advantages and policies."""

"""Optimisers by hand: from momentum to AdamW, clipping, and a schedule."""

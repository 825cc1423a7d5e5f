"""Boxes by hand: overlap, suppression, anchors, average precision, the focal loss."""

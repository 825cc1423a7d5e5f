"""Layers by hand: normalisation, dropout, convolution and pooling, forward and backward."""

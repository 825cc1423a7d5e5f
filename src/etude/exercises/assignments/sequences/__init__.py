"""Sequences by hand: recurrent steps, attention, positions, beam search, BLEU."""

"""Leaves that studies call: batches, augmentation, optimisers, schedules, the best so far,
evaluation.
"""

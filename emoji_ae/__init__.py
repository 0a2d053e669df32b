"""Autoencoders for 64x64 emoji: data set, augmentation, models, training, checkpoints.

One configuration at a time: this package knows nothing of search, storage or reports.
"""

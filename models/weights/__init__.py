"""Reads checkpoints without PyTorch: arrays mapped from the file, and what they are weights of."""

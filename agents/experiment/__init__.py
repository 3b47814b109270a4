"""A run on disk: its folder, checkpoints, metrics, provenance, seeds and progress display."""

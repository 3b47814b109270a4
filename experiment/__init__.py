"""What a run leaves behind: folder, checkpoints, metrics, provenance, seeds, progress."""

"""Renders games of a saved policy: the picture, and beside it what its memory does."""

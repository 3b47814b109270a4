"""What the project runs for itself: published results, generated pages, soak tests."""

"""What a saved policy is worth: whole games, played and counted."""

"""What a saved policy is worth, alone and beside others."""

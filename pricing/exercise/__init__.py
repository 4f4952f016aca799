"""Early exercise: when the holder exercises, and between which values that leaves the option."""

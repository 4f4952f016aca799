"""Training at a constant number of weights whose places change: SET and RigL."""

"""One process each: the assets at the payoff's dates as a deterministic function of scenario and normals."""

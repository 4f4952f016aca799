"""How weights and nodes go once they have scores: masks, all at once or in rounds, constants in the next bias."""

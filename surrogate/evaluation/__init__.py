"""How good a surrogate is, against a reference or against rows that it has not seen."""

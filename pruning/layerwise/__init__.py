"""Layers that keep as much as one error for all of them asks for: SiPP, PFP, ALDS."""

"""Pruning judged away from home: shifted domains, prune potential and excess error."""

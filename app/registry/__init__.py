"""Immutable versions on disk, with aliases and metadata in SQL. Torch-free."""

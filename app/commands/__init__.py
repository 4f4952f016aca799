"""The commands of `sobolite`, one module per group."""

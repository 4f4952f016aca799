"""Labels that somebody else's pricer made: read, checked and kept under their content hash. Torch-free."""

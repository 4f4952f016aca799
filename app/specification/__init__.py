"""What a build or prune job may be told, read, checked and described. Torch-free."""

"""What may stay after each stage, by counting alone, before anything is pruned. Torch-free."""

"""From labels to a function: losses, optimisers, training, regression."""

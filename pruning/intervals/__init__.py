"""What a network can do over a box of inputs: enclosures of values and derivatives, and what follows for its nodes."""

"""Many methods, sizes and seeds on one build, and what they cost."""

"""Problems that benchmarks share."""

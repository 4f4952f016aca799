"""One driver for all methods: budgets along a schedule, and for each a look at the samples, a cut and its repair."""

"""The HTTP interface: routes, limits, errors and documentation."""

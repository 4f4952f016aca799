"""Serve and run jobs: registry, HTTP routes, durable jobs and the command line."""

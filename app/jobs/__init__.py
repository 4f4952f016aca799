"""Durable jobs: the queue, the worker and its child processes."""

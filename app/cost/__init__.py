"""What a job takes before it has run: seconds, memory and disk, and what is refused. Torch-free."""

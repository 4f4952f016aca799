"""What is published of a surrogate: files, manifest, model card."""

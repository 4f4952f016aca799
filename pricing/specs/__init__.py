"""What is priced and how it is labelled: frozen, validated, with a JSON and TOML round trip. Torch-free."""

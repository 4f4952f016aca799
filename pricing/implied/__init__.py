"""What value of a call or put implies what volatility. Torch-free."""

"""PyTorch code, execution and activation memory of layers: one file for each layer that needs more than the default."""

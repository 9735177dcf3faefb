"""Networks as PyTorch: ops for layers, passes over them, code, and the memory that training takes."""

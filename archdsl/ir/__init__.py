"""The graph of an architecture: regions and nodes, the order of data flow among them, their tensors."""

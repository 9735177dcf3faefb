"""The graph of an architecture: regions and nodes, their order of data flow, and their tensors."""

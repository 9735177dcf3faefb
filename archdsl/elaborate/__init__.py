"""Syntax tree to network: names, parameters, blocks and shapes, and the faults in them."""

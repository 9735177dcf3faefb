"""Figures of a network: cost, accepted clip sizes, and the differences between two networks."""

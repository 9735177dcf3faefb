"""Network to figures: cost, memory, clip sizes, and what differs between two networks."""

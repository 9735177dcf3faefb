"""What training a network will need of memory and time, from its graph alone."""

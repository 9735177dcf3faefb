"""Estimates of the memory and time for training a network, from its graph alone."""

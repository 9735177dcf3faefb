"""Passes over networks of ops: the forms of code, layouts in memory, operations in place."""

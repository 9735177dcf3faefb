"""Diagrams of networks as DOT."""

"""Checks of added layers with values: all that `archdsl layers check` computes. Needs torch."""

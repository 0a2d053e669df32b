"""Experiments that follow a search."""

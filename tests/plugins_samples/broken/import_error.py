"""Needs a module that nobody has."""

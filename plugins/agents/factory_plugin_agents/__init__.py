"""Deterministic agents: a blueprint becomes software without a model."""

"""Keeps artifacts in a folder or an object store."""

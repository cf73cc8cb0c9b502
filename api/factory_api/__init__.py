"""The REST interface and event streams of Factory Studio."""

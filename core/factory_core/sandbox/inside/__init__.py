"""Scripts that run inside a sandbox. Standard library only."""

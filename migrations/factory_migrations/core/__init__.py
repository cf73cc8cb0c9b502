"""The kernel's own tables: organisations, builds and their journal."""

"""Scripts that run in the sandbox, with the generated project's toolchain. They import nothing of the studio."""

"""For authors of plugins and for the studio's own tests: real servers as fixtures, and a suite for each contract.

The fixtures of ``factory_core.testing.plugin`` are there wherever factory-core is installed; a suite is a class to
subclass."""

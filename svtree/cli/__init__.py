"""The `svtree` command: one module per verb."""

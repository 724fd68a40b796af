"""What changes on disk becomes an action: compile, restart, signal, run."""

"""One thin file per program: its usage text, its options, its `main`."""

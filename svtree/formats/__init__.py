"""Bytes into values and back, without I/O: what is on disk, on the wire, in the environment."""

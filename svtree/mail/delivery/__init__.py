"""Delivery: local, remote, and the two spawners."""

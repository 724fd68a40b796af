"""Turning connections into processes: accept, decide, hand over."""

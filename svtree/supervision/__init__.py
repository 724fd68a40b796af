"""Keeping services alive: the lifecycle table, the engine that performs it, and what is on disk beside a service."""

"""svtree: a supervised service tree in the manner of daemontools, with the mail programs that usually run on it."""

__version__ = "0.1.0"

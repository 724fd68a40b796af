"""SMTP: the protocol machine and the server that drives it."""

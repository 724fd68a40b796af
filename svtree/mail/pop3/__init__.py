"""POP3: the protocol machine and the server that drives it."""

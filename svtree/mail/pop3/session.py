"""The POP3 server session as a pure machine."""

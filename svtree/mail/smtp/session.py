"""The SMTP server session as a pure machine."""

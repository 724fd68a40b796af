"""The qmail-compatible mail set: SMTP, POP3, the queue, delivery and injection."""

"""Injection: completing a header and handing the message to the queue."""

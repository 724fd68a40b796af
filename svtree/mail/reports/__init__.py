"""What an administrator asks qmail's files: the queue, the control files."""

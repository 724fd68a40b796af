"""The queue: writing messages, the scheduler, the cleaner."""

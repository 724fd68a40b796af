"""QMQP and QMTP, the quick protocols that carry mail in netstrings."""

"""Mailing lists of addresses in .qmail files: who is on them, how one gets on and off by mail, and what bounces."""

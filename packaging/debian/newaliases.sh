#!/bin/sh
# Aliases are files, .qmail-NAME in the home directory of alias, and need no database.
exit 0

#!/bin/sh
# What is in the queue, under the name it has with every mail system.
exec /usr/libexec/svtree/bin/qmail-qread "$@"

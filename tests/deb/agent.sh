#!/bin/sh
# In a virtual machine: runs what its second serial line says, a script in base64 a line; answers with its exit code and
# what it said, in base64.
line=/dev/ttyS1
stty -F $line raw -echo
exec 3<>$line
echo here >&3
while read -r script <&3; do
  echo "$script" | base64 -d >/run/agent.script
  sh /run/agent.script >/run/agent.said 2>&1 </dev/null 3>&-
  code=$?
  echo "$code $(base64 -w 0 /run/agent.said)" >&3
done

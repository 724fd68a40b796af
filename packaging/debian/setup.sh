#!/bin/sh
# setup HOST [RELAYED ...]: make the tree of this machine, once: configuration in /etc/svtree, state in /var/lib/svtree.
# setup --tls CERT KEY: give it today's mail, that is logins, TLS and the services submission, smtps and pop3s; later,
# when the certificate has been renewed, put the new one in place.
#
# The first is called by the package at its first configuration. A tree that is there is left as it is, so that a
# service which the administrator has removed stays removed. SVTREE_SMTP, SVTREE_POP3, SVTREE_SUBMISSION, SVTREE_SMTPS
# and SVTREE_POP3S (HOST:PORT) say where to listen.
set -eu
umask 022
export PATH=/usr/libexec/svtree/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/svtree
config=/etc/svtree
fresh="$state/.fresh"

# To where it is going to be, before it is named there: env files name the place they were made for.
relocate() {
  for file in "$fresh"/service/*/env/*; do
    sed -i "s|$fresh/|$state/|g" "$file"
  done
}

# Each piece of configuration to /etc, unless it is there from an earlier installation; a link in its place.
adopt() {
  mkdir -p "$(dirname "$2")"
  if [ -e "$2" ] || [ -L "$2" ]; then rm -rf "$1"; else mv "$1" "$2"; fi
  ln -s "$2" "$1"
}

# So with all pieces of a service directory.
settle() {
  there="$config/service/${1##*/}"
  for piece in run watch log/run; do
    [ ! -e "$1/$piece" ] || { rm "$1/$piece" && ln -s "$there/$piece" "$1/$piece"; }
  done
  for piece in env log/env tcp.smtp; do
    [ ! -e "$1/$piece" ] || adopt "$1/$piece" "$there/$piece"
  done
}

if [ "$1" = --tls ]; then
  if [ ! -e "$state/service/smtpd" ]; then
    echo "setup: fatal: there is no $state/service/smtpd" >&2
    exit 1
  fi
  rm -rf "$fresh"
  svtree init "$fresh" --host "$(head -n 1 "$config/control/me")" --tls "$2" "$3" \
    --syslog "$(head -n 1 "$state/service/smtpd/log/env/SVTREE_SYSLOG")" --smtps "${SVTREE_SMTPS:-0:465}" \
    --submission "${SVTREE_SUBMISSION:-0:587}" --pop3s "${SVTREE_POP3S:-0:995}" >/dev/null
  relocate
  mv "$fresh/qmail/control/servercert.pem" "$config/control/servercert.pem"
  # Once only: what the administrator has changed or removed since stays so.
  if [ ! -e "$config/service/submission/env" ]; then
    for name in esmtp pop3 rcptcheck; do
      [ -e "$config/control/$name" ] || mv "$fresh/qmail/control/$name" "$config/control/$name"
    done
    for name in submission smtps pop3s; do
      settle "$fresh/service/$name"
      mv "$fresh/service/$name" "$state/service/$name"
    done
  fi
  rm -rf "$fresh"
  exit 0
fi

host="$1"
shift
[ ! -e "$state/service" ] || exit 0
# A name without a dot is completed when mail is addressed (control/plusdomain), and would then not be ours any more.
case "$host" in
  *.*) ;;
  *) host="$host.localdomain" ;;
esac

# Whether something listens on a TCP port of this machine (in hexadecimal, as proc(5) has it).
taken() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$1 [0-9A-F]*:0000 0A "
}

# Where nobody has a syslog, the tree brings its own.
syslog=
if [ -S /dev/log ] || [ -d /run/systemd/system ] || [ -x /usr/sbin/rsyslogd ] || [ -x /usr/sbin/syslog-ng ] ||
  [ -x /sbin/syslogd ] || [ -x /usr/sbin/syslogd ]; then
  syslog=unix:/dev/log
fi

rm -rf "$fresh"
svtree init "$fresh" --host "$host" --smtp "${SVTREE_SMTP:-0:25}" --pop3 "${SVTREE_POP3:-0:110}" \
  ${syslog:+--syslog "$syslog"} >/dev/null

relocate
rules="$fresh/service/smtpd/tcp.smtp"
for network in "$@"; do
  printf '%s:allow,RELAYCLIENT=""\n' "$network"
done | cat - "$rules" >"$rules.new"
mv "$rules.new" "$rules"
tcprules "$rules.cdb" "$rules.tmp" <"$rules"
chmod 644 "$rules.cdb"

for service in "$fresh"/service/*; do
  settle "$service"
done
adopt "$fresh/qmail/control" "$config/control"
if [ -d "$fresh/service/syslog" ]; then
  mkdir -p /var/log/svtree/main
  ln -s /var/log/svtree/main "$fresh/service/syslog/log/main"
fi

# Beside another mail server ours keeps quiet until it is told otherwise (svc -u, and rm down).
if taken 0019 || { [ -e /usr/sbin/sendmail ] && [ "$(readlink -f /usr/sbin/sendmail)" != \
  /usr/libexec/svtree/bin/sendmail ]; }; then
  : >"$fresh/service/smtpd/down"
fi
! taken 006E || : >"$fresh/service/pop3d/down"

mkdir -p "$state"
mv "$fresh/qmail" "$state/qmail"
# Last, and at once: with this the tree is there.
mv "$fresh/service" "$state/service"
rmdir "$fresh"

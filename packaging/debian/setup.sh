#!/bin/sh
# setup HOST [RELAYED ...]: make the tree of this machine, once: configuration in /etc/svtree, state in /var/lib/svtree.
#
# Called by the package at its first configuration. A tree that is there is left as it is, so that a service which the
# administrator has removed stays removed. SVTREE_SMTP and SVTREE_POP3 (HOST:PORT) say where to listen.
set -eu
umask 022
export PATH=/usr/libexec/svtree/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/svtree
config=/etc/svtree
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

fresh="$state/.fresh"
rm -rf "$fresh"
svtree init "$fresh" --host "$host" --smtp "${SVTREE_SMTP:-0:25}" --pop3 "${SVTREE_POP3:-0:110}" \
  ${syslog:+--syslog "$syslog"} >/dev/null

# To where it is going to be, before it is named there: env files name the place they were made for.
for file in "$fresh"/service/*/env/*; do
  sed -i "s|$fresh/|$state/|g" "$file"
done
rules="$fresh/service/smtpd/tcp.smtp"
for network in "$@"; do
  printf '%s:allow,RELAYCLIENT=""\n' "$network"
done | cat - "$rules" >"$rules.new"
mv "$rules.new" "$rules"
tcprules "$rules.cdb" "$rules.tmp" <"$rules"
chmod 644 "$rules.cdb"

# Each piece of configuration to /etc, unless it is there from an earlier installation; a link in its place.
adopt() {
  mkdir -p "$(dirname "$2")"
  if [ -e "$2" ] || [ -L "$2" ]; then rm -rf "$1"; else mv "$1" "$2"; fi
  ln -s "$2" "$1"
}
for service in "$fresh"/service/*; do
  name="${service##*/}"
  there="$config/service/$name"
  for piece in run watch log/run; do
    [ ! -e "$service/$piece" ] || { rm "$service/$piece" && ln -s "$there/$piece" "$service/$piece"; }
  done
  for piece in env log/env tcp.smtp; do
    [ ! -e "$service/$piece" ] || adopt "$service/$piece" "$there/$piece"
  done
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

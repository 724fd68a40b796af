#!/bin/sh
# machine.sh PLACE PROGRAMS SHOWN... -- COMMAND...
# In namespaces of its own (unshare), make a machine out of this one and run COMMAND in it as process 1: the same files
# until they are written, qmail's accounts and two people, no network but its own, no device but the harmless ones,
# PROGRAMS in /usr/bin as the packages lay them there. What is SHOWN is there as it is outside. Nothing that is done in it
# is seen outside, and nothing is left of it.
set -e
place=$1 programs=$2
shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
root=$place/root
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$root"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --rbind "$1" "$root$1"
  # Every account may come this far.
  above=${1%/*}
  while [ "$above" ]; do
    chmod a+x "$root$above" 2>/dev/null || true
    above=${above%/*}
  done
  shift
done
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for each in null zero full random urandom tty; do
  : >"$root/dev/$each"
  mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
ip link set lo up
for each in 2 7 25 66; do ip addr add "192.0.2.$each/32" dev lo; done
hostname mail.example.com

cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
alias:x:7790:2108:qmail:/var/qmail/alias:/bin/true
qmaild:x:7791:2108:qmail:/var/qmail:/bin/true
qmaill:x:7792:2108:qmail:/var/qmail:/bin/true
qmailp:x:7793:2108:qmail:/var/qmail:/bin/true
qmailq:x:7794:2107:qmail:/var/qmail:/bin/true
qmailr:x:7795:2107:qmail:/var/qmail:/bin/true
qmails:x:7796:2107:qmail:/var/qmail:/bin/true
jiro:x:502:502:Jiro:/home/jiro:/bin/sh
joe:x:503:78:Joe:/home/joe:/bin/sh
END
cat >"$root/etc/group" <<'END'
root:x:0:
daemon:x:1:
tty:x:5:
users:x:78:
jiro:x:502:
qmail:x:2107:
nofiles:x:2108:
nogroup:x:65534:
END
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n' \
  >"$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n192.0.2.25 mail.example.com mail\n' >"$root/etc/hosts"
rm -rf "$root/var/qmail" "$root/service" "$root/srv" "$root/home" "$root/var/spool/mail"
mkdir -p "$root/home/jiro" "$root/home/joe" "$root/srv" "$root/var/lock" "$root/usr/local/bin"
chown 502:502 "$root/home/jiro"
chown 503:78 "$root/home/joe"
grep -lZF 'from svtree.multicall import run' "$programs"/* | xargs -0 ln -sf -t "$root/usr/bin"
exec chroot "$root" "$@"

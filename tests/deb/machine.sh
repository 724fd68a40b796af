#!/bin/sh
# machine.sh BASE FOLDER PACKAGES PREPARE INIT [ARGUMENT ...]: in new namespaces, a copy of the Debian in BASE on a tmpfs
# at FOLDER/root, with FOLDER/kept as its /kept; PREPARE is run in it, with a copy of PACKAGES (if not empty) as its
# /packages, then INIT becomes its PID 1.
set -e
base="$1" root="$2/root" kept="$2/kept" packages="$3" prepare="$4"
shift 4
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 machine "$root"
cp -a "$base/." "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
# The console says nothing and takes everything.
mknod -m 600 "$root/dev/console" c 1 3
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir "$root/packages" "$root/kept"
mount --bind "$kept" "$root/kept"
[ -z "$packages" ] || cp "$packages"/*.deb "$root/packages"
ip link set lo up
hostname machine.example.com
echo machine.example.com >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 machine.example.com machine\n' >"$root/etc/hosts"
# No terminals here for gettys to wait on.
[ ! -e "$root/etc/inittab" ] || sed -i '/getty/d' "$root/etc/inittab"
chroot "$root" sh -c "$prepare"
echo prepared
# Everything that is not in a namespace stays as it is: the clock, the kernel's modules and messages.
exec chroot "$root" setpriv --bounding-set=-sys_time,-sys_module,-syslog,-sys_rawio "$@"

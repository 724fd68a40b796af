#!/bin/sh
# autopkgtest.sh BASE ROOT PACKAGES SOURCE: in namespaces of mounts and processes, a copy of the Debian in BASE on a tmpfs
# at ROOT with PACKAGES installed; SOURCE's debian/tests are run in it, on a network of its own.
set -e
base="$1" root="$2" packages="$3" source="$4"
mount --make-rprivate /
mount -t tmpfs -o size=2g,mode=755 machine "$root"
cp -a "$base/." "$root"
mkdir "$root/packages"
cp "$packages"/*.deb "$root/packages"
cp /etc/resolv.conf "$root/etc"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs run "$root/run"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# dpkg-dev is what autopkgtest reads a source tree with.
chroot "$root" sh -c 'apt-get -q update && apt-get -q install -y --no-install-recommends dpkg-dev /packages/*.deb' || {
  echo 'no archive of Debian to be reached'
  exit 77
}
# In the background, so that this shell, PID 1 here, reaps what daemons leave to it while it waits.
unshare --net sh -c 'ip link set lo up; exec autopkgtest --no-built-binaries "$0" -- chroot "$1"' "$source" "$root" &
wait $!

#!/bin/sh
# systemd.sh PLAIN TARGET KERNEL: a copy of the Debian in PLAIN at TARGET, with systemd in the place of its init; the
# kernel that Debian has for virtual machines as the file KERNEL. In a namespace of mounts. The last line says what failed.
set -e
plain="$1" target="$2" kernel="$3"
mount --make-rprivate /
cp -a "$plain" "$target"
cp /etc/resolv.conf "$target/etc"
mount -t proc proc "$target/proc"
printf '#!/bin/sh\nexit 101\n' >"$target/usr/sbin/policy-rc.d"
chmod 755 "$target/usr/sbin/policy-rc.d"
chroot "$target" sh -e -c '
  apt-get -q update
  apt-get -q install -y --no-install-recommends --allow-remove-essential systemd-sysv cpio sysvinit-core-
  cd /tmp
  apt-get -q download "$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/ *Depends: \(linux-image-.*\)/\1/p")"
  dpkg-deb -x linux-image-*.deb image
  rm -r linux-image-*.deb /var/cache/apt/archives/*.deb
' || {
  echo 'no archive of Debian to be reached, or not one for amd64'
  exit 1
}
rm "$target/usr/sbin/policy-rc.d"
cp "$target"/tmp/image/boot/vmlinuz-* "$kernel.new"
rm -r "$target/tmp/image"
mv "$kernel.new" "$kernel"

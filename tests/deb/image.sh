# In a machine of namespaces: make of it what boots in a virtual one, /kept/image, with its files all in memory.
set -e
# Nowhere else.
cd /kept
cat >/etc/systemd/system/agent.service <<EOF
[Unit]
Description=What the tests say by a serial line
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
ExecStart=/bin/sh /agent.sh
TasksMax=infinity
[Install]
WantedBy=sysinit.target
EOF
systemctl -q enable agent.service
# Nothing that takes time and belongs to no test.
systemctl -q mask getty@.service getty-static.service serial-getty@.service systemd-pstore.service systemd-firstboot.service \
  systemd-udevd.service systemd-udev-trigger.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer fstrim.timer systemd-update-utmp.service systemd-update-utmp-runlevel.service
systemctl -q set-default multi-user.target
ln -sf /lib/systemd/systemd /init
cd /
find . -xdev \( -path ./packages -o -path ./usr/share/doc -o -path ./usr/share/locale -o -path ./var/lib/apt/lists \
  -o -path ./var/cache/apt -o -path ./usr/share/man -o -path ./usr/share/i18n -o -path ./lib/udev/hwdb.d \) -prune -o -print0 |
  cpio --quiet -0 -o -H newc >/kept/image

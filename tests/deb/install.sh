#!/bin/sh
# Install what builds, checks and boots the Debian packages. For CI, as root; Debian. What cannot be had is skipped by
# the tests, with its reason.
refreshed=
# install PACKAGE ...: those that are missing, together.
install() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests: not root, or no Debian: not installing$missing; the tests that need them are skipped"
    return 0
  fi
  [ -n "$refreshed" ] || apt-get -q update >/dev/null
  refreshed=yes
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing >/dev/null ||
    echo "tests: unable to install$missing; the tests that need them are skipped"
}

install debhelper dh-python dpkg-dev fakeroot lintian debootstrap piuparts autopkgtest \
  python3-click python3-dnspython python3-docutils python3-psutil python3-watchdog
# By itself: not every archive has it.
install qemu-system-x86

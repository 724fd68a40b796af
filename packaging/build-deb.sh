#!/bin/sh
# build-deb.sh DIRECTORY [SUFFIX]: build the Debian packages of HEAD into DIRECTORY.
#
# From a clean export, so that nothing of a working tree gets in, and with a fixed umask: two builds of a commit are the
# same byte for byte. SUFFIX, as "+1", makes the version newer, to try an upgrade with.
set -eu
out="$1" suffix="${2:-}"
root="$(cd "$(dirname "$0")/.." && pwd)"
for program in dpkg-buildpackage dh_python3 rst2man; do
  command -v "$program" >/dev/null || {
    echo "svtree: fatal: $program is missing: apt-get install debhelper dh-python dpkg-dev python3-docutils" >&2
    exit 1
  }
done
umask 022
export LC_ALL=C.UTF-8 TZ=UTC
# The distribution's own Python and nothing of an environment that may be active.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV || true
mkdir -p "$out"
out="$(cd "$out" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
source="$work/svtree"
mkdir "$source"
git -C "$root" archive --format=tar HEAD | tar -x -C "$source"
ln -s packaging/debian "$source/debian"
if [ -n "$suffix" ]; then
  sed -i "1s/(\([^)]*\))/(\1$suffix)/" "$source/packaging/debian/changelog"
fi
if ! (cd "$source" && dpkg-buildpackage -us -uc -b -tc) >"$work/log" 2>&1; then
  cat "$work/log" >&2
  exit 1
fi
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out"

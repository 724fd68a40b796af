#!/bin/sh
# Install the originals and the real clients that the tests compare and talk with. For CI, as root; Debian.
set -e
wanted="daemontools ucspi-tcp runit s6 swaks mpop socat fetchmail msmtp s-nail curl openssl
mutt libsasl2-modules libnet-ssleay-perl libdigest-hmac-perl"
missing=""
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "tests: not root: not installing$missing; comparisons with them are skipped"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
# shellcheck disable=SC2086 # a list of words
apt-get -q install -y --no-install-recommends $missing >/dev/null

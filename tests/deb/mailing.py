"""A machine that receives mail for jiro: how the packages are installed, and Python programs for mail in and out."""

from __future__ import annotations

INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo 'svtree svtree/host string mail.example.com' | debconf-set-selections
dpkg -i /packages/*.deb
rm /usr/sbin/policy-rc.d
adduser --disabled-password --gecos '' jiro >/dev/null
echo jiro:sesame | chpasswd
su jiro -c '/usr/bin/maildirmake /home/jiro/Maildir'
"""

SEND = """
import smtplib, sys
with smtplib.SMTP('127.0.0.1', 25, 'client', 300) as client:
    text = 'Subject: ' + sys.argv[1] + '\\r\\n\\r\\nx\\r\\n'
    client.sendmail('saburo@elsewhere.example', 'jiro@mail.example.com', text)
"""
FETCH = """
import poplib
client = poplib.POP3('127.0.0.1', 110, timeout=300)
client.user('jiro'); client.pass_('sesame')
for number in range(client.stat()[0]):
    print(b'\\n'.join(client.retr(number + 1)[1]).decode())
client.quit()
"""
# One session that stays open for all of it, and new ones without pause; ends at a line on the FIFO, says what failed.
LOAD = """
import os, smtplib
kept = smtplib.SMTP('127.0.0.1', 25, 'kept', 300)
kept.helo()
print('loading', flush=True)
count = failed = 0
while not os.path.exists('/tmp/enough'):
    try:
        with smtplib.SMTP('127.0.0.1', 25, 'new', 300) as client:
            client.helo()
        count += 1
    except (OSError, smtplib.SMTPException) as error:
        failed += 1
        print(error, flush=True)
print('kept', kept.noop()[0], 'count', count > 0, 'failed', failed, flush=True)
kept.quit()
"""

# The examples of the manual pages, each run as it is printed, in a machine of its own (machine.sh). For bash.
#
# A scene begins with its name: a page, and what tells it from the page's others. $E1, $E2 and so on are files that hold
# the page's examples; of a transcript, what is typed and then what is printed. What is not ours (elm, procmail, a program
# called `program`) is played by a script that tells what it was given. `see` waits for what it asserts; the patience of
# the test ends a wait in vain.
set -e
cd /home/jiro
E1=$1 E2=${2-} E3=${3-} E4=${4-}
export HOME=/home/jiro USER=jiro LC_ALL=C.UTF-8

# Until that is true.
see() { until eval "$1" 2>>seen; do sleep 0.1; done; }
# An example that goes on until the machine ends.
serve() { sh "$1" >served 2>&1 </dev/null & }
# A program that is not ours: a name, and what it does.
other() { printf '#!/bin/sh\n%s\n' "$2" >"/usr/local/bin/$1"; chmod 755 "/usr/local/bin/$1"; }
names() {
  [ -e /run/names ] || "$PYTHON" -m tests.docs.neighbours &
  see '[ -e /run/names ]'
}
mail() {
  names
  svtree init /srv/mail --host mail.example.com --user jiro:sesame --syslog unix:/dev/log >/dev/null
  ln -s /srv/mail/qmail /var/qmail
  mkdir -p /etc/relay-ctrl
  echo /var/qmail/relay-ctrl/spool >/etc/relay-ctrl/RELAY_CTRL_DIR
  printf '127.:allow,RELAYCLIENT=""\n:allow\n' | tcprules /etc/tcp.smtp.cdb /etc/tcp.smtp.tmp
  cp /etc/tcp.smtp.cdb .
}
# The log of the machine, in the file syslog.
syslog() { syslog-receiver unix:/dev/log >syslog & see '[ -S /dev/log ]'; }
services() {
  mail
  syslog
  mkdir /service
  ln -s /srv/mail/service/smtpd /srv/mail/service/pop3d /srv/mail/service/qmail-send /service
}
up() {
  services
  svscan /service &
  for each in smtpd pop3d qmail-send; do see "svstat /service/$each | grep -q ': up'"; done
  see greeted
}
listens() { (exec 9<>"/dev/tcp/${2-127.0.0.1}/$1"); }
# A client that waits for its turn to speak.
polite() { (exec 9<>/dev/tcp/127.0.0.1/25 && head -n 1 <&9 | grep -q '^220'); }
said() { printf "$2" | mconnect 127.0.0.1 "$1"; }
greeted() { said 25 'quit\n' | grep -q '^220'; }
popped() { said 110 'user jiro\npass sesame\nquit\n' | grep -c '^+OK' | grep -qx 4; }
waiting() { qmail-qstat | grep -qx "messages in queue: $1"; }
queued() { grep -rqa -e "$1" /var/qmail/queue/mess /var/qmail/queue/todo /var/qmail/queue/remote; }
# What takes mail from those who may not write the queue.
taking() { qmail-queued & see '[ -S /var/qmail/queue/socket ]'; }
letter() { printf 'To: joe\nSubject: %s\n%s\n\nhi\n' "${1-hi}" "${2-}"; }
# Deliver standard input to joe as his .qmail, the example $1, says; $2: the rest of the address, $3: the sender.
deliver() {
  cp "$1" "/home/joe/.qmail${2:+-default}"
  [ -d /home/joe/Maildir ] || setuidgid joe maildirmake /home/joe/Maildir
  cat >/home/joe/letter
  (
    cd /home/joe
    export HOME=/home/joe USER=joe
    setuidgid joe qmail-local joe "$HOME" "joe${2:+-$2}" "${2:+-}" "${2-}" mail.example.com "${3-ann@example.net}" \
      ./Maildir/ <letter
  )
}
delivered() { ls /home/joe/Maildir/new | wc -l | grep -qx "$1"; }
# The command $2 exits with $1.
ends() {
  code=0
  eval "$2" >told 2>&1 || code=$?
  [ "$code" = "$1" ] || { cat told; echo "exit $code"; false; }
}
# The command of an example that begins so.
line() { sh -c "$(grep "^$2" "$1")"; }
# A mail reader that qmail's wrapper $1 runs, once the mail is where it looks.
reads() {
  maildirmake Maildir
  letter >Maildir/new/1
  other "$2" 'cp "$MAIL" fetched'
  MAILDIR=$HOME/Maildir MAIL=$HOME/Mailbox MAILTMP=$HOME/Mailbox.tmp sh "$1"
  grep -q '^Subject: hi' fetched
}
certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mail.example.com -keyout "$1" -out "$2" 2>/dev/null
}

#### addcr.1
printf 'a\nb\n' >letter
sh $E1
printf 'a\r\nb\r\n' | cmp - letter.new

#### argv0.1
[ "$(echo 'echo $0' | sh $E1)" = -sh ]

#### bouncesaying.1
mail
head -n 1 $E1 >first
tail -n 1 $E1 >second
ends 100 'letter | deliver first'
grep -q 'no longer accepts mail' told
ends 0 'letter | deliver second'
ends 100 'letter hi "Content-Type: multipart/mixed" | deliver second'
grep -q attachments told

#### checkpassword.8
mail
sh $E1 | grep -q '^uid='

#### condredirect.1
mail
taking
letter | deliver $E1
delivered 1
waiting 0
letter 'this is urgent' | deliver $E1
delivered 1
waiting 1
queued joe@work.example

#### config-fast.8
mail
rm /var/qmail/control/*
sh $E1
grep -qx mail.example.com /var/qmail/control/me

#### config.8
mail
rm /var/qmail/control/*
sh $E1 >told
grep -q 'Messages for mail.example.com are delivered locally' told

#### date@.1
names
tcpserver -RHl0 0 13 echo 25 NOV 2026 &
see 'sh $E1 | grep -q NOV'

#### datemail.1
mail
mkdir -p /var/qmail/bin
ln -s /usr/bin/datemail /var/qmail/bin/
eval "$(sed 's/^set //' $E1)"
printf 'To: jiro\n\nhi\n' | $sendmail jiro
queued '^Date: '

#### delcr.1
printf 'a\r\nb\r\n' >letter
sh $E1
printf 'a\nb\n' | cmp - letter.new

#### elq.1
reads $E1 elm

#### envdir.8
mail
mkdir env
echo 77 >env/DATABYTES
chmod +x $E1
$E1 >served 2>&1 &
see greeted

#### envuidgid.8
mail
serve $E1
see greeted
pgrep -u qmaild -f tcpserver

#### except.1
mail
echo ann@example.net >/home/joe/members
ends 0 'letter | deliver $E1'
ends 100 'letter | deliver $E1 "" eve@example.net'
grep -q 'Only members' told

#### fghack.8
ln -s /usr/local/bin/oldd /usr/sbin/oldd
other oldd 'sh -c "until [ -e stop ]; do sleep 0.1; done; touch stopped" & touch /home/jiro/started'
chmod +x $E1
($E1; touch ended) &
see '[ -e started ]'
touch stop
see '[ -e ended ]'
[ -e stopped ]

#### finger@.1
names
tcpserver -RHl0 0 79 sh -c 'read who; echo "$who has no plan"' &
see 'sh $E1 | grep -q root'

#### fixcrio.1
mail
serve $E1
see greeted
exec 3<>/dev/tcp/127.0.0.1/25
printf 'quit\n' >&3
grep -q '^221' <&3

#### forward.1
mail
taking
letter | deliver $E1 list-bob
waiting 1
queued bob@other.example

#### http@.1
names
tcpserver -RHl0 0 80 sh -c 'read request; printf "HTTP/1.0 200 OK\r\n\r\nUser-agent: *\n"' &
see 'sh $E1 | grep -q User-agent'

#### maildir2mbox.1
maildirmake Maildir
letter >Maildir/new/1
sh $E1
grep -q '^From ' Mailbox

#### maildirmake.1
sh $E1
[ -d Maildir/new ]

#### maildirwatch.1
maildirmake Maildir
letter >Maildir/new/1
serve $E1
see 'grep -q hi served'

#### mailsubj.1
mail
sh $E1
queued '^Subject: disks on mail.example.com'

#### mconnect-io.1
mail
tcpserver -RHl0 0 smtp qmail-smtpd &
see 'echo quit | sh $E1 | grep -q ^220'

#### mconnect.1
mail
tcpserver -RHl0 0 smtp qmail-smtpd &
see 'sh $E1 | grep -q ^221'

#### multilog.8
printf '%s\n' 'debug: x' 'fatal: y' plain | sh $E1
[ "$(wc -l <main/current)" = 2 ]
[ "$(wc -l <fatal/current)" = 1 ]
grep -q 'fatal: y' fatal/current

#### pgrphack.8
other server 'ps -o pid=,pgid= $$'
sh $E1 >told
read -r pid group <told
[ "$pid" = "$group" ]

#### pinq.1
reads $E1 pine

#### predate.1
mail
letter >message
sh $E1
queued '^Date: '

#### preline.1
mail
other procmail 'cat >got'
other vacation 'echo "$*" >asked; cat >/dev/null'
head -n 1 $E1 >first
tail -n 1 $E1 >second
letter | deliver first
head -n 1 /home/joe/got | grep -q '^From '
letter | deliver second
grep -qx joe /home/joe/asked

#### qail.1
reads $E1 Mail

#### qbiff.1
mail
letter | deliver $E1
delivered 1

#### qmail-authority.8
mail
serve $E1
see greeted
pgrep -u qmaild -f tcpserver

#### qmail-getpw.8
mail
[ "$(sh $E1 | sed 's/ *$//')" = "$(cat $E2)" ]

#### qmail-inject.8
mail
printf 'bob@example.net eve@example.net' >subscribers
letter >news
sh $E1 >told
waiting 2
queued owner-news@example.com
grep -q '^to: a@mail.example.com,' told

#### qmail-local.8
mail
echo '&ann@example.net' >.qmail
letter | sh $E1 | grep ann@example.net

#### qmail-newmrh.8
mail
echo example.net >/var/qmail/control/morercpthosts
sh $E1
[ -s /var/qmail/control/morercpthosts.cdb ]

#### qmail-newu.8
mail
cp $E1 /var/qmail/users/assign
qmail-newu
qmail-start ./Mailbox &
letter | qmail-inject -a joe.shmoe
see '[ -s /home/joe/Mailbox ]'

#### qmail-pop3d.8
mail
serve $E1
see popped

#### qmail-popup.8
mail
serve $E1
see popped
[ -e /var/qmail/relay-ctrl/spool/127.0.0.1 ]

#### qmail-pw2u.8
mail
sh $E1
grep -q '^=joe:joe:503:78:/home/joe' /var/qmail/users/assign
[ -s /var/qmail/users/cdb ]

#### qmail-qmqpc.8
mail
letter >message
echo 127.0.0.1 >/var/qmail/control/qmqpservers
tcpserver -RHl0 0 628 qmail-qmqpd &
see 'listens 628'
sh $E1
waiting 1

#### qmail-qmqpd.8
mail
taking
echo :allow | tcprules qmqp.cdb tmp
serve $E1
see 'listens 628'
echo 127.0.0.1 >/var/qmail/control/qmqpservers
letter | QMAILQUEUE=qmail-qmqpc sendmail joe@example.com
waiting 1

#### qmail-qmtpd.8
mail
taking
echo ':allow,RELAYCLIENT=""' | tcprules tcp.qmtp.cdb tmp
serve $E1
see 'listens 209'
exec 3<>/dev/tcp/127.0.0.1/209
printf '4:\nhi\n,5:a@b.c,25:21:jiro@mail.example.com,,' >&3
grep -qa ':Kok ' <<<"$(head -c 12 <&3)"
waiting 1

#### qmail-qread.8
mail
other relay 'echo 220 hi
while read -r word; do
  case $word in
    RCPT*b@*) echo 450 later;;
    DATA*) echo 354 go;;
    HELO*|EHLO*|MAIL*|RCPT*|.*) echo 250 ok;;
    QUIT*) exit;;
  esac
done'
tcpserver -RHl0 127.0.0.1 2500 sh -c 'relay | addcr' &
see 'listens 2500'
echo ':127.0.0.1:2500' >/var/qmail/control/smtproutes
qmail-start ./Mailbox &
letter | qmail-inject -a -fanonymous@mail.example.com a@remote.example b@remote.example
shape() { sed 's/^.* GMT  #[0-9]*  [0-9]* /WHEN /; s/ *$//' "$1" | sort; }
shape $E1 >wanted
see 'qmail-qread >told; shape told | diff wanted - >&2'

#### qmail-qstat.8
mail
echo ':127.0.0.1:2500' >/var/qmail/control/smtproutes
qmail-start ./Mailbox &
letter | qmail-inject -a a@remote.example
see 'qmail-qstat | cmp - $E1 >&2'

#### qmail-queue.8
mail
letter >message
sh $E1
waiting 1
queued Tbob@example.com

#### qmail-remote.8
mail
cp $E1 /var/qmail/control/smtproutes
echo other.example >/var/qmail/control/rcpthosts
tcpserver -RHl0 192.0.2.25 smtp qmail-smtpd &
see 'listens 25 192.0.2.25'
letter | qmail-remote other.example ann@example.net bob@other.example | tr '\0' '\n' >told
grep -q '^r' told
waiting 1

#### qmail-showctl.8
mail
echo x >/var/qmail/control/strange
sh $E1 | grep -q 'no idea'

#### qmail-smtpd.8
mail
syslog
sh $E1
see greeted
see 'grep -q "tcpserver: ok" syslog'
cd /var/qmail
sh $E2 >served 2>&1 &
see 'echo QUIT | openssl s_client -quiet -connect 127.0.0.1:465 | grep -q ^220'

#### qmail-start.8
mail
chmod +x $E1
$E1 >served &
letter | qmail-inject jiro
see 'ls /var/qmail/home/jiro/Maildir/new | grep -q .'
kill $!
wait $!
syslog
sh $E2
letter | qmail-inject jiro
see 'grep -q "qmail: .*end msg" syslog'
[ -s /var/qmail/home/jiro/Mailbox ]

#### qmail-tcpok.8
up
sh $E1

#### qmail-tcpto.8
mail
# 192.0.2.1, two timeouts, the last of them 512 seconds ago, little-endian.
when=$(printf '%08x' $(($(date +%s) - 512)) | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/')
printf "\\300\\0\\2\\1\\2\\0\\0\\0$when\\0\\0\\0\\0" >/var/qmail/queue/lock/tcpto
shape() { sed 's/[0-9]* seconds/N seconds/'; }
[ "$(qmail-tcpto | shape)" = "$(shape <$E1)" ]

#### qreceipt.1
mail
taking
letter hi 'Notice-Requested-Upon-Delivery-To: joe@mail.example.com' | deliver $E1
delivered 1
queued Tann@example.net

#### qsmhook.1
mail
other distribute 'echo "$*" >asked; cat >/dev/null'
letter | deliver $E1
grep -q '^-f ann@example.net joe' /home/joe/asked

#### rblsmtpd.1
mail
serve $E1
see greeted
printf 'mail <a@b.example>\nrcpt <jiro@mail.example.com>\nquit\n' >typed
tcpclient -RHl0 -i 192.0.2.66 127.0.0.1 25 mconnect-io <typed | grep '^553 .*dial-ups'

#### readproctitle.8
eval "$(head -n 1 $E1)"
second=$(tail -n 1 $E1)
shape() { sed -n 's/^.*\(errors: .*full\) *$/\1/p'; }
see '[ "$(eval "$second" | shape)" = "$(shape <$E2)" ]'

#### recordio.1
mail
syslog
sh $E1
see greeted
see 'grep -q "> 220" syslog'

#### relay-ctrl-age.8
mail
cd /var/qmail/relay-ctrl/spool
touch -d '1 day ago' 192.0.2.9
touch 192.0.2.8
sed 's/^[* ]*//' $E1 | sh
[ "$(ls)" = 192.0.2.8 ]

#### relay-ctrl-allow.8
mail
serve $E1
see popped
[ -e /var/qmail/relay-ctrl/spool/127.0.0.1 ]

#### relay-ctrl-chdir.8
mail
rm -r /var/qmail/relay-ctrl /etc/relay-ctrl
sed -i 's/ tcpserver \.\.\. / tcpserver -R -H 0 smtp /' $E1
serve $E1
see greeted
[ "$(stat -c %a /var/qmail/relay-ctrl /var/qmail/relay-ctrl/spool | tr '\n' ' ')" = '700 777 ' ]

#### relay-ctrl-check.8
mail
serve $E1
see greeted

#### relay-ctrl-send.8
mail
mkdir spool
RELAY_CTRL_DIR=spool relay-ctrl-udp &
export RELAY_CTRL_REMOTES=127.0.0.1
serve $E1
see 'popped && [ -e spool/127.0.0.1 ]'

#### relay-ctrl-udp.8
mail
chmod +x $E1
$E1 >served 2>&1 &
see 'printf 192.0.2.9 >/dev/udp/127.0.0.1/811; [ -e /var/qmail/relay-ctrl/spool/192.0.2.9 ]'

#### sendmail.8
mail
sh $E1
waiting 1
queued Fme@example.com

#### setlock.8
other make-report 'touch made'
sh $E1
[ -e made ]
rm made
setlock /var/lock/report sh $E1
[ ! -e made ]

#### setuidgid.8
mkdir main
chown qmaill main
echo hi | sh $E1
[ "$(stat -c %U main/current)" = qmaill ]

#### softlimit.8
other program 'ulimit -n; ulimit -c'
[ "$(sh $E1 | tr '\n' ' ')" = '50 0 ' ]

#### splogger.8
mail
syslog
sh $E1
see greeted
see 'grep -q "tcpserver: ok" syslog'

#### supervise.8
sh $E1 >told
see 'svstat clock | grep -q ": up"'

#### svc.8
up
pid() { svstat /service/smtpd | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p'; }
before=$(pid)
sh $E1
see '[ "$(pid)" ] && [ "$(pid)" != $before ] && greeted'
before=$(pid)
# A busy machine takes its time.
sed -i 's/-T 10 /-T 100 /' $E2
sh $E2
[ "$(pid)" != "$before" ]
sh $E3
see '! svok /srv/mail/service/smtpd'
[ ! -e /service/smtpd ]

#### svok.8
sh $E1 | grep -q 'nobody looks after smtpd'
up
[ -z "$(sh $E1)" ]

#### svscan.8
services
sh $E1
see 'svstat /service/smtpd | grep -q ": up"'
see greeted

#### svscan.8 in a container
services
"$PYTHON" -c 'import json, sys; print(*json.loads(open(sys.argv[1]).read().partition(" ")[2]))' $E2 >entry
unshare --pid --fork --kill-child sh -c "exec $(cat entry)" &
see 'svstat /service/smtpd | grep -q ": up"'
see greeted

#### svscanboot.8
services
sh -c "exec $(cut -d: -f4 $E1)" &
see 'svstat /service/smtpd | grep -q ": up"'
see greeted

#### svstat.8
up
sh $E1 | grep -q '/service/smtpd: up'

#### svtree-list.1
mail
setuidgid alias sh -c 'cd /var/qmail/alias && sh "$0"' $E1
grep -rq saburo@mail.example.com /var/qmail/alias
setuidgid jiro sh $E2
[ -s .qmail-friends ]

#### svtree.8
ln -s /srv/mail/qmail /var/qmail
mkdir -p /etc/postfix
printf 'mynetworks = 192.168.1.0/24\n' >/etc/postfix/main.cf
echo 'root: jiro' >/etc/aliases
certificate privkey.pem fullchain.pem
printf 'sesame\nsesame\n' | line $E1 'svtree init /srv/mail'
line $E1 'svtree init /srv/new'
[ -d /srv/new/service/smtps ]
line $E1 'svtree run' >served 2>&1 &
see 'line $E1 "svtree status" >told'
grep -q smtpd told
line $E1 'svc -t'
see 'line $E1 "svtree status" >told'
line $E1 'svtree rules explain' | grep -q 'is allowed by'
line $E1 'svtree rules lint'
line $E1 'svtree import' | grep -q '192.168.1.'

#### syslog-receiver.8
chmod +x $E1
$E1 >served &
see '[ -S socket ]'
echo hi | SVTREE_SYSLOG=unix:socket splogger me
see 'grep -q "me:.*hi" served'

#### tai64n.8
sh $E1 | grep -qx '@4[0-9a-f]\{23\} started'
grep -qx '@4[0-9a-f]\{23\} started' $E2

#### tai64nlocal.8
head -n 1 $E1 >first
tail -n 1 $E1 >second
sh first | cmp - $E2
mkdir -p /var/log/smtpd
echo hi | tai64n >/var/log/smtpd/current
sh second >told &
see 'grep -q "^20.* hi" told'

#### tcp-env.1
mail
ln -sf /usr/bin/tcp-env /usr/local/bin/tcp-env
# What inetd does with its line.
read -r _ _ _ _ user program arguments <$E1
tcpserver -RHl0 0 smtp setuidgid $user argv0 $program $arguments &
see greeted

#### tcpcat.1
names
tcpserver -RHl0 0 25 echo hello &
see 'sh $E1 | grep -q hello'

#### tcpclient.1
names
tcpserver -RHl0 0 25 echo hello &
see 'sh $E1 | grep -q hello'

#### tcprules.1
printf '127.:allow\n:deny\n' >tcp.smtp
sh $E1
TCPREMOTEIP=127.0.0.1 tcprulescheck tcp.smtp.cdb | grep 127

#### tcprulescheck.1
printf '192.168.1.:allow,RELAYCLIENT=""\n2001:db8::/32:deny\n' | tcprules tcp.smtp.cdb tmp
sh $E1 | cmp - $E2

#### tcpserver.1
mail
syslog
sh $E1
see greeted
see 'grep -q "tcpserver: ok" syslog'

#### tcpserver.1 with workers
mail
serve $E2
see greeted

#### tcpserver.1 with limits
mail
serve $E3
see polite

#### tcpserver.1 with TLS
mail
mkdir -p /etc/ssl
rm -rf /etc/ssl/mail.*
certificate /etc/ssl/mail.key /etc/ssl/mail.pem
serve $E4
see 'echo QUIT | openssl s_client -quiet -connect 127.0.0.1:995 | grep -q ^+OK'

#### who@.1
names
tcpserver -RHl0 0 11 echo root tty1 &
see 'sh $E1 | grep -q root'

#### howto/debian
up
rm -r /service
mkdir -p /var/lib/svtree
ln -s /srv/mail/service /var/lib/svtree/
before=$(svstat /srv/mail/service/smtpd)
sh $E3
see '[ "$(svstat /service/smtpd | grep -o "pid [0-9]*")" != "$(echo "$before" | grep -o "pid [0-9]*")" ] && greeted'

#### howto/pop-before-smtp
mail
syslog
sh $E1
stranger() {
  printf 'mail <a@b.example>\nrcpt <c@elsewhere.example>\nquit\n' |
    tcpclient -RHl0 -i 192.0.2.7 127.0.0.1 25 mconnect-io
}
see 'stranger | grep -q "^553 "'
printf 'user jiro\npass sesame\nquit\n' >login
see 'tcpclient -RHl0 -i 192.0.2.7 127.0.0.1 110 mconnect-io <login | grep -c "^+OK" | grep -qx 4'
stranger >told
! grep -q '^553' told
grep -c '^250' told | grep -qx 2
see 'grep -q "pop3d: .*ok .*192.0.2.7" syslog && grep -q "smtp: .*ok .*192.0.2.7" syslog'

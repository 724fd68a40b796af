"""Every program, declared once. Nothing else anywhere lists them.

From this are made: the scripts of the wheel, the links of the Debian package, the manual's index, `svtree programs`,
and the tests that every program has a manual page, a usage text and an import budget.
"""

from __future__ import annotations

from svtree.formats.record import record


@record
class Program:
    """A program's name on PATH, the module whose `main` it is, where its manual page stands, and what it is for."""

    name: str
    module: str
    section: int
    suite: str
    purpose: str


def _suite(suite: str, *rows: tuple[str, str, int, str]) -> tuple[Program, ...]:
    return tuple(Program(name, f"svtree.{module}", section, suite, purpose) for name, module, section, purpose in rows)


PROGRAMS = (
    *_suite("svtree", ("svtree", "cli.main", 8, "make, run and look at a supervised service tree")),
    *_suite(
        "daemontools",
        ("svscan", "supervision.programs.svscan", 8, "supervise every service in a directory"),
        ("supervise", "supervision.programs.supervise", 8, "supervise one service"),
        ("svc", "supervision.programs.svc", 8, "send commands to supervised services"),
        ("svok", "supervision.programs.svok", 8, "tell whether a service is supervised"),
        ("svstat", "supervision.programs.svstat", 8, "show the status of supervised services"),
        ("envdir", "supervision.programs.envdir", 8, "run a program with an environment read from files"),
        ("setuidgid", "supervision.programs.setuidgid", 8, "run a program as an account"),
        ("envuidgid", "supervision.programs.envuidgid", 8, "run a program with an account's ids in the environment"),
        ("softlimit", "supervision.programs.softlimit", 8, "run a program with resource limits"),
        ("pgrphack", "supervision.programs.pgrphack", 8, "run a program in a process group of its own"),
        ("multilog", "logs.programs.multilog", 8, "write a log to automatically rotated files"),
        ("svscanboot", "supervision.programs.svscanboot", 8, "supervise the services of this machine"),
        ("readproctitle", "logs.programs.readproctitle", 8, "show the last of what it reads in its command line"),
        ("fghack", "supervision.programs.fghack", 8, "keep a daemon in the foreground"),
        ("setlock", "supervision.programs.setlock", 8, "run a program with a file locked"),
        ("tai64n", "logs.programs.tai64n", 8, "put a precise timestamp on each line"),
        ("tai64nlocal", "logs.programs.tai64nlocal", 8, "show timestamps as local time"),
    ),
    *_suite(
        "ucspi-tcp",
        ("tcpserver", "tcp.programs.tcpserver", 1, "accept TCP connections and run a program for each"),
        ("tcprules", "tcp.programs.tcprules", 1, "compile rules for tcpserver"),
        ("tcprulescheck", "tcp.programs.tcprulescheck", 1, "show what compiled rules do with an address"),
        ("argv0", "tcp.programs.argv0", 1, "run a program under another name"),
        ("recordio", "tcp.programs.recordio", 1, "record the input and output of a program"),
        ("fixcrio", "tcp.programs.fixcrio", 1, "put missing carriage returns into a program's input and output"),
        ("addcr", "tcp.programs.addcr", 1, "put a carriage return before each line feed"),
        ("delcr", "tcp.programs.delcr", 1, "take out the carriage return before each line feed"),
        ("tcpclient", "tcp.programs.tcpclient", 1, "connect to a TCP server and run a program that talks to it"),
        ("rblsmtpd", "tcp.programs.rblsmtpd", 1, "refuse mail from clients that are on a block list"),
        ("tcpcat", "tcp.programs.tcpcat", 1, "show what a server says"),
        ("mconnect", "tcp.programs.mconnect", 1, "talk to an SMTP server by hand"),
        ("mconnect-io", "tcp.programs.mconnect_io", 1, "talk over a connection by hand"),
        ("who@", "tcp.programs.who_at", 1, "show who is logged in at a host"),
        ("date@", "tcp.programs.date_at", 1, "show the time at a host"),
        ("finger@", "tcp.programs.finger_at", 1, "show what a host tells about a user"),
        ("http@", "tcp.programs.http_at", 1, "fetch a page by HTTP"),
    ),
    *_suite(
        "relay-ctrl",
        ("relay-ctrl-chdir", "relay.programs.chdir", 8, "open the directory of relay grants for the programs after it"),
        ("relay-ctrl-allow", "relay.programs.allow", 8, "let the client's address relay for a while"),
        ("relay-ctrl-check", "relay.programs.check", 8, "set RELAYCLIENT for a client that may relay"),
        ("relay-ctrl-age", "relay.programs.age", 8, "end the relay grants that have had their time"),
        ("relay-ctrl-send", "relay.programs.send", 8, "tell other hosts that the client's address may relay"),
        ("relay-ctrl-udp", "relay.programs.udp", 8, "let addresses relay of which other hosts tell"),
    ),
    *_suite(
        "qmail",
        ("splogger", "logs.programs.splogger", 8, "write lines to the system log"),
        ("qmail-smtpd", "mail.programs.qmail_smtpd", 8, "receive mail by SMTP"),
        ("qmail-popup", "mail.programs.qmail_popup", 8, "read a POP user name and password"),
        ("checkpassword", "mail.programs.checkpassword", 8, "check a password and become its user"),
        ("qmail-pop3d", "mail.programs.qmail_pop3d", 8, "give out a Maildir by POP3"),
        ("qmail-queue", "mail.programs.qmail_queue", 8, "put a message into the queue"),
        ("qmail-send", "mail.programs.qmail_send", 8, "deliver the messages in the queue"),
        ("qmail-start", "mail.programs.qmail_start", 8, "start the parts of mail delivery"),
        ("qmail-lspawn", "mail.programs.qmail_lspawn", 8, "run local deliveries"),
        ("qmail-rspawn", "mail.programs.qmail_rspawn", 8, "run remote deliveries"),
        ("qmail-local", "mail.programs.qmail_local", 8, "deliver or forward a message locally"),
        ("qmail-remote", "mail.programs.qmail_remote", 8, "send a message by SMTP"),
        ("qmail-clean", "mail.programs.qmail_clean", 8, "remove finished files from the queue"),
        ("qmail-inject", "mail.programs.qmail_inject", 8, "complete a message and put it into the queue"),
        ("bouncesaying", "mail.programs.bouncesaying", 1, "bounce a message with an error of one's own"),
        ("condredirect", "mail.programs.condredirect", 1, "send a message on if a program says so"),
        ("except", "mail.programs.except_program", 1, "turn a program's yes into no and its no into yes"),
        ("forward", "mail.programs.forward", 1, "send a message on to other addresses"),
        ("preline", "mail.programs.preline", 1, "give a program a message with the lines of an mbox before it"),
        ("qsmhook", "mail.programs.qsmhook", 1, "run a program that was written to deliver for sendmail"),
        ("predate", "mail.programs.predate", 1, "give a program a message with a Date field before it"),
        ("datemail", "mail.programs.datemail", 1, "send a message with a Date field in local time"),
        ("mailsubj", "mail.programs.mailsubj", 1, "send standard input as a message with a subject"),
        ("qreceipt", "mail.programs.qreceipt", 1, "tell a sender that the message was delivered"),
        ("sendmail", "mail.programs.sendmail", 8, "send a message, for programs that expect sendmail"),
        ("maildirmake", "mail.programs.maildirmake", 1, "make a Maildir"),
        ("maildir2mbox", "mail.programs.maildir2mbox", 1, "move the messages of a Maildir into an mbox"),
        ("maildirwatch", "mail.programs.maildirwatch", 1, "show what new mail there is"),
        ("qbiff", "mail.programs.qbiff", 1, "announce a message on the recipient's terminals"),
        ("pinq", "mail.programs.pinq", 1, "move new mail into the mbox, then run pine"),
        ("elq", "mail.programs.elq", 1, "move new mail into the mbox, then run elm"),
        ("qail", "mail.programs.qail", 1, "move new mail into the mbox, then run Mail"),
        ("tcp-env", "tcp.programs.tcp_env", 1, "describe a connection of inetd's in the environment"),
        ("qmail-qread", "mail.programs.qmail_qread", 8, "list the messages in the queue"),
        ("qmail-qstat", "mail.programs.qmail_qstat", 8, "count the messages in the queue"),
        ("qmail-tcpto", "mail.programs.qmail_tcpto", 8, "list the hosts that did not answer lately"),
        ("qmail-tcpok", "mail.programs.qmail_tcpok", 8, "forget which hosts did not answer lately"),
        ("qmail-showctl", "mail.programs.qmail_showctl", 8, "describe this qmail and its control files"),
        ("qmail-newmrh", "mail.programs.qmail_newmrh", 8, "compile control/morercpthosts"),
        ("qmail-newu", "mail.programs.qmail_newu", 8, "compile users/assign"),
        ("qmail-pw2u", "mail.programs.qmail_pw2u", 8, "make users/assign of a passwd file"),
        ("qmail-getpw", "mail.programs.qmail_getpw", 8, "tell which account a local address belongs to"),
        ("config", "mail.programs.config", 8, "make the first control files of this host"),
        ("config-fast", "mail.programs.config_fast", 8, "make the first control files for a host of this name"),
        ("qmail-qmqpc", "mail.programs.qmail_qmqpc", 8, "hand a message to another host's queue by QMQP"),
        ("qmail-qmqpd", "mail.programs.qmail_qmqpd", 8, "receive a message by QMQP"),
        ("qmail-qmtpd", "mail.programs.qmail_qmtpd", 8, "receive mail by QMTP"),
    ),
    *_suite(
        "svtree",
        ("syslog-receiver", "logs.programs.syslog_receiver", 8, "receive syslog messages where no daemon does"),
        ("svtree-list", "mail.programs.svtree_list", 1, "keep the members of a mailing list"),
        ("qmail-authority", "mail.programs.qmail_authority", 8, "stay root for sessions that are not"),
        ("qmail-queued", "mail.programs.qmail_queued", 8, "put messages into the queue for users who may not"),
    ),
)

BY_NAME = {program.name: program for program in PROGRAMS}

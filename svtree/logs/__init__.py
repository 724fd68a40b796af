"""Never losing a line: multilog, syslog writers and receivers."""

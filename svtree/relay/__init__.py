"""POP-before-SMTP: who may relay, and until when."""

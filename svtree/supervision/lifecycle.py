"""The life of a service as a table: state and event give the next state and what to do."""

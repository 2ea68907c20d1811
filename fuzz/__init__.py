"""Whatever bytes come, a reader returns a value or raises a protocol error: programs that look for bytes that do not.

`python -m fuzz --help`; `targets` is the table of readers, `corpus` real sessions to begin with.
"""

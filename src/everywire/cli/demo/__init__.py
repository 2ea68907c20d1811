"""`everywire demo`: one plant in one process, used by real processes over every wire, and compared with each other.

`showing` is the parent; `host`, `guest`, `loopless`, `qt_guest` and `safety` are the programs it starts.
"""

__all__ = ()

"""The verbs on D-Bus addresses: names on a bus, trees of objects, members of any service, traffic.

`addresses` says which URLs are meant, `services` reaches them; the other modules are a verb or two each.
"""

__all__ = ()

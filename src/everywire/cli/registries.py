"""`everywire registry`, which hosts one, and `everywire list` of what a registry knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from everywire.cli.hosting import Guards, audited, token_file, who_may_connect
from everywire.cli.looping import until_interrupted
from everywire.cli.printing import plain_table, print_json, print_table
from everywire.cli.reaching import opened, tell_if_nothing
from everywire.remoteobjects import Registry
from everywire.remoteobjects.endpoint.lookup import LookupSession
from everywire.runtime.node import Node


async def host(urls: Sequence[str], guards: Guards, *, json: bool) -> None:
    """Host a registry at *urls* until Ctrl-C or SIGTERM; each is one of its own."""
    audited(guards)
    tokens = token_file(guards)
    async with Node(tokens=tokens) as node:
        wires = [replace(Registry(url=url), insecure=guards.insecure) for url in urls]
        addresses = await node.serve(*wires)
        if json:
            print_json({"addresses": addresses})
        else:
            told = zip(addresses, urls, strict=True)
            rows = [("  " + address, who_may_connect(url, tokens=tokens is not None)) for address, url in told]
            print("objects can be registered and found at")
            print("\n".join(plain_table(rows[0], rows[1:])))
            print("Ctrl-C ends it.", flush=True)
        await until_interrupted()


async def list_locations(url: str, *, timeout: float, json: bool) -> None:
    """Print the objects that the registry at *url* knows: name, class, and where each is."""
    async with opened(url, timeout) as session:
        assert isinstance(session, LookupSession)
        found = sorted(session.locations, key=lambda location: location.name)
    if json:
        print_json([{"name": entry.name, "class": entry.type_name or None, "url": entry.url} for entry in found])
    else:
        print_table(("OBJECT", "CLASS", "URL"), [(entry.name, entry.type_name or "?", entry.url) for entry in found])
        tell_if_nothing(url, [entry.name for entry in found])

"""A notebook cell beside thermostat_host.py: no class at hand, and no `await`, although the kernel runs a loop."""

from everywire import link_of, sync

with sync.connect("local:climate", "hall") as room:
    print(room, link_of(room).state.value)
    warmed = sync.iterate(room.warmed, timeout=5)  # listens from now on
    print("boosted to:", sync.run(room.boost(10)))
    print("heard:", *next(warmed))
    print("now:", room.current)

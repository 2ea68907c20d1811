"""A plain script without an event loop; it uses the thermostat that thermostat_host.py serves."""

import sys

from thermostat_host import Thermostat

from everywire import sync

with sync.connect(sys.argv[1] if len(sys.argv) > 1 else "local:climate", "hall", Thermostat) as room:
    room.warmed.connect(lambda celsius: print(f"heard that it is {celsius:.1f} Cel"))
    print("target:", room.target)
    print("boosted to:", sync.run(room.boost(5)))
    print("pushed:", sync.run(Thermostat.target.push(room, 22.5)))
    minutes = [room.boost(1), room.boost(2)]  # sent together
    print("boosted again to:", [round(sync.run(call), 1) for call in minutes])

"""The command, interrupted at chosen moments: `interrupted.py COUNTS WORD…` is `everywire WORD…`.

COUNTS are numbers with commas: SIGINT comes when so many Python functions have been called or left since `main` began.
Without one that is reached the number there were is written to descriptor 3. Moments counted so are the same in every
run, and every place of the program can be met, imports and the end of the loop included.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from everywire.cli import main

moments = sorted((int(count) for count in sys.argv[1].split(",") if count), reverse=True)
sys.argv = ["everywire", *sys.argv[2:]]
seen = 0


def count(_frame: FrameType, _event: str, _argument: object) -> None:
    global seen
    seen += 1
    if moments and seen == moments[-1]:
        moments.pop()
        signal.raise_signal(signal.SIGINT)


sys.setprofile(count)
try:
    main()
finally:
    sys.setprofile(None)
    os.write(3, str(seen).encode())

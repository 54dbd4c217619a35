"""Keeps Python's garbage collector from stalling the event loop.

A full collection looks at every object that could be part of a cycle. The pictures of a large PBX
are hundreds of thousands that never are, and reference counting frees them: measured with 5,000
channels and as many peers, a collection took 68 ms, and answering lists of them set off one after
the other. So what is there at the start is never looked at, and collections come rarely.
"""

import gc
from typing import Final

#: New objects after which the young are looked at, how many such rounds make one of the middle
#: generation, and how many of those a full one. Python's own are 700, 10, 10.
THRESHOLDS: Final = (10_000, 20, 50)


def spare_the_loop() -> None:
    """To be called once, when everything is imported and nothing has begun."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

"""Classes of modern.rep.

Written by `everywire gen python`: what is changed here is lost when it is written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag

from everywire import Object, Property, prop, signal, slot
from everywire.remoteobjects import cpp_enum, cpp_flag


@cpp_enum("quint8", scoped=True)
class Tone(Enum):
    Low = 0
    High = 200


@cpp_enum("qint16", scoped=True, scope="Chord")
class Key(Enum):
    Flat = -300
    Plain = -299
    Sharp = 300


@dataclass(frozen=True)
class Chord:
    key: Key
    name: str


@cpp_enum(scope="Organ")
class Stop(Enum):
    Flute = 1
    Reed = 2
    Mixture = 4


@cpp_flag(Stop, scope="Organ")
class Stops(Flag):
    Flute = 1
    Reed = 2
    Mixture = 4


class Organ(Object):
    tone: Property[Tone] = prop(Tone.High, writable=True)
    stops: Property[Stops] = prop(Stops(2), writable=True)
    chord: Property[Chord] = prop(Chord(key=Key.Flat, name=""), writable=True)
    chords: Property[list[Chord]] = prop(factory=list, writable=True)

    @signal
    def played(self, stops: Stops, chord: Chord) -> None:
        ...

    @slot
    async def pull(self, stops: Stops) -> Stops:
        raise NotImplementedError

    @slot
    async def transpose(self, chord: Chord) -> Chord:
        raise NotImplementedError

    @slot
    async def shift(self, tone: Tone) -> Tone:
        raise NotImplementedError

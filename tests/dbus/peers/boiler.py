"""What the object of every Python peer does, without D-Bus; structures are tuples, a variant is (signature, value)."""

from __future__ import annotations

import os
from typing import Any, ClassVar

XML = """
  <interface name="org.acme.Plant.Boiler1">
    <property name="Level" type="d" access="readwrite"/>
    <property name="Label" type="s" access="readwrite"/>
    <property name="Spot" type="(dd)" access="read"/>
    <property name="Table" type="a{sv}" access="read"/>
    <signal name="Fired"><arg name="count" type="i"/><arg name="why" type="s"/></signal>
    <signal name="Moved"><arg name="spot" type="(dd)"/></signal>
    <method name="AddOne"><arg name="number" type="i" direction="in"/><arg type="i" direction="out"/></method>
    <method name="Split"><arg name="text" type="s" direction="in"/><arg type="s" direction="out"/>
      <arg type="i" direction="out"/></method>
    <method name="Move"><arg name="spot" type="(dd)" direction="in"/><arg type="(dd)" direction="out"/></method>
    <method name="Tally"><arg name="words" type="as" direction="in"/><arg type="a{si}" direction="out"/></method>
    <method name="Wrap"><arg name="value" type="v" direction="in"/><arg type="v" direction="out"/></method>
    <method name="Shift"><arg name="gear" type="s" direction="in"/><arg type="s" direction="out"/></method>
    <method name="Rows"><arg name="rows" type="a(is)" direction="in"/><arg type="a(is)" direction="out"/></method>
    <method name="Data"><arg name="data" type="ay" direction="in"/><arg type="ay" direction="out"/></method>
    <method name="Basics">
      <arg name="a" type="y" direction="in"/><arg name="b" type="n" direction="in"/>
      <arg name="c" type="q" direction="in"/><arg name="d" type="i" direction="in"/>
      <arg name="e" type="u" direction="in"/><arg name="f" type="x" direction="in"/>
      <arg name="g" type="t" direction="in"/><arg name="h" type="d" direction="in"/>
      <arg name="i" type="b" direction="in"/><arg name="j" type="s" direction="in"/>
      <arg type="y" direction="out"/><arg type="n" direction="out"/><arg type="q" direction="out"/>
      <arg type="i" direction="out"/><arg type="u" direction="out"/><arg type="x" direction="out"/>
      <arg type="t" direction="out"/><arg type="d" direction="out"/><arg type="b" direction="out"/>
      <arg type="s" direction="out"/></method>
    <method name="ReadAll"><arg name="source" type="h" direction="in"/><arg type="s" direction="out"/></method>
    <method name="OpenText"><arg name="text" type="s" direction="in"/><arg type="h" direction="out"/></method>
    <method name="Refuse"><arg name="why" type="s" direction="in"/></method>
    <method name="Fire"><arg name="count" type="i" direction="in"/></method>
  </interface>
"""


class Refused(Exception):
    """The boiler will not."""


class Boiler:
    """Its properties by wire name and type, and its methods by wire name."""

    types: ClassVar = {"Level": "d", "Label": "s", "Spot": "(dd)", "Table": "a{sv}"}
    writable = ("Level", "Label")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {
            "Level": 1.5,
            "Label": "plain",
            "Spot": (1.0, 2.0),
            "Table": {"rate": ("d", 0.5), "name": ("s", "hall")},
        }

    def add_one(self, number: int) -> int:
        return number + 1

    def split(self, text: str) -> tuple[str, int]:
        return text.upper(), len(text)

    def tally(self, words: list[str]) -> dict[str, int]:
        return {word: words.count(word) for word in words}

    def shift(self, gear: str) -> str:
        return {"IDLE": "FIRST", "FIRST": "REVERSE"}.get(gear, "IDLE")

    def read_all(self, descriptor: int) -> str:
        """Read a descriptor to its end and close it."""
        with os.fdopen(descriptor, "rb") as source:
            return source.read().decode()

    def open_text(self, text: str) -> int:
        """Return a descriptor from which *text* can be read."""
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        return reading

"""The page at `/`: objects with their members, as links, and their values as they change. Everything in it is escaped.

It works without JavaScript; with it the values of an object that is unfolded follow its event stream. No script and no
style is inline, so that the page's policy can forbid those.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final
from urllib.parse import quote

from everywire.http.wire import HttpObject
from everywire.model import Contract, Kind, Member

MEDIA: Final = b"text/html; charset=utf-8"
_RULES: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
POLICY: Final = (b"content-security-policy", _RULES.encode())
LONGEST: Final = 400
"""Characters of a value on the page."""

SCRIPT: Final = b"""\
"use strict";
const show = value => {
  const text = JSON.stringify(value);
  return text.length > 400 ? text.slice(0, 400) + "\\u2026" : text;
};
const follow = section => {
  if (section.source) return;
  const cells = new Map([...section.querySelectorAll("[data-member]")].map(cell => [cell.dataset.member, cell]));
  const state = section.querySelector("[data-state]");
  const same = (old, text) => {  // 21.0 of the page is the 21 of JSON.stringify
    try { return old === text || show(JSON.parse(old)) === text; } catch { return false; }
  };
  const put = (name, text) => {
    const cell = cells.get(name);
    if (!cell || same(cell.textContent, text)) return;
    cell.textContent = text;
    cell.classList.remove("new");
    void cell.offsetWidth;
    cell.classList.add("new");
  };
  const source = section.source = new EventSource(section.dataset.events);
  source.onopen = () => { state.textContent = "live"; };
  source.onerror = () => { state.textContent = "not connected"; };
  source.onmessage = event => {
    const told = JSON.parse(event.data);
    for (const [name, value] of Object.entries(told.values || {})) put(name, show(value));
    if (told.changed !== undefined) put(told.changed, show(told.value));
    if (told.emitted !== undefined) put(told.emitted, show(told.arguments));
    if (told.withdrawn !== undefined) { source.close(); state.textContent = "withdrawn"; }
  };
};
// A browser keeps few connections to one host, so only what is unfolded is followed.
for (const section of document.querySelectorAll("details[data-events]")) {
  section.addEventListener("toggle", () => {
    if (section.open) follow(section);
    else if (section.source) { section.source.close(); section.source = null; }
  });
  if (section.open) follow(section);
}
"""

STYLE: Final = b"""\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid #8886; border-radius: .5rem; padding: .5rem 1rem; margin: 1rem 0; }
summary { font-size: 1.2rem; cursor: pointer; }
summary small, .doc, .unit, td .doc { opacity: .7; font: .85rem system-ui, sans-serif; }
[data-state]:not(:empty)::before { content: "\\00b7\\00a0"; }
.doc { margin: .25rem 0; }
table { width: 100%; border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; border-top: 1px solid #8883; }
td:first-child { width: 14rem; overflow-wrap: anywhere; }
td div { opacity: .7; font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
td code { font-size: 1rem; }
code { overflow-wrap: anywhere; }
.new { animation: fresh 1s; }
@media (max-width: 40rem) {
  td, td:first-child { display: block; width: auto; padding-right: 0; }
  td + td { border-top: 0; padding-top: 0; }
}
@keyframes fresh { from { background: #fd08; } }
"""


def page(objects: Iterable[HttpObject], *, root: str) -> bytes:
    """Return the page; *root* is the path below which ours begin."""
    sections = [_section(hosted, root, unfolded=place < 3) for place, hosted in enumerate(objects)]
    body = "\n".join(sections) or "<p>No object is published here, or none that you may see.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>everywire</title>
<link rel="stylesheet" href="{root}/page.css">
<link rel="icon" href="data:,">
<script src="{root}/page.js" defer></script>
</head>
<body>
<h1>Objects</h1>
{body}
<p class="doc">As data: <a href="{root}/objects">objects</a> ·
<a href="{root}/openapi.json">OpenAPI</a> · <a href="{root}/.well-known/wot">Web of Things</a></p>
</body>
</html>
""".encode("utf-8", "replace")


def _section(hosted: HttpObject, root: str, *, unfolded: bool) -> str:
    contract, place = hosted.contract, f"{root}/objects/{quote(hosted.name, safe='')}"
    rows = "\n".join(_row(hosted, member, place) for member in contract.members.values())
    return f"""<details data-events="{place}/events"{" open" if unfolded else ""}>
<summary>{escape(hosted.name)} <small>{escape(contract.name)} <span data-state></span></small></summary>
{_doc(contract)}
<table>
{rows}
</table>
<p class="doc"><a href="{place}">values</a> · <a href="{place}/events">events</a> ·
<a href="{place}/contract">contract</a> · <a href="{place}/thing">Thing Description</a></p>
</details>"""


def _row(hosted: HttpObject, member: Member, place: str) -> str:
    if member.kind is Kind.PROPERTY:
        kind = "properties"
        text = hosted.property_json(member).decode("utf-8", "replace")
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        unit = f' <span class="unit">{escape(member.unit)}</span>' if member.unit else ""
        value = f'<code data-member="{member.name}">{escape(shown)}</code>{unit}'
    elif member.kind is Kind.SIGNAL:
        kind, value = "signals", f'<code data-member="{member.name}"></code>'  # filled by what is emitted
    else:
        kind, value = "slots", ""
    name = f'<a href="{place}/{kind}/{member.name}">{member.name}</a>' if kind != "slots" else member.name
    return f"<tr><td>{name}</td><td>{value}<div>{escape(_shape(member))}</div>{_doc(member)}</td></tr>"


def _shape(member: Member) -> str:
    """Return the type of a property, or the signature of anything else, in a word to people."""
    if member.kind is not Kind.PROPERTY:
        return str(member).removeprefix(f"{member.kind.value} ")
    node: Any = member.type
    low, high = getattr(node, "low", None), getattr(node, "high", None)
    bounds = "" if low is None and high is None else f", {_number(low, 'any')} to {_number(high, 'any')}"
    return f"{node.name}{bounds}{', writable' if member.writable else ''}"


def _number(bound: float | None, absent: str) -> str:
    return absent if bound is None else f"{bound:g}"


def _doc(of: Contract | Member) -> str:
    return f'<div class="doc">{escape(of.doc)}</div>' if of.doc else ""

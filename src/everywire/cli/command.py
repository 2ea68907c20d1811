"""The verbs, as click sees them; what each of them does is in a module that is loaded when the verb is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

import everywire as package
from everywire.cli.dbus.addresses import is_dbus, is_path, need_dbus
from everywire.cli.exits import Exit
from everywire.cli.generating import gen_verbs
from everywire.cli.grammar import (
    EPILOG,
    Verbs,
    WithNumbers,
    count_option,
    debug_option,
    json_option,
    offered,
    remote_options,
)
from everywire.cli.tokens import token_verbs

SHELLS: Final = ("bash", "zsh", "fish")

url_argument: Final = click.argument("url", shell_complete=offered("urls"))
signature_option: Final = click.option(
    "--signature", metavar="SIG", help="Of D-Bus: types of the values, such as ds, where nobody tells."
)
bus_argument: Final = click.argument("url", shell_complete=offered("buses"))
object_argument: Final = click.argument("object_name", metavar="OBJECT", shell_complete=offered("objects"))


def names_argument(metavar: str, source: str) -> Callable[[Any], Any]:
    """Return the argument for any number of members, completed by *source*."""
    return click.argument("names", metavar=f"[{metavar}]...", nargs=-1, shell_complete=offered(source))


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package.__version__, message="everywire %(version)s")
@debug_option
def everywire() -> None:
    """Serve objects, and use them wherever they are.

    A URL is local:NAME, tcp://HOST:PORT, tls://HOST:PORT?ca=FILE, http://HOST:PORT or 'dbus:session?service=NAME', in
    quotes because of ? and &; registry+ before it finds objects of Qt Remote Objects by name. The object is named
    beside it, on D-Bus by its path too, and a member of a child object as in pump.turns. Where a host demands a login,
    add token=FILE to the URL's settings, or let EVERYWIRE_TOKEN name the file.
    """


everywire.add_command(token_verbs)
everywire.add_command(gen_verbs)


@everywire.command("serve")
@click.argument("target", metavar="MODULE:CLASS", shell_complete=offered("classes"))
@click.option("--name", metavar="N", help="Name of the object; by default that of the class.")
@click.option(
    "--on",
    "urls",
    metavar="URL",
    multiple=True,
    required=True,
    shell_complete=offered("places"),
    help="Where to listen; may be repeated.",
)
@click.option("--tokens", metavar="FILE", help="Demand a login by an entry of this file; see 'everywire token'.")
@click.option("--audit", metavar="FILE", help="Where each denial leaves a line; by default the standard error.")
@click.option("--insecure", is_flag=True, help="Listen where others may come, without encryption and logins.")
@json_option
@debug_option
def serve_verb(target: str, name: str | None, urls: Sequence[str], *, json: bool, **guards: Any) -> None:
    r"""Serve an object of a class until Ctrl-C.

    \b
    everywire serve everywire.cli.plant:Thermostat --name hall --on local:climate --on tcp://127.0.0.1:65213
    everywire serve plant:Boiler --on 'tls://0.0.0.0:65214?cert=host.pem&key=host.key' --tokens tokens.json
    """
    from everywire.cli.hosting import Guards, serve
    from everywire.cli.looping import run

    run(serve(target, name, urls, Guards(**guards), json=json), fast=True)


@everywire.command("registry")
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=offered("places"))
@click.option("--tokens", metavar="FILE", help="Demand a login by an entry of this file; see 'everywire token'.")
@click.option("--audit", metavar="FILE", help="Where each denial leaves a line; by default the standard error.")
@click.option("--insecure", is_flag=True, help="Listen where others may come, without encryption and logins.")
@json_option
@debug_option
def registry_verb(urls: Sequence[str], *, json: bool, **guards: Any) -> None:
    r"""Host a registry of Qt Remote Objects until Ctrl-C: hosts say what they have, others find it by name.

    \b
    everywire registry tcp://127.0.0.1:65212
    everywire serve plant:Boiler --on 'tcp://127.0.0.1:0?registry=tcp://127.0.0.1:65212'
    everywire get registry+tcp://127.0.0.1:65212 boiler
    """
    from everywire.cli.hosting import Guards
    from everywire.cli.looping import run
    from everywire.cli.registries import host

    run(host(urls, Guards(**guards), json=json), fast=True)


@everywire.command("list")
@url_argument
@click.option("--unique", is_flag=True, help="Of a D-Bus: the connections themselves, by their own names.")
@click.option("--activatable", is_flag=True, help="Of a D-Bus: what it can start when somebody calls it.")
@remote_options
def list_verb(url: str, *, unique: bool, activatable: bool, json: bool, timeout: float) -> None:
    r"""List the objects at a URL, or the names on a D-Bus.

    \b
    everywire list local:climate
    everywire list dbus:session
    everywire list 'dbus:system?service=org.freedesktop.login1'
    """
    from everywire.cli.looping import run

    if is_dbus(url):
        from everywire.cli.dbus.listing import list_on_bus

        run(list_on_bus(url, timeout=timeout, json=json, unique=unique, activatable=activatable))
        return
    from everywire.cli.remote import list_objects

    if unique or activatable:
        raise click.UsageError(f"--unique and --activatable are for the names on a D-Bus, not for {url}")
    if url.startswith("registry+"):
        from everywire.cli.registries import list_locations

        run(list_locations(url, timeout=timeout, json=json))
        return
    run(list_objects(url, timeout=timeout, json=json))


@everywire.command("tree")
@bus_argument
@click.argument("path", required=False, shell_complete=offered("paths"))
@remote_options
def tree_verb(url: str, path: str | None, *, json: bool, timeout: float) -> None:
    r"""Show the objects of a D-Bus service, or of all services, as a tree with their interfaces.

    \b
    everywire tree 'dbus:system?service=org.freedesktop.UPower'
    everywire tree dbus:session /org/acme
    """
    from everywire.cli.looping import run

    need_dbus("tree", url, "everywire list")
    from everywire.cli.dbus.trees import tree

    run(tree(url, path, timeout=timeout, json=json))


@everywire.command("show")
@url_argument
@click.argument("object_name", metavar="[OBJECT]", required=False, shell_complete=offered("objects"))
@names_argument("MEMBER", "members")
@click.option("--xml", is_flag=True, help="Of a D-Bus object: its introspection data, for 'everywire gen python'.")
@remote_options
def show_verb(
    url: str, object_name: str | None, names: Sequence[str], *, xml: bool, json: bool, timeout: float
) -> None:
    """Show what an object, or every object at a URL, is made of.

    Types, units, ranges, defaults, docs, timeouts, and the structs and enums that they use. With --json the contract as
    it travels on the wires. Of a D-Bus service without an object: who it is, and all its interfaces.
    """
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    if is_dbus(url) and (object_name is None or xml or is_path(object_name)):
        from everywire.cli.dbus.showing import show_on_bus

        run(show_on_bus(Target(url, object_name or "", timeout, json), names, xml=xml))
        return
    from everywire.cli.describing import show

    if xml:
        raise click.UsageError(f"--xml is for objects of D-Bus, not for {url}")
    run(show(url, object_name, names, timeout=timeout, json=json))


@everywire.command("get")
@url_argument
@object_argument
@names_argument("PROPERTY", "properties")
@remote_options
def get_verb(url: str, object_name: str, names: Sequence[str], *, json: bool, timeout: float) -> None:
    """Read properties, all by default.

    A dot leads into a child object, as in pump.turns. Of a table, or a property that holds one, the first rows.
    """
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    if is_dbus(url) and is_path(object_name):
        from everywire.cli.dbus.verbs import get
    else:
        from everywire.cli.remote import get
    run(get(Target(url, object_name, timeout, json), names))


@everywire.command("set", cls=WithNumbers, context_settings={"ignore_unknown_options": True})
@url_argument
@object_argument
@click.argument("name", metavar="PROPERTY", shell_complete=offered("writable"))
@click.argument("words", metavar="VALUE", nargs=1, shell_complete=offered("values"))
@remote_options
def set_verb(url: str, object_name: str, name: str, words: str, *, json: bool, timeout: float) -> None:
    """Set a property; print the value that the object then has."""
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    if is_dbus(url) and is_path(object_name):
        from everywire.cli.dbus.verbs import set_property
    else:
        from everywire.cli.remote import set_property
    run(set_property(Target(url, object_name, timeout, json), name, words))


@everywire.command("call", cls=WithNumbers, context_settings={"ignore_unknown_options": True})
@url_argument
@object_argument
@click.argument("slot", shell_complete=offered("slots"))
@click.argument("words", metavar="[VALUE|NAME=VALUE]...", nargs=-1, shell_complete=offered("arguments"))
@signature_option
@count_option
@remote_options
def call_verb(
    url: str,
    object_name: str,
    slot: str,
    words: Sequence[str],
    *,
    signature: str | None,
    count: int | None,
    json: bool,
    timeout: float,
) -> None:
    """Call a slot and print its result.

    Values are written as the slot's types want them: numbers, text, enums by name, JSON for lists, dicts and structs;
    - reads JSON from the standard input. A stream prints one line for each item until Ctrl-C or -n.
    """
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    target = Target(url, object_name, timeout, json)
    if is_dbus(url) and is_path(object_name):
        from everywire.cli.dbus.verbs import call as call_on_bus

        run(call_on_bus(target, slot, words, count=count, signature=signature))
        return
    from everywire.cli.remote import call

    if signature is not None:
        raise click.UsageError("--signature is for methods at a path of D-Bus: others tell what they take")
    run(call(target, slot, words, count=count))


@everywire.command("emit", cls=WithNumbers, context_settings={"ignore_unknown_options": True})
@bus_argument
@click.argument("path")
@click.argument("signal", metavar="INTERFACE.SIGNAL")
@click.argument("words", metavar="[VALUE]...", nargs=-1)
@signature_option
@click.option("--to", metavar="NAME", default="", help="Send it to this one only.")
@debug_option
def emit_verb(url: str, path: str, signal: str, words: Sequence[str], *, signature: str | None, to: str) -> None:
    r"""Send a signal to everybody on a D-Bus. Without --signature its values are texts.

    \b
    everywire emit dbus:session /org/acme/Plant org.acme.Plant1.Overheated 40.5 attic --signature ds
    """
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    need_dbus("emit", url, "everywire call")
    from everywire.cli.dbus.verbs import emit

    run(emit(Target(url, path, 0.0, json=False), signal, words, signature=signature, to=to))


@everywire.command("watch")
@url_argument
@object_argument
@names_argument("MEMBER", "heard")
@count_option
@remote_options
def watch_verb(
    url: str, object_name: str, names: Sequence[str], *, count: int | None, json: bool, timeout: float
) -> None:
    """Print changes and signals as they come.

    The present values come first and are not counted by -n. Without members all are watched.
    """
    from everywire.cli.looping import run
    from everywire.cli.reaching import Target

    if is_dbus(url) and is_path(object_name):
        from everywire.cli.dbus.watching import watch
    else:
        from everywire.cli.remote import watch
    run(watch(Target(url, object_name, timeout, json), names, count=count))


@everywire.command("monitor")
@bus_argument
@click.argument("rules", metavar="[RULE|NAME]...", nargs=-1, shell_complete=offered("bus_names"))
@count_option
@remote_options
def monitor_verb(url: str, rules: Sequence[str], *, count: int | None, json: bool, timeout: float) -> None:
    r"""Print the messages on a D-Bus as they pass, a line each.

    A RULE is a match rule of D-Bus; a NAME stands for the messages from and to it. Without any all messages are shown.

    \b
    everywire monitor dbus:session org.acme.Climate
    everywire monitor dbus:session "type='signal',path_namespace='/org/acme'"
    """
    from everywire.cli.looping import run

    need_dbus("monitor", url, "everywire watch")
    from everywire.cli.dbus.monitoring import monitor

    run(monitor(url, rules, count=count, timeout=timeout, json=json))


@everywire.command("doctor")
@json_option
@debug_option
def doctor_verb(*, json: bool) -> None:
    """Try every wire on this machine, and say what is missing.

    Exit code 0 when all that is installed works.
    """
    from everywire.cli.doctor import doctor
    from everywire.cli.looping import run

    if not run(doctor(json=json)):
        sys.exit(Exit.FAULT)


@everywire.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@debug_option
def completion_verb(shell: str) -> None:
    r"""Print a script that completes the words of this command.

    \b
    bash, in ~/.bashrc:   eval "$(everywire completion bash)"
    zsh, in ~/.zshrc:     eval "$(everywire completion zsh)"
    fish:                 everywire completion fish > ~/.config/fish/completions/everywire.fish
    """
    from everywire.cli.completing import script

    print(script(shell), end="")


@everywire.command("demo")
@click.option("--once", is_flag=True, help="End when all has been compared: exit code 0 only if all agreed.")
@click.option("--qt/--no-qt", default=None, help="Use a real Qt program; by default when PySide6 is installed.")
@debug_option
def demo_verb(*, once: bool, qt: bool | None) -> None:
    """Serve a small plant, and use it on every wire."""
    from everywire.cli.demo.showing import demo
    from everywire.cli.looping import run

    if not run(demo(once=once, qt=qt), fast=True):
        sys.exit(Exit.FAULT)

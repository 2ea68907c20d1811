"""D-Bus messages and bytes (D-Bus Specification 0.43): all is ours but the writing of bodies. Pure."""

from __future__ import annotations

from everywire.dbus.codec._dbusfast import Variant, marshal
from everywire.dbus.codec.heads import Head
from everywire.dbus.codec.message import (
    INTERACTIVE,
    NO_AUTO_START,
    NO_REPLY,
    Kind,
    Message,
    decode_message,
    decode_plain,
    encode_message,
    frame_size,
    head_size,
    marshal_checked,
    read_head,
)
from everywire.dbus.codec.names import (
    check_bus_name,
    check_error_name,
    check_interface,
    check_member,
    check_path,
)
from everywire.dbus.codec.signatures import Node, check_signature, parse_signature

__all__ = (
    "INTERACTIVE",
    "NO_AUTO_START",
    "NO_REPLY",
    "Head",
    "Kind",
    "Message",
    "Node",
    "Variant",
    "check_bus_name",
    "check_error_name",
    "check_interface",
    "check_member",
    "check_path",
    "check_signature",
    "decode_message",
    "decode_plain",
    "encode_message",
    "frame_size",
    "head_size",
    "marshal",
    "marshal_checked",
    "parse_signature",
    "read_head",
)

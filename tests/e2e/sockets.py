# SPDX-License-Identifier: GPL-2.0-or-later
"""Socket options of Linux that Python has no names for, and what a proxy does with them."""

import contextlib
import socket
import struct
from typing import Optional

from tests.e2e.pod import endpoint

_SO_ORIGINAL_DST = 80  # the same number for IPv4 and, as IP6T_SO_ORIGINAL_DST, for IPv6
_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75
_IP_PKTINFO = 8


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def allow_any_source(made: socket.socket) -> None:
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    else:
        made.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)


def abort(connection: socket.socket) -> None:
    """Closes without a trace: no TIME_WAIT holds the port."""
    if connection.fileno() >= 0:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def original_destination(connection: socket.socket) -> Optional[str]:
    """The destination before any redirect, as the proxy learns it; None when untracked."""
    try:
        if connection.family == socket.AF_INET6:
            raw = connection.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
            port, packed = struct.unpack("!2xH4x16s4x", raw)
        else:
            raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
            port, packed = struct.unpack("!2xH4s8x", raw)
    except OSError:
        return None
    return endpoint(socket.inet_ntop(connection.family, packed), port)


def ask_for_destination(server: socket.socket) -> None:
    if server.family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        server.setsockopt(socket.SOL_IP, _IP_PKTINFO, 1)


def answer_from(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """The packet information of a datagram, turned into that of its answer."""
    if level == socket.IPPROTO_IPV6:
        return level, kind, data[:16] + struct.pack("i", 0)
    address = data[8:12]
    return level, kind, struct.pack("i4s4s", 0, address, address)

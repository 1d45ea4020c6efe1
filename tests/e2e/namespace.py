# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets in any network namespace, owned by anybody, from one process.

A socket belongs to the namespace its thread was in when it was made (setns(2)), and to the
file-system user and group of that moment (setfsuid(2)): netfilter's owner match reads the latter.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from typing import Iterator

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

_SIOCGIFFLAGS = 0x8913
_IFF_RUNNING = 0x40
_NETLINK_NETFILTER = 12
_CTNETLINK_DELETE = 0x0102  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
_NLM_F_REQUEST_ACK = 0x5
_NLMSG_ERROR = 2
_NETLINK_SECONDS = 5


class Namespace:
    """An open network namespace."""

    def __init__(self, path: str):
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._file)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in the namespace meanwhile."""
        _setns(self._file)
        try:
            yield
        finally:
            _setns(_own)

    def socket(self, family: int, kind: int, uid: int = 0, gid: int = 0,
               protocol: int = 0) -> socket.socket:
        """A non-blocking socket of that user."""
        with self.entered(), owned_by(uid, gid):
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def set(self, key: str, value: str) -> None:
        """Sets a sysctl below /proc/sys/net."""
        with self.entered(), open(f"/proc/sys/net/{key}", "w", encoding="ascii") as knob:
            knob.write(value)

    def is_running(self, ifname: str) -> bool:
        """Whether packets get through the interface (IFF_RUNNING, netdevice(7))."""
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sh14x", ifname.encode(), 0)
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        return bool(struct.unpack_from("16xh", answer)[0] & _IFF_RUNNING)

    def forget_connections(self) -> None:
        """Empties connection tracking: no flow keeps the fate that older rules gave it."""
        with self.entered():
            netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        netlink.settimeout(_NETLINK_SECONDS)
        with netlink:
            netlink.send(struct.pack("=IHHIIBBH", 20, _CTNETLINK_DELETE, _NLM_F_REQUEST_ACK,
                                     1, 0, socket.AF_UNSPEC, 0, 0))
            answer = netlink.recv(4096)
        _, kind, _, _, _, error = struct.unpack_from("=IHHIIi", answer)
        if kind != _NLMSG_ERROR or error != 0:
            raise OSError(-error, "emptying connection tracking")


@contextlib.contextmanager
def owned_by(uid: int, gid: int) -> Iterator[None]:
    """What this thread opens meanwhile belongs to that user and group."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)


def _setns(file: int) -> None:
    if _libc.setns(file, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


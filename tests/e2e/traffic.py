# SPDX-License-Identifier: GPL-2.0-or-later
"""Real connections: servers that tell who answered, and callers that ask them."""

import contextlib
import errno
import json
import selectors
import socket
import struct
from dataclasses import dataclass
from typing import Iterator, Optional, Sequence, Union

from tests.e2e.child import Child, Report, become
from tests.e2e.pod import Pod, endpoint

SIDECAR_PORTS = (15001, 15006, 15008)
APP_PORTS = (22, 8050, 8080, 8101, 9090, 15020, 15021, 15090)
OUTSIDE_PORTS = (80, 443, 8050, 8101, 8443, 15020)

ANY_ADDRESS = ("0.0.0.0", "::")
START_SECONDS = 5.0
DIAL_SECONDS = 2.0
_SO_ORIGINAL_DST = 80  # the same number for IPv4 and, as IP6T_SO_ORIGINAL_DST, for IPv6


@dataclass(frozen=True)
class Caller:
    """Who opens a connection: a process of the pod, or one beyond it."""

    name: str
    uid: int
    gid: int
    beyond: bool = False


APP = Caller("app", 1000, 1000)
SIDECAR = Caller("sidecar", 1337, 1337)
SIDECAR_USER = Caller("sidecar (uid only)", 1337, 2000)
SIDECAR_GROUP = Caller("sidecar (gid only)", 2000, 1337)
CLIENT = Caller("client", 1000, 1000, beyond=True)


class Server:
    """A process that answers each connection with one line: who it is, what it was meant for."""

    def __init__(self, netns: str, name: str, ports: Sequence[int], uid: int, gid: int,
                 hosts: Sequence[str] = ANY_ADDRESS):
        self._netns = netns
        self._name = name
        self._ports = ports
        self._identity = (uid, gid)
        self._hosts = hosts
        self._child: Optional[Child] = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once every port listens; a port that cannot be bound raises ChildFailed."""
        self._child = Child(self._netns, self._serve)
        try:
            self._child.next_report(START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def _serve(self, report: Report) -> None:
        with contextlib.ExitStack() as open_sockets:
            selector = open_sockets.enter_context(selectors.DefaultSelector())
            for host in self._hosts:
                for port in self._ports:
                    listener = open_sockets.enter_context(_new_socket(host))
                    _listen(listener, host, port)
                    selector.register(listener, selectors.EVENT_READ)
            # Only now: ports below 1024 are root's to bind.
            become(*self._identity)
            report("listening")
            while True:
                for key, _ in selector.select():
                    # The caller may have gone already; that is no reason to stop.
                    with contextlib.suppress(OSError):
                        self._answer(key.fileobj)

    def _answer(self, listener: socket.socket) -> None:
        connection, peer = listener.accept()
        with connection:
            local = connection.getsockname()
            connection.sendall(json.dumps({
                "listener": self._name,
                "port": local[1],
                "local": endpoint(local[0], local[1]),
                "original_dst": _original_destination(connection),
                "peer": endpoint(peer[0], peer[1]),
            }).encode() + b"\n")


@contextlib.contextmanager
def servers(pod: Pod) -> Iterator[None]:
    """A stand-in sidecar and an application in the pod, and the servers of the outside."""
    with Server(pod.netns, "sidecar", SIDECAR_PORTS, SIDECAR.uid, SIDECAR.gid), \
         Server(pod.netns, "app", APP_PORTS, APP.uid, APP.gid), \
         Server(pod.peer_netns, "outside", OUTSIDE_PORTS, CLIENT.uid, CLIENT.gid):
        yield


def dial(netns: str, address: str, port: int, uid: int, gid: int,
         source: Optional[str] = None) -> Union[dict, str]:
    """Connects as the given user: the answer of whoever accepted, or in a word what went wrong."""

    def work(report: Report) -> None:
        become(uid, gid)
        report(_ask(address, port, source))

    child = Child(netns, work)
    try:
        # Connecting and reading may each take the whole time.
        return child.next_report(2 * DIAL_SECONDS + 1)
    finally:
        child.stop()


def call(pod: Pod, caller: Caller, address: str, port: int,
         source: Optional[str] = None) -> Union[dict, str]:
    """The same for one of the callers around a pod."""
    netns = pod.peer_netns if caller.beyond else pod.netns
    return dial(netns, address, port, caller.uid, caller.gid, source)


def landing(answer: Union[dict, str]) -> str:
    """Where a connection landed, in the words that rows and tests compare."""
    if isinstance(answer, str):
        return answer
    place = f"{answer['listener']}:{answer['port']}"
    if answer["original_dst"] in (None, answer["local"]):
        return place
    return redirected(place, answer["original_dst"])


def redirected(place: str, meant_for: str) -> str:
    """The wording of landing() for a connection that was meant for somewhere else."""
    return f"{place} (meant for {meant_for})"


def captured_outbound(address: str, port: int) -> str:
    """Where an outbound connection lands when it goes through the sidecar."""
    return redirected("sidecar:15001", endpoint(address, port))


def captured_inbound(address: str, port: int) -> str:
    """Where an inbound connection lands when it goes through the sidecar."""
    return redirected("sidecar:15006", endpoint(address, port))


def _family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _new_socket(host: str) -> socket.socket:
    listener = socket.socket(_family_of(host), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return listener


def _listen(listener: socket.socket, host: str, port: int) -> None:
    try:
        listener.bind((host, port))
    except OSError as error:
        raise OSError(error.errno, f"bind {endpoint(host, port)}: {error.strerror}") from error
    listener.listen(16)


def _original_destination(connection: socket.socket) -> Optional[str]:
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


def _ask(address: str, port: int, source: Optional[str]) -> Union[dict, str]:
    with socket.socket(_family_of(address), socket.SOCK_STREAM) as connection:
        connection.settimeout(DIAL_SECONDS)
        try:
            if source is not None:
                connection.bind((source, 0))
            connection.connect((address, port))
            with connection.makefile("r", encoding="utf-8") as lines:
                line = lines.readline()
        except ConnectionRefusedError:
            return "refused"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
    return json.loads(line) if line else "closed"

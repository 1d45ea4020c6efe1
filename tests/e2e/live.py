# SPDX-License-Identifier: GPL-2.0-or-later
"""A pod with servers around it that tell where a connection landed.

All of them, and all callers, are sockets of this one process (see namespace.py) and served by one
loop: nothing to start, nothing to wait for, and a connection takes a fraction of a millisecond.
"""

import contextlib
import errno
import select
import socket
import time
from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Sequence

from tests.e2e.namespace import Namespace, owned_by
from tests.e2e.pod import BOTH, V4, V6, Family, Pod, endpoint
from tests.e2e.sockets import (abort, allow_any_source, answer_from, ask_for_destination, family_of,
                               original_destination)
from tests.e2e.traffic import APP, CLIENT, GUEST, SIDECAR, Caller, Connection, Landing

# How long nothing may happen before a connection is said to have timed out: TCP has tried again by
# then. Only what is expected to time out takes that long.
PATIENCE_SECONDS = 1.5
LINK_SECONDS = 10

ANY = ("0.0.0.0", "::")
APP_PORTS = (22, 80, 443, 5432, 6000, 7070, 8000, 8050, 8080, 8100, 8101, 8443, 9090, 15020, 15021,
             15090, 65535)
OUTSIDE_PORTS = (53, *APP_PORTS, 15001, 15006, 15008)
UDP_PORTS = (53, 80, 443, 8050)
RESOLVER = Caller("resolver", 999, 999)


@dataclass(frozen=True)
class Server:
    """Listens on some ports of some addresses and says who it is."""

    name: str
    owner: Caller
    tcp: Sequence[int] = ()
    udp: Sequence[int] = ()
    hosts: Sequence[str] = ANY
    transparent: bool = False


def sidecar(hosts: Sequence[str] = ANY) -> Server:
    """All that a sidecar listens on."""
    return Server("sidecar", SIDECAR, (15001, 15006, 15008, 15053, 15054), (15053, 15054), hosts,
                  transparent=True)


SERVERS = (
    sidecar(),
    Server("local resolver", RESOLVER, (53,), (53,), (V4.local_resolver, V6.local_resolver)),
    Server("app", APP, APP_PORTS, UDP_PORTS),
    Server("outside", CLIENT, OUTSIDE_PORTS, UDP_PORTS),
    Server("guest", GUEST, APP_PORTS, UDP_PORTS),
)


class LivePod(Pod):
    """A pod without rules whose servers run until the end."""

    def __init__(self, families: Sequence[Family] = BOTH, guest: bool = False,
                 servers: Iterable[Server] = SERVERS):
        super().__init__(families, guest)
        self._servers = servers
        self._open = contextlib.ExitStack()
        self._namespaces: dict[str, Namespace] = {}
        self._poll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._accepted: list[socket.socket] = []
        self._landings: list[Landing] = []

    def __enter__(self) -> "LivePod":
        super().__enter__()
        try:
            for place in ("pod", "peer", *(("guest",) if self.guest else ())):
                self._namespaces[place] = Namespace(self.netns_of(place))
                self._open.callback(self._namespaces[place].close)
            if self.guest:
                self.namespace().set("ipv4/ip_forward", "1")
                if V6 in self.families:
                    self.namespace().set("ipv6/conf/all/forwarding", "1")
            self._await_links()
            for server in self._servers:
                if server.owner.place in self._namespaces:
                    self._start(server)
        except BaseException:
            self.remove()
            raise
        return self

    def _await_links(self) -> None:
        """An interface that was set up a moment ago may still drop what it is given."""
        links = [("pod", self.ifname), ("peer", self.host_ifname)]
        if self.guest:
            links += [("pod", self.guest_ifname), ("guest", "eth0")]
        deadline = time.monotonic() + LINK_SECONDS
        for place, ifname in links:
            while not self.namespace(place).is_running(ifname):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{ifname} of the {place} does not come up")
                time.sleep(0.001)

    def remove(self) -> None:
        self._open.close()
        super().remove()

    def namespace(self, place: str = "pod") -> Namespace:
        return self._namespaces[place]

    def land(self, connection: Connection) -> Landing:
        """Opens the connection, has whoever gets it answer, and says where it landed."""
        return self.land_all([connection])[0]

    def land_all(self, connections: Sequence[Connection]) -> list[Landing]:
        """The same for many at once."""
        attempts = [_Attempt(self.namespace(connection.caller.place), connection)
                    for connection in connections]
        try:
            self._serve([attempt for attempt in attempts if attempt.failure is None])
            return [self._landing(attempt) for attempt in attempts]
        finally:
            for attempt in attempts:
                self._forget(attempt.socket)
            for accepted in self._accepted:
                abort(accepted)
            self._accepted.clear()
            self._landings.clear()

    def hold(self, connection: Connection) -> tuple[Landing, socket.socket, socket.socket]:
        """A TCP connection that stays open until the end, and both of its ends."""
        attempt = _Attempt(self.namespace(connection.caller.place), connection)
        self._serve([attempt], keep=True)
        self._unwatch(attempt.socket)
        ends = [attempt.socket, *self._accepted]
        for end in ends:
            self._open.callback(abort, end)
            end.settimeout(PATIENCE_SECONDS)
        landing = self._landing(attempt)
        self._accepted.clear()
        self._landings.clear()
        if len(ends) != 2:
            raise RuntimeError(f"{connection.title()}: {landing}")
        return landing, ends[0], ends[1]

    def _landing(self, attempt: "_Attempt") -> Landing:
        if attempt.answer is None:
            return Landing(attempt.failure or "timeout")
        return self._landings[attempt.answer]

    def _serve(self, attempts: list["_Attempt"], keep: bool = False) -> None:
        """Until each attempt has its answer or its failure, or all patience is lost."""
        waiting = set(attempts)

        def step(attempt: _Attempt) -> None:
            if attempt.step():
                waiting.discard(attempt)
                if not keep:
                    self._forget(attempt.socket)

        for attempt in attempts:
            self._watch(attempt.socket, lambda one=attempt: step(one))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while waiting:
            events = self._poll.poll(max(0.0, deadline - time.monotonic()))
            for number, _ in events:
                if number in self._ready:
                    self._ready[number]()
            if events:
                deadline = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() >= deadline:
                return

    def _watch(self, watched: socket.socket, ready: Callable[[], None]) -> None:
        self._poll.register(watched.fileno(), select.EPOLLIN)
        self._ready[watched.fileno()] = ready

    def _unwatch(self, watched: socket.socket) -> None:
        if self._ready.pop(watched.fileno(), None):
            self._poll.unregister(watched.fileno())

    def _forget(self, watched: socket.socket) -> None:
        self._unwatch(watched)
        abort(watched)

    def _start(self, server: Server) -> None:
        for host in server.hosts:
            for kind, ports in ((socket.SOCK_STREAM, server.tcp), (socket.SOCK_DGRAM, server.udp)):
                for port in ports:
                    self._listen(server, host, port, kind)

    def _listen(self, server: Server, host: str, port: int, kind: int) -> None:
        owner = server.owner
        made = self.namespace(owner.place).socket(family_of(host), kind, owner.uid, owner.gid)
        self._open.callback(made.close)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if server.transparent:
            allow_any_source(made)
        made.bind((host, port))
        name = f"{server.name}:{port}"
        if kind == socket.SOCK_STREAM:
            made.listen(256)
            self._watch(made, lambda: self._accept(made, name, owner))
        else:
            ask_for_destination(made)
            self._watch(made, lambda: self._reply(made, name))

    def _accept(self, listener: socket.socket, name: str, owner: Caller) -> None:
        with owned_by(owner.uid, owner.gid):
            connection, peer = listener.accept()
        self._accepted.append(connection)
        local = endpoint(*connection.getsockname()[:2])
        meant_for = original_destination(connection) or local
        # A transparent listener gets connections whose local address is what they were meant for.
        redirected = meant_for != local or not name.endswith(f":{connection.getsockname()[1]}")
        # The caller may have gone already; that is no reason to stop.
        with contextlib.suppress(OSError):
            landing = Landing(name, meant_for if redirected else None, peer[0], local)
            connection.sendall(self._note(landing))

    def _reply(self, server: socket.socket, name: str) -> None:
        query, ancillary, _, peer = server.recvmsg(512, 256)
        answer = query + self._note(Landing(name, None, peer[0]))
        # From the address that was asked, whatever the route says.
        with contextlib.suppress(OSError):
            server.sendmsg([answer], [answer_from(*item) for item in ancillary], 0, peer)

    def _note(self, landing: Landing) -> bytes:
        self._landings.append(landing)
        return b"%d\n" % (len(self._landings) - 1)


class _Attempt:
    """A connection on its way: to be stepped whenever its socket has news."""

    _queries = 0

    def __init__(self, namespace: Namespace, connection: Connection):
        self.answer: Optional[int] = None  # the number of the Landing
        self.failure: Optional[str] = None
        self._datagram = connection.protocol == "udp"
        _Attempt._queries += 1
        self._query = b"%d " % _Attempt._queries
        caller = connection.caller
        kind = socket.SOCK_DGRAM if self._datagram else socket.SOCK_STREAM
        self.socket = namespace.socket(family_of(connection.address), kind, caller.uid, caller.gid)
        try:
            _bind(self.socket, connection)
            self.socket.connect((connection.address, connection.port))
            if self._datagram:
                self.socket.send(self._query)
        except BlockingIOError:
            pass
        except OSError as error:
            self.failure = _word(error)

    def step(self) -> bool:
        """Takes what the socket has; whether that is all."""
        try:
            answer = self.socket.recv(512)
        except BlockingIOError:
            return False
        except OSError as error:
            self.failure = _word(error)
            return True
        if not answer:
            self.failure = "closed"
        elif self._datagram and not answer.startswith(self._query):
            self.failure = "answer to another query"
        else:
            self.answer = int(answer.split()[-1])
        return True


def _bind(made: socket.socket, connection: Connection) -> None:
    if connection.transparent:
        allow_any_source(made)
    if connection.mark:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, connection.mark)
    if connection.source or connection.source_port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((connection.source or "", connection.source_port))


def _word(error: OSError) -> str:
    # A datagram that a rule rejects on its way out is not permitted.
    if isinstance(error, (ConnectionRefusedError, PermissionError)):
        return "refused"
    if isinstance(error, ConnectionResetError):
        return "reset"
    return errno.errorcode.get(error.errno, str(error))

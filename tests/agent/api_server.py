# SPDX-License-Identifier: GPL-2.0-or-later
"""A Kubernetes API server for the tests: HTTP/1.1 over TLS, lists, watches, and faults at will.

    with ApiServer() as server:
        server.put_pod(pod_object("web-0"))
        agent = start(url=server.url, token=server.token_file, ca=server.ca_file)
        server.wait(lambda: server.streams == 1)
        server.faults.bytes_per_second = 2000

`requests` counts by kind: list, watch, get_pod, patch_pod, patch_pod_status, delete_pod, post_event, patch_event,
get_node, patch_node, get_daemonset, other. `connections` counts what was accepted."""
import collections
import os
import random
import shutil
import socket
import socketserver
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass, field

from tests.agent.api_requests import Handler
from tests.agent.api_store import Store
from tests.agent.certificates import Authority
from tests.agent.pod_objects import pod_object

__all__ = ["ApiServer", "Faults", "pod_object"]


@dataclass
class Faults:
    """Settable at any time; they count for what is sent from then on."""
    mute: bool = False  # accepts connections and never says a word, not even in TLS
    silent: bool = False  # reads requests and never answers
    bytes_per_second: int = 0  # 0: no limit
    # Answers with this status instead, e.g. 429, 500, 503; for these kinds only, if any.
    status: int = 0
    kinds: set = field(default_factory=set)
    retry_after: int = 0  # the header beside `status`
    oversized: int = 0  # bodies of answers get this many bytes
    bad_json: bool = False  # bodies of answers are cut in the middle
    gone: str = "event"  # how a watch of a compacted version ends: "status" or "event"
    error_event: int = 0  # each watch ends at once with an ERROR event of this code
    ignore_selectors: bool = False  # all pods of the cluster are sent
    watch_seconds: float = 0  # ends watches earlier than they ask for
    forbidden: set = field(default_factory=set)  # kinds answered with 403


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: "ApiServer", address: tuple):
        self.api = api
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)

    def get_request(self):
        connection, peer = super().get_request()
        with self.api.lock:
            self.api.connections += 1
            self.api.open.add(connection)
        return connection, peer

    def finish_request(self, request, client_address):
        # In the connection's own thread: a peer that does not shake hands holds up nobody.
        if self.api.faults.mute:
            self.api.linger(request)
            return
        request.settimeout(30)
        try:
            secure = self.api.context().wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            with self.api.lock:
                self.api.refused_handshakes += 1
            return
        with self.api.lock:
            self.api.open.add(secure)
        secure.settimeout(None)
        try:
            super().finish_request(secure, client_address)
        finally:
            self.shutdown_request(secure)

    def shutdown_request(self, request):
        with self.api.lock:
            self.api.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # peers that go away are what is tested


class ApiServer:
    """`pods` may be read by (namespace, name); use put_pod() and delete_pod() to change them."""

    def __init__(self, address: str = "127.0.0.1", directory: str | None = None):
        self.address = address
        self._own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="sluice-api-")
        self.token_file = os.path.join(self.directory, "token")
        self.ca_file = os.path.join(self.directory, "ca.crt")
        self.faults = Faults()
        self.lock = threading.RLock()
        self.requests: collections.Counter = collections.Counter()
        self.connections = 0
        self.refused_handshakes = 0
        self.watches: set = set()  # that are being served
        self.watches_opened = 0
        self.watch_versions: list[str] = []  # resourceVersion of each watch
        self.log: list[tuple] = []  # (steady seconds, method, path, status)
        self.posted: list[dict] = []  # events as posted
        self.patches: list[tuple] = []  # (kind, name, content type, body)
        self.deletes: list[tuple] = []  # (namespace, name, options)
        self.before_node_patch = None  # called before a node's patch is tried: to win races
        self.open: set = set()
        self.store = Store()
        self.port = 0
        self.listener = None
        self._authorities = 0
        self.tokens = {"token-1"}
        self.write_token("token-1")
        self.new_authority()
        self.write_ca()

    # ---- life

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{host}:{self.port}"

    def start(self) -> "ApiServer":
        """Listens; on the same port as before after a stop()."""
        deadline = time.monotonic() + 20
        while self.listener is None:
            # Below the ephemeral ports: a client's own connection could take it while we are away.
            port = self.port or random.randint(20000, 32000)
            try:
                self.listener = _Listener(self, (self.address, port))
                self.port = port
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Connections are refused, open ones break; the objects stay."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown()
            listener.server_close()
        self.drop()

    def close(self) -> None:
        self.stop()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> "ApiServer":
        return self.start()

    def __exit__(self, *_) -> None:
        self.close()

    def drop(self) -> None:
        """Breaks every open connection."""
        with self.lock:
            sockets = list(self.open)
            self.open.clear()
        for connection in sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.store.changed:
            self.watches.clear()
            self.store.changed.notify_all()

    def linger(self, connection: socket.socket) -> None:
        """Until the peer or drop() ends it."""
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass

    @staticmethod
    def wait(condition, seconds: float = 30, what: str = "") -> None:
        """Until `condition` holds; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what or condition}")
            time.sleep(0.01)

    # ---- objects

    @property
    def streams(self) -> int:
        """Watches that are being served."""
        with self.store.changed:
            return len(self.watches)

    @property
    def pods(self) -> dict:
        return self.store.pods

    @property
    def events(self) -> list[dict]:
        """Those stored, with their counts."""
        with self.store.changed:
            return list(self.store.events.values())

    def put_pod(self, pod: dict) -> dict:
        return self.store.put_pod(pod)

    def delete_pod(self, name: str, namespace: str = "demo") -> None:
        self.store.delete_pod(namespace, name)

    def put_node(self, name: str, taints: list | None = None) -> None:
        """`taints` are keys or whole taints."""
        whole = [taint if isinstance(taint, dict) else {"key": taint, "effect": "NoSchedule"}
                 for taint in taints or []]
        with self.store.changed:
            self.store.nodes[name] = {
                "kind": "Node", "apiVersion": "v1",
                "metadata": {"name": name, "resourceVersion": str(self.store.next_version())},
                "spec": {"podCIDR": "10.1.0.0/24", **({"taints": whole} if whole else {})}}

    def taints(self, node: str) -> list[str]:
        return [taint["key"] for taint in self.store.nodes[node]["spec"].get("taints", [])]

    def put_daemonset(self, name: str, namespace: str = "kube-system",
                      deleting: bool = False) -> None:
        metadata = {"name": name, "namespace": namespace}
        if deleting:
            metadata["deletionTimestamp"] = "2026-01-01T01:00:00Z"
        with self.store.changed:
            self.store.daemonsets[namespace, name] = {"kind": "DaemonSet", "apiVersion": "apps/v1",
                                                      "metadata": metadata}

    def delete_daemonset(self, name: str, namespace: str = "kube-system") -> None:
        with self.store.changed:
            del self.store.daemonsets[namespace, name]

    def compact(self) -> None:
        self.store.compact()

    def bookmark(self) -> None:
        self.store.bookmark()

    def send_raw(self, data: bytes, end: bool = False) -> None:
        """Every watch sends this next, and breaks off behind it if `end`: half lines, bad JSON."""
        with self.store.changed:
            for stream in self.watches:
                stream.raw.append((data, end))
            self.store.changed.notify_all()

    # ---- credentials

    def write_token(self, token: str, accept: bool = False) -> None:
        """By rename, as the kubelet does; `accept` makes it the only one the server takes."""
        if accept:
            self.tokens = {token}
        self._replace(self.token_file, token)

    def new_authority(self) -> None:
        """From now on the server's certificate is signed by another CA."""
        self._authorities += 1
        self._authority = Authority(self.directory, f"authority{self._authorities}",
                                    ["127.0.0.1", "::1", self.address])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._authority.server_certificate, self._authority.server_key)
        self._context = context

    def write_ca(self) -> None:
        """The CA of the present certificate into ca_file, by rename."""
        self._replace(self.ca_file, self._authority.text())

    def context(self) -> ssl.SSLContext:
        return self._context

    @staticmethod
    def _replace(path: str, text: str) -> None:
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(path + ".new", path)

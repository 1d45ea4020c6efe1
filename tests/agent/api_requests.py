# SPDX-License-Identifier: GPL-2.0-or-later
"""How the API server of the tests answers one connection's requests."""
import http.server
import json
import select
import time
import urllib.parse

from tests.agent.api_store import Refused, encode, json_patch, merge_patch

MERGE = ("application/merge-patch+json", "application/strategic-merge-patch+json")


class Watch:
    """One stream: where it is in the log, and what it is made to send."""

    def __init__(self, store, version: int, matches, bookmarks: bool):
        self.store, self.matches, self.bookmarks = store, matches, bookmarks
        self.version = version
        self.raw: list = []
        self._last = store.log[-1] if store.log else None
        self._backlog = [event for event in store.log if event.version > version]
        self._bookmarks_seen = store.bookmarks

    def pending(self) -> list[bytes]:
        """Lines of what has happened since; under the store's lock."""
        news, self._backlog = self._backlog, []
        # From the end: the log is long, the news are few.
        fresh = []
        for event in reversed(self.store.log):
            if event is self._last:
                break
            fresh.append(event)
        if fresh:
            self._last = fresh[0]
            news += reversed(fresh)
        lines = [line for event in news if (line := event.line(self.matches))]
        if self.bookmarks and self._bookmarks_seen != self.store.bookmarks:
            self._bookmarks_seen = self.store.bookmarks
            lines.append(encode({"type": "BOOKMARK", "object": {
                "kind": "Pod", "apiVersion": "v1", "spec": {"containers": None}, "status": {},
                "metadata": {"resourceVersion": str(self.store.version),
                             "creationTimestamp": None}}}) + b"\n")
        return lines


def selector_of(query: dict):
    """Whether (node, name) of a pod is asked for."""
    wanted = {}
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = part.partition("=")
        if key not in ("spec.nodeName", "metadata.name"):
            raise Refused(400, "BadRequest", f"field label not supported: {key}")
        wanted[key] = value.lstrip("=")
    return lambda fields: (wanted.get("spec.nodeName", fields[0]) == fields[0] and
                           wanted.get("metadata.name", fields[1]) == fields[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake"
    wbufsize = -1
    timeout = None

    def log_message(self, *_):
        pass

    # ---- what is asked

    def do_GET(self):
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _serve(self):
        self.api = self.server.api
        self.store = self.api.store
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        self.parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        kind, function = self._route()
        with self.api.lock:
            self.api.requests[kind] += 1
        faults = self.api.faults
        if faults.silent:
            self.api.linger(self.connection)
            self.close_connection = True
            return
        try:
            self._authorize(kind)
            if faults.status and (not faults.kinds or kind in faults.kinds):
                raise Refused(faults.status, "InternalError", f"the server answers {faults.status}")
            function()
        except Refused as refused:
            self._answer(refused.code, refused.body)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._answer(400, Refused(400, "BadRequest", f"bad request: {error!r}").body)

    def _route(self):
        match [self.command, *self.parts]:
            case ["GET", "api", "v1", "pods"]:
                return ("watch", self._watch) if self.query.get("watch") in ("1", "true") else (
                    "list", self._list)
            case [verb, "api", "v1", "namespaces", _, "pods", _] if verb in ("GET", "PATCH",
                                                                             "DELETE"):
                return f"{verb.lower()}_pod", getattr(self, f"_{verb.lower()}_pod")
            case ["PATCH", "api", "v1", "namespaces", _, "pods", _, "status"]:
                return "patch_pod_status", self._patch_pod
            case ["POST", "api", "v1", "namespaces", _, "events"]:
                return "post_event", self._post_event
            case ["PATCH", "api", "v1", "namespaces", _, "events", _]:
                return "patch_event", self._patch_event
            case [("GET" | "PATCH") as verb, "api", "v1", "nodes", _]:
                return f"{verb.lower()}_node", getattr(self, f"_{verb.lower()}_node")
            case ["GET", "apis", "apps", "v1", "namespaces", _, "daemonsets", _]:
                return "get_daemonset", self._get_daemonset
        return "other", self._unknown

    def _unknown(self):
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    def _authorize(self, kind: str):
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme != "Bearer" or token not in self.api.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")
        if kind in self.api.faults.forbidden:
            raise Refused(403, "Forbidden", 'pods is forbidden: User "system:serviceaccount:kube-'
                          f'system:sluice-agent" cannot {kind} at the cluster scope')

    # ---- pods

    def _selector(self):
        matches = selector_of(self.query)
        return (lambda _: True) if self.api.faults.ignore_selectors else matches

    def _list(self):
        matches = self._selector()
        with self.store.changed:
            pods = [pod for pod in self.store.pods.values() if matches(self.store.fields(pod))]
            version = str(self.store.version)
        self._answer(200, {"kind": "PodList", "apiVersion": "v1",
                           "metadata": {"resourceVersion": version}, "items": pods})

    def _get_pod(self):
        with self.store.changed:
            pod = self.store.get_pod(self.parts[3], self.parts[5])
        self._answer(200, {"kind": "Pod", "apiVersion": "v1", **pod})

    def _patch_pod(self):
        patch = self._patch_body("pod", MERGE)
        if self.parts[-1] == "status":
            # What the API server takes of a patch of the status.
            patch = {key: value for key, value in patch.items() if key in ("metadata", "status")}
        with self.store.changed:
            pod = self.store.get_pod(self.parts[3], self.parts[5])
            uid = (patch.get("metadata") or {}).get("uid", pod["metadata"]["uid"])
            if uid != pod["metadata"]["uid"]:
                raise Refused(409, "Conflict", "Precondition failed: UID in precondition: "
                              f"{uid}, UID in object meta: {pod['metadata']['uid']}")
            pod = self.store.put_pod(merge_patch(pod, patch))
        self._answer(200, {"kind": "Pod", "apiVersion": "v1", **pod})

    def _delete_pod(self):
        options = json.loads(self.body or b"{}")
        with self.api.lock:
            self.api.deletes.append((self.parts[3], self.parts[5], options))
        pod = self.store.remove_pod(self.parts[3], self.parts[5], options)
        self._answer(200, {"kind": "Pod", "apiVersion": "v1", **pod})

    # ---- events, nodes, daemonsets

    def _post_event(self):
        event = json.loads(self.body)
        namespace, metadata = self.parts[3], event["metadata"]
        involved = event["involvedObject"]
        if metadata.get("namespace") != namespace or involved.get("namespace") != namespace:
            raise Refused(400, "BadRequest", "the namespace of the provided object does not match "
                                             "the namespace sent on the request")
        with self.store.changed:
            if (namespace, metadata["name"]) in self.store.events:
                raise Refused(409, "AlreadyExists", f"events \"{metadata['name']}\" already exists")
            metadata["resourceVersion"] = str(self.store.next_version())
            self.store.events[namespace, metadata["name"]] = event
            self.api.posted.append(json.loads(self.body))
        self._answer(201, event)

    def _patch_event(self):
        patch = self._patch_body("event", MERGE)
        with self.store.changed:
            key = self.parts[3], self.parts[5]
            if key not in self.store.events:
                raise Refused(404, "NotFound", f'events "{key[1]}" not found')
            self.store.events[key] = merge_patch(self.store.events[key], patch)
            event = self.store.events[key]
        self._answer(200, event)

    def _node(self) -> dict:
        node = self.store.nodes.get(self.parts[3])
        if node is None:
            raise Refused(404, "NotFound", f'nodes "{self.parts[3]}" not found')
        return node

    def _get_node(self):
        with self.store.changed:
            node = self._node()
        self._answer(200, node)

    def _patch_node(self):
        with self.store.changed:
            node = self._node()
            patch = self._patch_body("node", ("application/json-patch+json",))
            if self.api.before_node_patch:
                self.api.before_node_patch()
                node = self._node()
            patched = json_patch(node, patch)
            patched["metadata"]["resourceVersion"] = str(self.store.next_version())
            self.store.nodes[self.parts[3]] = patched
        self._answer(200, patched)

    def _get_daemonset(self):
        with self.store.changed:
            found = self.store.daemonsets.get((self.parts[4], self.parts[6]))
        if found is None:
            raise Refused(404, "NotFound", f'daemonsets.apps "{self.parts[6]}" not found',
                          {"name": self.parts[6], "group": "apps", "kind": "daemonsets"})
        self._answer(200, found)

    def _patch_body(self, kind: str, types: tuple):
        content_type = self.headers.get("Content-Type", "")
        if content_type not in types:
            raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown "
                                                       f"format - accepted media types include: {types}")
        patch = json.loads(self.body)
        name = self.parts[-2] if self.parts[-1] == "status" else self.parts[-1]
        with self.api.lock:
            self.api.patches.append((kind, name, content_type, patch))
        return patch

    # ---- watches

    def _watch(self):
        matches = self._selector()
        version = self.query.get("resourceVersion", "")
        with self.api.lock:
            self.api.watch_versions.append(version)
        number = int(version or 0)
        faults = self.api.faults
        with self.store.changed:
            gone = 0 < number < self.store.compacted
        if gone and faults.gone == "status":
            raise Refused(410, "Expired", f"too old resource version: {number}")
        self._begin(200)
        if gone or faults.error_event:
            code = faults.error_event or 410
            status = Refused(code, "Expired" if code == 410 else "InternalError",
                             f"too old resource version: {number} ({self.store.compacted})")
            self._chunk(encode({"type": "ERROR", "object": status.body}) + b"\n")
            self._chunk(b"")
            return
        bookmarks = self.query.get("allowWatchBookmarks") in ("1", "true")
        with self.store.changed:
            watch = Watch(self.store, number, matches, bookmarks)
            self.api.watches.add(watch)
            self.api.watches_opened += 1
        try:
            self._follow(watch)
        finally:
            with self.store.changed:
                self.api.watches.discard(watch)
        self.close_connection = True

    def _is_broken(self) -> bool:
        """Dropped by us, or closed by a client: it has nothing more to say."""
        return (self.connection not in self.api.open or
                bool(select.select([self.connection], [], [], 0)[0]))

    def _follow(self, watch: Watch):
        seconds = min(float(self.query.get("timeoutSeconds") or 1800),
                      self.api.faults.watch_seconds or 1e9)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.store.changed:
                lines = watch.pending()
                raw, watch.raw = watch.raw, []
                if not lines and not raw:
                    self.store.changed.wait(min(0.25, max(0.0, deadline - time.monotonic())))
            if self._is_broken():
                return
            if lines:
                self._chunk(b"".join(lines))
            for data, end in raw:
                self._chunk(data)
                if end:
                    return
        self._chunk(b"")

    # ---- what is answered

    def _begin(self, status: int, headers: dict | None = None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        with self.api.lock:
            self.api.log.append((time.monotonic(), self.command, self.path, status))

    def _answer(self, status: int, value):
        body = encode(value) + b"\n"
        faults = self.api.faults
        if faults.bad_json:
            body = body[:len(body) // 2]
        body += b" " * max(0, faults.oversized - len(body))
        headers = {"Content-Length": str(len(body))} if len(body) < 2048 else {
            "Transfer-Encoding": "chunked"}
        if faults.status == status and faults.retry_after:
            headers["Retry-After"] = str(faults.retry_after)
        self._begin(status, headers)
        if "Content-Length" in headers:
            self._send(body)
            return
        for start in range(0, len(body), 32768):
            self._chunk(body[start:start + 32768])
        self._chunk(b"")

    def _chunk(self, data: bytes):
        self._send(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, data: bytes):
        while data:
            rate = self.api.faults.bytes_per_second
            piece = data[:max(1, rate // 10)] if rate else data
            self.wfile.write(piece)
            self.wfile.flush()
            data = data[len(piece):]
            if rate:
                time.sleep(len(piece) / rate)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the API server of the tests stores: objects, versions, the log that watches read."""
import collections
import copy
import json
import threading

LOG_LIMIT = 20_000  # events; older ones are compacted away, as etcd's are


class Refused(Exception):
    """An answer that is a Status of failure."""

    def __init__(self, code: int, reason: str, message: str, details: dict | None = None):
        super().__init__(message)
        self.code = code
        self.body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                     "message": message, "reason": reason, "code": code,
                     "details": details or {}}


def encode(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def merge_patch(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: dict, operations: list) -> dict:
    """RFC 6902's test, add, replace and remove on members of objects; 422 as Kubernetes answers."""
    patched = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~")
                          for part in operation["path"].split("/")[1:]]
        place = patched
        for part in parents:
            place = place.get(part) if isinstance(place, dict) else None
        verb = operation["op"]
        absent = not isinstance(place, dict) or (last not in place and verb != "add")
        if verb not in ("test", "add", "replace", "remove"):
            raise Refused(400, "BadRequest", f"unknown operation {verb}")
        if absent or (verb == "test" and place[last] != operation["value"]):
            raise Refused(422, "Invalid", "the server rejected our request due to an error in our "
                                          f"request: {verb} {operation['path']}")
        if verb == "remove":
            del place[last]
        elif verb != "test":
            place[last] = operation["value"]
    return patched


class Event:
    """One line of the watch cache's log. `before` and `after` are (node, name) or None."""

    __slots__ = ("version", "body", "before", "after")

    def __init__(self, version: int, body: bytes, before, after):
        self.version, self.body, self.before, self.after = version, body, before, after

    def line(self, matches) -> bytes | None:
        """As a watch with a field selector sees it."""
        was = self.before is not None and matches(self.before)
        is_now = self.after is not None and matches(self.after)
        if not was and not is_now:
            return None
        kind = b"ADDED" if not was else b"MODIFIED" if is_now else b"DELETED"
        return b'{"type":"' + kind + b'","object":' + self.body + b"}\n"


class Store:
    """Pods (with a log), nodes, daemonsets and events. Everything happens under `changed`."""

    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.version = 1000
        self.compacted = 0  # watches from before this version are gone
        self.pods: dict[tuple[str, str], dict] = {}
        self.nodes: dict[str, dict] = {}
        self.daemonsets: dict[tuple[str, str], dict] = {}
        self.events: dict[tuple[str, str], dict] = {}
        self.log: collections.deque[Event] = collections.deque()
        self.bookmarks = 0

    def next_version(self) -> int:
        self.version += 1
        return self.version

    @staticmethod
    def fields(pod: dict):
        return pod["spec"].get("nodeName", ""), pod["metadata"]["name"]

    def _record(self, pod: dict, before, after) -> None:
        body = encode({"kind": "Pod", "apiVersion": "v1", **pod})
        self.log.append(Event(self.version, body, before, after))
        while len(self.log) > LOG_LIMIT:
            self.compacted = self.log.popleft().version
        self.changed.notify_all()

    def put_pod(self, pod: dict) -> dict:
        """Creates or replaces it; what is stored, with its resourceVersion."""
        with self.changed:
            key = pod["metadata"]["namespace"], pod["metadata"]["name"]
            former = self.pods.get(key)
            if former and former["metadata"]["uid"] != pod["metadata"]["uid"]:
                self.delete_pod(*key)
                former = None
            stored = dict(pod)
            stored["metadata"] = {**pod["metadata"], "resourceVersion": str(self.next_version())}
            self.pods[key] = stored
            self._record(stored, former and self.fields(former), self.fields(stored))
            return stored

    def delete_pod(self, namespace: str, name: str) -> dict:
        with self.changed:
            pod = self.pods.pop((namespace, name))
            pod = dict(pod, metadata={**pod["metadata"],
                                      "resourceVersion": str(self.next_version())})
            self._record(pod, self.fields(pod), None)
            return pod

    def get_pod(self, namespace: str, name: str) -> dict:
        pod = self.pods.get((namespace, name))
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{name}" not found')
        return pod

    def remove_pod(self, namespace: str, name: str, options: dict) -> dict:
        """DELETE, as with a grace period: first marked, then gone."""
        with self.changed:
            pod = self.get_pod(namespace, name)
            wanted = (options.get("preconditions") or {}).get("uid")
            uid = pod["metadata"]["uid"]
            if wanted and wanted != uid:
                raise Refused(409, "Conflict", f'Operation cannot be fulfilled on Pod "{name}": the '
                              f"UID in the precondition ({wanted}) does not match the UID in record "
                              f"({uid}). The object might have been deleted and then recreated")
            marked = {**pod["metadata"], "deletionTimestamp": "2026-01-01T01:00:00Z",
                      "deletionGracePeriodSeconds": 30}
            self.put_pod({**pod, "metadata": marked})
            return self.delete_pod(namespace, name)

    def compact(self) -> None:
        """All versions until now are too old for a watch."""
        with self.changed:
            self.compacted = self.next_version()
            self.log.clear()
            self.changed.notify_all()

    def bookmark(self) -> None:
        """Every stream that asked for bookmarks gets one."""
        with self.changed:
            self.bookmarks += 1
            self.changed.notify_all()

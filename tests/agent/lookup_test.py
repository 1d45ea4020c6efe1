# SPDX-License-Identifier: GPL-2.0-or-later
"""The look-up server as plugins and people see it, before an API server that fails."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from tests.agent.api_server import ApiServer, pod_object
from tests.agent.programs import AGENT, COMMAND_LINE, driver

DRIVER = driver("lookup_driver")
NOBODY = 65534
TOO_LATE = "the API server did not answer in time"


class Driver:
    """The server in a process of its own. `lines` is what it has printed."""

    def __init__(self, path: str, api: ApiServer, deadline_ms: int = 2000, url: str = ""):
        self.path = path
        self.lines: list[dict] = []
        self.process = subprocess.Popen(
            [DRIVER, path, url or api.url, api.token_file, api.ca_file, "node-1", str(deadline_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        ApiServer.wait(lambda: {"listens": True} in self.lines, what="the server listens")

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def sources(self) -> list[str]:
        return [line["lookup"] for line in list(self.lines) if "lookup" in line]

    def pods(self) -> int:
        """How many are in its cache."""
        before = sum("pods" in line for line in list(self.lines))
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        ApiServer.wait(lambda: sum("pods" in line for line in list(self.lines)) > before)
        return [line["pods"] for line in list(self.lines) if "pods" in line][-1]

    def stop(self) -> float:
        """How long it took, in seconds."""
        self.process.stdin.close()
        status = self.process.wait(60)
        self.reader.join(60)
        self.process.stdout.close()
        if status != 0:
            raise AssertionError(f"the driver ended with {status}")
        return self.lines[-1]["stopped"]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.reader.join(60)
        self.process.stdin.close()
        self.process.stdout.close()


def connect(path: str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(60)
    try:
        peer.connect(path)
    except OSError:
        peer.close()
        raise
    return peer


def question(name: str, uid: str = "", deadline_ms: int = 20000, known: bool = False) -> bytes:
    return json.dumps({"version": 1, "kind": "lookup", "deadlineMs": deadline_ms,
                       "annotationsKnown": known,
                       "sandbox": {"namespace": "demo", "name": name, "uid": uid,
                                   "netns": "/run/netns/x"}}).encode()


def ask(path: str, *args, **options) -> dict:
    with connect(path) as peer:
        peer.sendall(question(*args, **options))
        return json.loads(peer.recv(4 << 20))


class LookupCase(unittest.TestCase):
    deadline_ms = 2000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-lookup-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "agent.sock")
        self.api = ApiServer().start()
        self.addCleanup(self.api.close)
        self.driver = Driver(self.path, self.api, self.deadline_ms)
        self.addCleanup(self._stop)

    def _stop(self):
        if self.driver.process.poll() is None:
            self.driver.stop()

    def unknown(self, *args, **options) -> str:
        answer = ask(self.path, *args, **options)
        self.assertNotIn("pod", answer)
        return answer["unknown"]


class PatientTest(LookupCase):
    """What the server answers is what counts: a slow machine must not decide."""
    deadline_ms = 60000

    def test_a_miss_is_one_get_and_then_in_the_cache(self):
        self.api.put_pod(pod_object("web-0", uid="u1", env={"ISTIO_META_DNS_CAPTURE": "true"}))
        for _ in range(3):
            pod = ask(self.path, "web-0", "u1")["pod"]
            self.assertEqual(pod["metadata"]["name"], "web-0")
            self.assertIn("sidecar.istio.io/status", pod["metadata"]["annotations"])
            self.assertEqual([c["name"] for c in pod["spec"]["containers"]], ["app", "istio-proxy"])
        self.assertEqual(self.api.requests["get_pod"], 1)
        ApiServer.wait(lambda: self.driver.sources() == ["api", "cache", "cache"])
        self.assertEqual(self.driver.pods(), 1)

    def test_known_annotations_are_left_out_of_a_get_s_answer_too(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.assertNotIn("annotations", ask(self.path, "web-0", "u1", known=True)["pod"]["metadata"])
        self.assertIn("annotations", ask(self.path, "web-0", "u1")["pod"]["metadata"])

    def test_equal_questions_share_one_get(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.api.faults.silent = True
        peers = [connect(self.path) for _ in range(50)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.sendall(question("web-0", "u1", deadline_ms=60000))
        ApiServer.wait(lambda: self.api.requests["get_pod"] == 1)
        self.api.faults.silent = False
        self.api.drop()
        # One GET failed with the connection, or was made anew by the client library on another.
        answers = [json.loads(peer.recv(4 << 20)) for peer in peers]
        self.assertEqual(len({json.dumps(answer, sort_keys=True) for answer in answers}), 1)
        self.assertLessEqual(self.api.requests["get_pod"], 2)

    def test_50_at_once_for_a_pod_that_is_there(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.api.faults.bytes_per_second = 30000  # 15 KB take a while
        peers = [connect(self.path) for _ in range(50)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.sendall(question("web-0", "u1", deadline_ms=60000))
        for peer in peers:
            self.assertIn("pod", json.loads(peer.recv(4 << 20)))
        self.assertEqual(self.api.requests["get_pod"], 1)

    def test_50_different_pods_at_once(self):
        names = [f"web-{i}" for i in range(50)]
        for name in names:
            self.api.put_pod(pod_object(name, uid=f"u-{name}"))
        peers = {name: connect(self.path) for name in names}
        for name, peer in peers.items():
            self.addCleanup(peer.close)
            peer.sendall(question(name, f"u-{name}", deadline_ms=60000))
        for name, peer in peers.items():
            self.assertEqual(json.loads(peer.recv(4 << 20))["pod"]["metadata"]["name"], name)
        self.assertEqual(self.api.requests["get_pod"], 50)
        self.assertLessEqual(self.api.connections, 4)

    def test_what_the_api_server_does_not_have(self):
        self.assertEqual(self.unknown("web-0", "u1"), "the API server has no such pod")
        self.assertEqual(self.driver.pods(), 0)

    def test_a_former_pod_of_a_statefulset(self):
        self.api.put_pod(pod_object("web-0", uid="old"))
        ask(self.path, "web-0", "old")
        says = self.unknown("web-0", "new")
        self.assertIn('"old"', says)
        self.assertIn('"new"', says)
        self.api.delete_pod("web-0")
        self.api.put_pod(pod_object("web-0", uid="new"))
        self.assertIn("pod", ask(self.path, "web-0", "new"))
        self.assertEqual(self.driver.pods(), 1)

    def test_a_static_pod_s_mirror(self):
        self.api.put_pod(pod_object("etcd", uid="api", annotations={
            "kubernetes.io/config.mirror": "hash", "kubernetes.io/config.hash": "hash"}))
        self.assertIn("pod", ask(self.path, "etcd", "hash"))

    def test_a_pod_of_another_node(self):
        self.api.put_pod(pod_object("web-0", uid="u1", node="node-2"))
        self.assertIn('on node "node-2"', self.unknown("web-0", "u1"))
        self.assertEqual(self.driver.pods(), 0)

    def test_a_runtime_that_tells_no_uid(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.assertIn("pod", ask(self.path, "web-0"))

    def test_the_most_annotations(self):
        value = ",".join(["10.0.0.0/8"] * 20000)[:200 * 1024]
        self.api.put_pod(pod_object("web-0", uid="u1", annotations={
            "traffic.sidecar.istio.io/excludeOutboundIPRanges": value}))
        pod = ask(self.path, "web-0", "u1")["pod"]
        self.assertEqual(
            pod["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundIPRanges"], value)
        self.assertLess(len(json.dumps(ask(self.path, "web-0", "u1", known=True))), 10000)

    def test_answers_that_are_no_pod(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        faults = self.api.faults
        for setting, value, says in (("status", 500, "the API server says: the server answers 500"),
                                     ("forbidden", {"get_pod"}, "the API server says"),
                                     ("bad_json", True, "the API server cannot be asked"),
                                     ("oversized", 9 << 20, "the API server cannot be asked")):
            with self.subTest(setting):
                kept = getattr(faults, setting)
                setattr(faults, setting, value)
                self.assertIn(says, self.unknown("web-0", "u1"))
                setattr(faults, setting, kept)
        self.assertIn("pod", ask(self.path, "web-0", "u1"))

    def test_a_rotated_token(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.api.put_pod(pod_object("web-1", uid="u2"))
        self.assertIn("pod", ask(self.path, "web-0", "u1"))
        self.api.tokens = {"token-2"}
        self.api.write_token("token-2")
        self.assertIn("pod", ask(self.path, "web-1", "u2"))

    def test_an_api_server_that_is_not_there_is_no_wait(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.api.stop()
        start = time.monotonic()
        self.assertIn("the API server cannot be asked", self.unknown("web-0", "u1"))
        self.assertLess(time.monotonic() - start, 20)
        self.api.start()
        self.assertIn("pod", ask(self.path, "web-0", "u1"))

    def test_a_peer_that_is_not_root_is_not_answered(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        os.chmod(self.folder, 0o755)
        os.chmod(self.path, 0o666)  # as if the mode had not kept it out
        code = ("import socket, sys\n"
                "peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                "peer.settimeout(60)\n"
                "peer.connect(sys.argv[1])\n"
                "try:\n"
                "    peer.send(sys.argv[2].encode())\n"
                "    print(len(peer.recv(4096)))\n"
                "except OSError:\n"
                "    print(0)\n")
        done = subprocess.run(["/usr/bin/python3", "-c", code, self.path,
                               question("web-0", "u1").decode()], capture_output=True, text=True,
                              timeout=120, check=True, user=NOBODY, group=NOBODY, extra_groups=[])
        self.assertEqual(done.stdout, "0\n")
        self.assertEqual(self.api.requests["get_pod"], 0)
        ApiServer.wait(lambda: any("of UID 65534" in line.get("text", "")
                                   for line in list(self.driver.lines)))

    def test_the_mode_keeps_others_out(self):
        os.chmod(self.folder, 0o755)
        code = ("import socket, sys\n"
                "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1])\n")
        done = subprocess.run(["/usr/bin/python3", "-c", code, self.path], capture_output=True,
                              text=True, timeout=120, check=False, user=NOBODY, group=NOBODY,
                              extra_groups=[])
        self.assertIn("PermissionError", done.stderr)

    def test_after_kill_it_refuses_at_once_and_a_successor_takes_the_place(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.driver.kill()
        start = time.monotonic()
        with self.assertRaises(ConnectionRefusedError):
            connect(self.path)
        self.assertLess(time.monotonic() - start, 10)
        self.driver = Driver(self.path, self.api, self.deadline_ms)
        self.assertIn("pod", ask(self.path, "web-0", "u1"))
        self.assertEqual(os.listdir(self.folder), ["agent.sock"])


class DeadlineTest(LookupCase):
    """An API server that hangs: the answer comes before the plugin would give up."""

    def check_hang(self):
        start = time.monotonic()
        self.assertEqual(self.unknown("web-0", "u1", deadline_ms=1500), TOO_LATE)
        took = time.monotonic() - start
        self.assertGreater(took, 1.3)
        self.assertLess(took, 1.5)

    def retry(self, check):
        """A machine that is busy elsewhere may be late once or twice, not five times."""
        for attempt in range(5):
            try:
                return check()
            except AssertionError:
                if attempt == 4:
                    raise

    def test_an_api_server_that_reads_and_is_silent(self):
        self.api.faults.silent = True
        self.retry(self.check_hang)

    def test_an_api_server_that_does_not_even_shake_hands(self):
        self.api.faults.mute = True
        self.retry(self.check_hang)

    def test_an_api_server_whose_bytes_are_slow(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        self.api.faults.bytes_per_second = 500
        self.retry(self.check_hang)

    def test_the_server_s_own_limit_counts_where_the_plugin_s_is_longer(self):
        self.api.faults.silent = True
        start = time.monotonic()
        self.assertEqual(self.unknown("web-0", "u1", deadline_ms=600000), TOO_LATE)
        self.assertLess(time.monotonic() - start, 60)

    def test_a_cached_pod_does_not_wait_for_it(self):
        self.api.put_pod(pod_object("web-0", uid="u1"))
        ask(self.path, "web-0", "u1", deadline_ms=60000)
        self.api.faults.mute = True
        self.api.drop()
        waiting = [connect(self.path) for _ in range(20)]
        for i, peer in enumerate(waiting):
            self.addCleanup(peer.close)
            peer.sendall(question(f"other-{i}", deadline_ms=2000))
        for _ in range(20):
            self.assertIn("pod", ask(self.path, "web-0", "u1"))
        for peer in waiting:
            self.assertEqual(json.loads(peer.recv(65536))["unknown"], TOO_LATE)

    def test_those_who_hang_up_leave_nothing_behind(self):
        self.api.faults.silent = True
        for i in range(300):
            with connect(self.path) as peer:
                peer.sendall(question(f"web-{i}"))
        self.api.faults.silent = False
        self.api.drop()
        self.api.put_pod(pod_object("web-0", uid="u1"))
        ApiServer.wait(lambda: "pod" in ask(self.path, "web-0", "u1"))
        descriptors = f"/proc/{self.driver.process.pid}/fd"
        ApiServer.wait(lambda: len(os.listdir(descriptors)) < 40)

    def test_it_stops_while_gets_hang(self):
        self.api.faults.silent = True
        with connect(self.path) as peer:
            peer.sendall(question("web-0", deadline_ms=60000))
            ApiServer.wait(lambda: self.api.requests["get_pod"] == 1)
            # libcurl asks once a second whether to go on; slow machines need longer.
            self.assertLess(self.driver.stop(), 6)


class NodeTest(LookupCase):
    """`sluice node` and `sluice-agent status`."""

    def run_program(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False,
                              env={})

    def programs(self) -> list[list[str]]:
        return [[COMMAND_LINE, "node"],
                [AGENT, "status"]]

    def test_a_table_and_json(self):
        for program in self.programs():
            with self.subTest(program[1]):
                done = self.run_program(*program, "--socket", self.path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("Node:     n1\n", done.stdout)
                self.assertIn("Ready:    yes\n", done.stdout)
                done = self.run_program(*program, "--socket", self.path, "-o", "json")
                self.assertEqual(json.loads(done.stdout), {"version": 1, "node": "n1", "ready": True})

    def test_no_agent(self):
        self.driver.kill()
        for program in self.programs():
            for path in (self.path, self.path + ".not"):
                with self.subTest(program=program[1], path=path):
                    done = self.run_program(*program, "--socket", path)
                    self.assertEqual((done.returncode, done.stdout), (1, ""))
                    self.assertIn(f'cannot be asked at "{path}"', done.stderr)
                    self.assertEqual(done.stderr.count("\n"), 1)

    def serve_once(self, answer: bytes) -> str:
        """The path of an agent that says just this."""
        path = os.path.join(self.folder, "other.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        self.addCleanup(os.unlink, path)
        listener.bind(path)
        listener.listen(8)

        def serve():
            with listener.accept()[0] as peer:
                peer.recv(65536)
                if answer:
                    peer.send(answer)
        threading.Thread(target=serve, daemon=True).start()
        return path

    def test_a_node_that_is_not_ready(self):
        path = self.serve_once(b'{"ready":false,"parts":{"watch":{"ready":false,"why":"no list"}}}')
        done = self.run_program(*self.programs()[0], "--socket", path)
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        self.assertIn("  watch  not ready  no list\n", done.stdout)

    def test_an_agent_that_talks_nonsense(self):
        path = self.serve_once(b"\x1b[2J{")
        done = self.run_program(*self.programs()[0], "--socket", path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertNotIn("\x1b", done.stderr)

    def test_an_agent_that_says_nothing(self):
        path = self.serve_once(b"")
        done = self.run_program(*self.programs()[1], "--socket", path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(path, done.stderr)


if __name__ == "__main__":
    unittest.main()

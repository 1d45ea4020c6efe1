# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent does to objects of the cluster, and single requests."""
import errno
import unittest

from tests.agent.api_server import pod_object
from tests.agent.kube_driver import KubeTest

EVENT = {"do": "event", "name": "web-0", "uid": "u-1", "type": "Warning", "reason": "Repaired",
         "message": "the rules were missing"}


class ActionsTest(KubeTest):
    def setUp(self):
        super().setUp()
        self.driver = self.drive(mode="actions")
        self.server.put_pod(pod_object("web-0", uid="u-1"))

    def test_an_event_names_the_pod_and_who_says_so(self):
        self.assertEqual(self.driver.act(**EVENT), {"result": "done"})
        (event,) = self.server.events
        self.assertEqual(event["involvedObject"], {"kind": "Pod", "apiVersion": "v1", "name": "web-0",
                                                   "namespace": "demo", "uid": "u-1"})
        self.assertEqual(event["source"], {"component": "sluice-agent", "host": "node-1"})
        self.assertEqual((event["type"], event["reason"], event["message"], event["count"]),
                         ("Warning", "Repaired", "the rules were missing", 1))
        self.assertRegex(event["metadata"]["name"], r"^web-0\.[0-9a-f]{16}$")
        self.assertRegex(event["firstTimestamp"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_the_same_event_again_is_counted(self):
        for _ in range(4):
            self.driver.act(**EVENT)
        self.driver.act(**{**EVENT, "message": "another"})
        self.driver.act(**{**EVENT, "uid": "u-2"})
        self.assertEqual(sorted(event["count"] for event in self.server.events), [1, 1, 4])
        self.assertEqual(self.server.requests["post_event"], 3)

    def test_an_event_that_is_gone_is_written_again(self):
        self.driver.act(**EVENT)
        self.server.store.events.clear()
        self.assertEqual(self.driver.act(**EVENT), {"result": "done"})
        self.assertEqual([event["count"] for event in self.server.events], [1])

    def test_hostile_text_in_an_event_is_text(self):
        self.driver.act(**{**EVENT, "message": 'a"},\n"x": "\u2028' + "y" * 5000})
        (event,) = self.server.events
        self.assertEqual(len(event["message"].encode()), 1024)
        self.assertTrue(event["message"].startswith('a"},\n"x": "'))

    def test_a_name_is_a_path_segment(self):
        answer = self.driver.act(do="delete", name="../../../nodes/node-1?x=", uid="u")
        self.assertEqual(answer, {"result": "done"})  # 404 of a pod with a strange name
        self.assertEqual(self.server.requests["delete_pod"], 1)

    def test_refusals_have_the_servers_message(self):
        self.server.faults.forbidden = {"post_event", "delete_pod", "patch_pod_status", "get_node"}
        for command in (EVENT, {"do": "delete", "name": "web-0", "uid": "u-1"},
                        {"do": "label", "name": "web-0", "uid": "u-1", "key": "a", "value": "b"},
                        {"do": "untaint", "keys": ["a"]}):
            with self.subTest(command=command["do"]):
                self.assertIn("403 pods is forbidden", self.driver.act(**command)["error"])

    def test_delete_takes_this_pod_and_no_other_of_its_name(self):
        self.driver.act(do="delete", name="web-0", uid="former")
        self.assertIn(("demo", "web-0"), self.server.pods)
        self.assertEqual(self.driver.act(do="delete", name="web-0", uid="u-1"), {"result": "done"})
        self.assertNotIn(("demo", "web-0"), self.server.pods)
        self.assertEqual(self.driver.act(do="delete", name="web-0", uid="u-1"), {"result": "done"})

    def test_label_takes_this_pod_and_no_other_of_its_name(self):
        label = {"do": "label", "name": "web-0", "key": "cni.istio.io/uninitialized", "value": "true"}
        self.assertEqual(self.driver.act(**label, uid="former"), {"result": "done"})
        self.assertNotIn("cni.istio.io/uninitialized",
                         self.server.pods["demo", "web-0"]["metadata"]["labels"])
        self.assertEqual(self.driver.act(**label, uid="u-1"), {"result": "done"})
        labels = self.server.pods["demo", "web-0"]["metadata"]["labels"]
        self.assertEqual((labels["cni.istio.io/uninitialized"], labels["app"]), ("true", "web"))
        self.assertEqual(0, self.server.requests["patch_pod"])
        self.assertEqual(self.driver.act(**{**label, "name": "gone"}, uid="x"), {"result": "done"})


class NodeTest(KubeTest):
    def setUp(self):
        super().setUp()
        self.driver = self.drive(mode="actions")

    def untaint(self, *keys) -> dict:
        return self.driver.act(do="untaint", keys=list(keys))

    def test_only_our_taints_go(self):
        self.server.put_node("node-1", ["a", "sluice.dev/not-ready", "b"])
        self.assertEqual(self.untaint("sluice.dev/not-ready", "absent"), {"result": True})
        self.assertEqual(self.server.taints("node-1"), ["a", "b"])
        self.assertEqual(self.untaint("sluice.dev/not-ready"), {"result": False})
        self.assertEqual(self.server.requests["patch_node"], 1)

    def test_the_last_taint_takes_the_list_with_it(self):
        self.server.put_node("node-1", ["a"])
        self.assertEqual(self.untaint("a"), {"result": True})
        self.assertNotIn("taints", self.server.store.nodes["node-1"]["spec"])

    def test_a_taint_that_comes_in_between_stays(self):
        self.server.put_node("node-1", ["a"])
        races = iter(["b", "c"])

        def interfere():
            name = next(races, None)
            if name:
                self.server.put_node("node-1", ["a", name])

        self.server.before_node_patch = interfere
        self.assertEqual(self.untaint("a"), {"result": True})
        self.assertEqual(self.server.taints("node-1"), ["c"])
        self.assertEqual(self.server.requests["patch_node"], 3)

    def test_a_race_that_is_always_lost_ends_with_an_error(self):
        self.server.put_node("node-1", ["a"])
        self.server.before_node_patch = lambda: self.server.put_node(
            "node-1", ["a", str(self.server.store.version)])
        self.assertIn("422", self.untaint("a")["error"])
        self.assertEqual(self.server.requests["patch_node"], 5)

    def test_a_node_that_is_not_there(self):
        self.assertIn('404 nodes "node-1\\" not found'.replace("\\", ""), self.untaint("a")["error"])

    def test_a_daemonset_is_deleted_only_if_the_server_says_so(self):
        def deleted() -> bool:
            return self.driver.act(do="daemonset", namespace="kube-system", name="sluice")["result"]

        self.server.put_daemonset("sluice")
        self.assertFalse(deleted())
        self.server.put_daemonset("sluice", deleting=True)
        self.assertTrue(deleted())
        self.server.delete_daemonset("sluice")
        self.assertTrue(deleted())
        for fault, value in (("status", 404), ("status", 500), ("bad_json", True),
                             ("forbidden", {"get_daemonset"}), ("oversized", 9 * 1024 * 1024)):
            with self.subTest(fault=fault, value=value):
                former = getattr(self.server.faults, fault)
                setattr(self.server.faults, fault, value)
                self.assertFalse(deleted(), "when in doubt the plugin stays")
                setattr(self.server.faults, fault, former)
        self.server.tokens = {"another"}
        self.assertFalse(deleted())
        self.server.stop()
        self.assertFalse(deleted())


class RequestTest(KubeTest):
    def setUp(self):
        super().setUp()
        self.driver = self.drive(mode="actions")
        self.server.put_pod(pod_object("web-0"))

    def get(self, **options) -> dict:
        return self.driver.act(do="get", path="/api/v1/namespaces/demo/pods/web-0", **options)

    def test_connections_are_kept(self):
        for _ in range(5):
            self.assertEqual(self.get()["result"]["status"], 200)
        self.assertEqual(self.server.connections, 1)

    def test_a_connection_that_broke_is_replaced(self):
        self.get()
        self.server.drop()
        self.assertEqual(self.get()["result"]["status"], 200)

    def test_failures_have_their_errno(self):
        self.server.faults.silent = True
        self.assertEqual(self.get(deadline=300)["code"], errno.ETIMEDOUT)
        self.server.faults.silent = False
        self.server.faults.mute = True
        self.server.drop()
        self.assertEqual(self.get(deadline=300)["code"], errno.ETIMEDOUT)
        self.server.faults.mute = False
        self.server.faults.oversized = 9 * 1024 * 1024
        self.assertEqual(self.get()["code"], errno.EMSGSIZE)
        self.server.faults.oversized = 0
        self.server.stop()
        self.assertEqual(self.get()["code"], errno.ECONNREFUSED)
        self.server.start()
        self.server.new_authority()
        self.assertEqual(self.get()["code"], errno.EKEYREJECTED)

    def test_the_deadline_counts_for_slow_bytes_too(self):
        self.server.faults.bytes_per_second = 2000
        self.assertEqual(self.get(deadline=1000)["code"], errno.ETIMEDOUT)

    def test_a_new_token_is_tried_once_at_401(self):
        self.get()
        self.server.tokens = {"token-2"}
        self.assertEqual(self.get()["result"]["status"], 401)
        self.assertEqual(self.server.requests["get_pod"], 2)  # the same token again is no use
        self.server.write_token("token-2")
        self.assertEqual(self.get()["result"]["status"], 200)

    def test_messages_are_one_short_line(self):
        self.server.faults.status = 500
        self.assertEqual(self.get()["result"]["message"], "the server answers 500")
        self.server.faults.bad_json = True
        message = self.get()["result"]["message"]
        self.assertTrue(message.startswith('{"kind":"Status"'), message)
        self.assertLessEqual(len(message), 310)

    def test_a_url_that_is_no_https_to_an_address_is_refused(self):
        for url in ("http://127.0.0.1:1", "https://localhost:1", "https://user@127.0.0.1",
                    "https://127.0.0.1/path", "file:///etc/passwd", "https://", "https://[::1",
                    "https://127.0.0.1:99999", "https://::1:443", "https://[127.0.0.1]:443", ""):
            with self.subTest(url=url):
                driver = None
                try:
                    driver = self.drive(mode="actions", url=url or " ")
                    driver.process.stdin.close()
                    self.assertEqual(driver.process.wait(timeout=60), 1)
                finally:
                    if driver:
                        driver.process.stdout.close()


if __name__ == "__main__":
    unittest.main()

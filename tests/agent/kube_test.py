# SPDX-License-Identifier: GPL-2.0-or-later
"""The watch of a node's pods, as long as the server behaves, and its credentials."""
import json
import os
import time
import unittest

from tests.agent.api_server import pod_object
from tests.agent.kube_driver import KubeTest


class WatchTest(KubeTest):
    def test_the_list_has_this_nodes_pods_and_only_what_decisions_need(self):
        self.server.put_pod(pod_object("web-0", uid="u-1", addresses=("10.1.0.5", "fd00::5")))
        self.server.put_pod(pod_object("elsewhere", node="node-2"))
        driver = self.watching()
        state = driver.state()
        self.assertEqual([pod["name"] for pod in state["cache"]], ["web-0"])
        pod = state["cache"][0]
        self.assertEqual((pod["uid"], pod["addresses"]), ("u-1", 2))
        kept = json.loads(pod["object"])
        self.assertEqual(kept["kind"], "Pod")
        self.assertEqual(list(kept["metadata"]["annotations"]), ["sidecar.istio.io/status"])
        self.assertNotIn("managedFields", pod["object"])
        self.assertNotIn("SETTING_", pod["object"])
        self.assertLess(len(pod["object"]), 1500)
        self.assertEqual(self.server.requests["list"], 1)

    def test_the_first_list_may_come_from_the_servers_memory(self):
        self.watching()
        lists = [path for _, _, path, _ in self.server.log if "watch" not in path]
        self.assertEqual(len(lists), 1)
        self.assertIn("fieldSelector=spec.nodeName%3Dnode-1", lists[0])
        self.assertIn("resourceVersion=0", lists[0])

    def test_events_change_the_cache(self):
        driver = self.watching()
        self.server.put_pod(pod_object("web-0", uid="u-1"))
        self.wait(lambda: driver.names() == {"web-0"})
        self.server.put_pod(pod_object("web-0", uid="u-1", phase="Succeeded", validation_exit=126))
        self.wait(lambda: driver.state()["cache"][0]["finished"])
        self.assertTrue(driver.state()["cache"][0]["validation_failed"])
        self.server.put_pod(pod_object("web-0", uid="u-2"))  # a StatefulSet's next pod
        self.wait(lambda: [pod["uid"] for pod in driver.state()["cache"]] == ["u-2"])
        self.server.delete_pod("web-0")
        self.wait(lambda: driver.names() == set())
        self.assertEqual(self.server.requests["list"], 1)

    def test_a_broken_stream_goes_on_from_the_last_version_without_a_list(self):
        driver = self.watching()
        for count in range(1, 4):
            pod = self.server.put_pod(pod_object(f"web-{count}"))
            self.wait(lambda: len(driver.names()) == count)
            self.server.drop()
            self.wait(lambda: self.server.watches_opened == count + 1)
            self.assertEqual(self.server.watch_versions[-1], pod["metadata"]["resourceVersion"])
        self.assertEqual(self.server.requests["list"], 1)
        self.assertEqual(driver.texts(), [])  # nobody need read of it

    def test_what_happened_while_the_stream_was_broken_is_told(self):
        self.server.put_pod(pod_object("old"))
        driver = self.watching()
        self.server.stop()
        self.server.put_pod(pod_object("new"))
        self.server.delete_pod("old")
        self.server.start()
        self.wait(lambda: driver.names() == {"new"})
        self.assertEqual(self.server.requests["list"], 1)

    def test_a_stream_that_the_server_ends_is_opened_again(self):
        self.server.faults.watch_seconds = 0.3
        driver = self.watching()
        self.wait(lambda: len(self.server.watch_versions) >= 3)
        self.assertEqual(set(driver.restarts), {"ended"})
        self.assertEqual(self.server.requests["list"], 1)
        self.assertEqual(driver.texts(), [])

    def test_bookmarks_advance_the_version(self):
        self.watching()
        self.server.put_pod(pod_object("elsewhere", node="node-2"))
        version = str(self.server.store.version)
        self.assertNotEqual(self.server.watch_versions[-1], version)
        # Nothing tells that a bookmark was read but where the next watch begins.
        self.wait(lambda: self._version_after_a_bookmark() == version)
        self.assertEqual(self.server.requests["list"], 1)

    def _version_after_a_bookmark(self) -> str:
        self.server.bookmark()
        time.sleep(0.2)
        before = self.server.watches_opened
        self.server.drop()
        self.wait(lambda: self.server.watches_opened > before)
        return self.server.watch_versions[-1]

    def test_gone_lists_again_however_it_is_said(self):
        for how in ("status", "event"):
            with self.subTest(how=how):
                driver = self.watching()
                lists = self.server.requests["list"]
                self.server.faults.gone = how
                self.server.stop()
                self.server.put_pod(pod_object(f"only-listed-{how}"))
                self.server.compact()
                self.server.start()
                self.wait(lambda: f"only-listed-{how}" in driver.names())
                self.assertEqual(self.server.requests["list"], lists + 1)
                self.assertIn("gone", driver.restarts)
                # The server's memory was too old: not from there again.
                last = [path for _, _, path, _ in self.server.log if "watch" not in path][-1]
                self.assertNotIn("resourceVersion", last)
                driver.close()

    def test_a_list_takes_out_what_is_gone(self):
        self.server.put_pod(pod_object("old"))
        driver = self.watching()
        self.server.stop()
        self.server.delete_pod("old")
        self.server.compact()
        self.server.start()
        self.wait(lambda: driver.names() == set())

    def test_pods_of_another_node_are_not_cached_whatever_the_server_sends(self):
        self.server.faults.ignore_selectors = True
        self.server.put_pod(pod_object("elsewhere", node="node-2"))
        driver = self.watching()
        self.server.put_pod(pod_object("also-elsewhere", node="node-2"))
        self.server.put_pod(pod_object("web-0"))
        self.wait(lambda: driver.names() == {"web-0"})

    def test_it_stops_soon(self):
        self.assertLess(self.watching().close(), 10)

    def test_it_stops_soon_while_it_waits_to_try_again(self):
        self.server.stop()
        driver = self.drive()
        self.wait(lambda: len(driver.restarts) >= 4)  # delays are seconds by now
        self.assertLess(driver.close(), 10)


class CredentialTest(KubeTest):
    def test_a_rotated_token_is_read(self):
        driver = self.watching()
        self.server.write_token("token-2", accept=True)
        self.server.drop()
        self.wait(lambda: self.server.streams == 1)
        self.assertEqual(driver.texts(), [])

    def test_a_token_written_in_place_is_read(self):
        driver = self.watching()
        with open(self.server.token_file, "w", encoding="ascii") as file:
            file.write("token-2\n")
        self.server.tokens = {"token-2"}
        self.server.drop()
        self.wait(lambda: self.server.streams == 1)
        self.assertEqual(driver.texts(), [])

    def test_a_token_that_is_removed_and_made_again_is_read(self):
        driver = self.watching()
        os.unlink(self.server.token_file)
        self.server.tokens = {"token-2"}
        self.server.drop()
        self.wait(lambda: any("token" in text and "No such file" in text for text in driver.texts()))
        self.assertEqual(self.server.streams, 0)
        self.assertTrue(driver.state()["ready"])
        self.server.write_token("token-2")
        self.wait(lambda: self.server.streams == 1)

    def test_an_empty_token_or_ca_is_an_error_that_says_so(self):
        for path, write in ((self.server.token_file, lambda: self.server.write_token("token-1")),
                            (self.server.ca_file, self.server.write_ca)):
            with self.subTest(path=path):
                open(path, "w", encoding="ascii").close()
                driver = self.drive()
                self.wait(lambda: driver.texts())
                self.assertIn(f'"{path}" is empty', driver.texts()[0])
                self.assertFalse(driver.state()["ready"])
                write()
                self.wait(lambda: driver.state()["ready"])
                driver.close()

    def test_a_token_with_a_line_feed_does_not_reach_the_wire(self):
        self.server.write_token("token-1\r\nX-Injected: yes")
        driver = self.drive()
        self.wait(lambda: driver.texts())
        self.assertIn("characters that no token has", driver.texts()[0])
        self.assertNotIn("X-Injected", json.dumps(driver.logs))

    def test_a_wrong_token_is_reported_with_the_servers_message_but_not_itself(self):
        self.server.tokens = {"another"}
        driver = self.drive()
        self.wait(lambda: len(driver.restarts) >= 2)
        self.assertEqual(set(driver.restarts), {"refused"})
        self.assertEqual(len(driver.texts()), 1)
        self.assertIn("401 Unauthorized", driver.texts()[0])
        self.assertIn("401 Unauthorized", driver.state()["why"])
        self.assertNotIn("token-1", json.dumps(driver.logs))

    def test_forbidden_is_reported_with_the_servers_message(self):
        self.server.faults.forbidden = {"list"}
        driver = self.drive()
        self.wait(lambda: driver.texts())
        self.assertIn("403 pods is forbidden: User", driver.texts()[0])
        self.server.faults.forbidden = {"watch"}
        self.wait(lambda: driver.state()["ready"])
        self.server.faults.forbidden = set()
        self.wait(lambda: self.server.streams == 1)

    def test_a_certificate_of_another_ca_is_refused(self):
        self.server.new_authority()  # ca_file still has the former one
        driver = self.drive()
        self.wait(lambda: driver.texts())
        self.assertIn("certificate", driver.texts()[0])
        self.assertEqual(sum(self.server.requests.values()), 0)  # no token left
        self.server.write_ca()
        self.wait(lambda: self.server.streams == 1)

    def test_a_rotated_ca_is_read(self):
        driver = self.watching()
        self.server.new_authority()
        self.server.write_ca()
        self.server.drop()
        self.wait(lambda: self.server.streams == 1)
        self.assertEqual(driver.texts(), [])

    def test_a_connection_is_not_used_again_after_the_ca_changed(self):
        driver = self.drive(mode="actions")
        self.assertEqual(driver.act(do="get", path="/version")["result"]["status"], 404)
        self.assertEqual(driver.act(do="get", path="/version")["result"]["status"], 404)
        self.assertEqual(self.server.connections, 1)
        former = self.server.context()
        self.server.new_authority()
        self.server.write_ca()
        self.server._context = former  # the server still shows the certificate of the former CA
        self.assertIn("certificate", driver.act(do="get", path="/version")["error"])
        self.assertEqual(self.server.connections, 2)

    def test_only_the_clusters_ca_counts(self):
        directory = self.server.directory
        bundle = os.path.join(directory, "bundle")
        with open(self.server.ca_file, "rb") as source, open(bundle, "wb") as target:
            target.write(source.read())
        self.server.new_authority()
        former = self.server.ca_file
        self.server.write_ca()  # the file vouches for the server...
        os.rename(former, bundle + ".right")
        os.rename(bundle, former)  # ...but this one, another CA's, is what counts
        driver = self.drive(mode="actions", env={"SSL_CERT_FILE": bundle + ".right",
                                                 "CURL_CA_BUNDLE": bundle + ".right"})
        self.assertIn("certificate", driver.act(do="get", path="/version")["error"])

    def test_the_environments_proxy_does_not_count(self):
        proxy = "http://127.0.0.1:1"
        driver = self.drive(mode="actions", env={"https_proxy": proxy, "HTTPS_PROXY": proxy,
                                                 "all_proxy": proxy, "ALL_PROXY": proxy})
        self.assertEqual(driver.act(do="get", path="/version")["result"]["status"], 404)


if __name__ == "__main__":
    unittest.main()

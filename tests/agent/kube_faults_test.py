# SPDX-License-Identifier: GPL-2.0-or-later
"""The watch of a node's pods when the server does what it should not."""
import json
import time
import unittest

from tests.agent.api_server import pod_object
from tests.agent.kube_driver import SANITIZED, KubeTest


def event(kind: str, pod: dict) -> bytes:
    return json.dumps({"type": kind, "object": {"kind": "Pod", **pod}}).encode() + b"\n"


class OutageTest(KubeTest):
    def test_an_outage_is_said_once_and_so_is_its_end(self):
        self.server.put_pod(pod_object("web-0"))
        driver = self.watching()
        self.server.stop()
        stopped = time.monotonic()
        self.wait(lambda: len(driver.restarts) >= 4)
        self.assertTrue(driver.state()["ready"], "the cache is as good as ever")
        self.assertIn("1 pods known, but cannot watch pods", driver.state()["why"])
        self.assertEqual(driver.names(), {"web-0"})
        time.sleep(max(0.0, 3 - (time.monotonic() - stopped)))
        self.server.put_pod(pod_object("web-1"))
        self.server.start()
        self.wait(lambda: driver.names() == {"web-0", "web-1"})
        self.wait(lambda: len(driver.texts("info")) == 1)
        self.assertEqual(len(driver.texts()), 1)
        self.assertIn("watched again after", driver.texts("info")[0])
        self.assertEqual(driver.state()["why"], "1 pods")
        self.assertEqual(self.server.requests["list"], 1)

    def test_nothing_is_ready_before_the_first_list(self):
        self.server.faults.status = 500
        driver = self.drive()
        self.wait(lambda: len(driver.restarts) >= 2)
        self.assertFalse(driver.state()["ready"])
        self.assertIn("500 the server answers 500", driver.state()["why"])
        self.server.faults.status = 0
        self.wait(lambda: driver.state()["ready"])

    def test_a_server_that_is_down_is_not_asked_all_the_time(self):
        self.server.faults.status = 503
        driver = self.drive()
        self.wait(lambda: self.server.requests["list"] >= 1)
        cpu = driver.state()["cpu"]
        time.sleep(6)  # the longer, the fewer: 200, 400, 800, 1600, 3200 ms and half of each
        self.assertLessEqual(self.server.requests["list"], 8)
        self.assertLess(driver.state()["cpu"] - cpu, 1.0)

    def test_a_watch_that_ends_at_once_is_not_opened_all_the_time(self):
        self.server.faults.watch_seconds = 1e-6
        self.drive()
        self.wait(lambda: self.server.requests["watch"] >= 1)
        time.sleep(4)
        self.assertLessEqual(self.server.requests["watch"], 7)
        self.assertEqual(self.server.requests["list"], 1)

    def test_retry_after_is_heeded(self):
        self.server.faults.status = 429
        self.server.faults.retry_after = 3
        self.drive()
        self.wait(lambda: len(self.server.log) >= 2)
        first, second = [entry[0] for entry in self.server.log][:2]
        self.assertGreaterEqual(second - first, 2.9)

    def test_a_server_that_accepts_and_never_answers_is_given_up(self):
        for fault in ("mute", "silent"):
            with self.subTest(fault=fault):
                setattr(self.server.faults, fault, True)
                driver = self.drive(times=(500, 500, 500))
                self.wait(lambda: len(driver.restarts) >= 2)
                self.assertEqual(set(driver.restarts), {"broken"})
                self.assertRegex(driver.texts()[0], "timed out|timeout")
                setattr(self.server.faults, fault, False)
                self.wait(lambda: driver.state()["ready"])
                driver.close()

    def test_a_watch_that_is_silent_is_made_anew_from_where_it_was(self):
        driver = self.watching(times=(5000, 5000, 500))
        self.wait(lambda: driver.restarts.count("silence") >= 2)
        self.assertEqual(self.server.requests["list"], 1)
        self.assertEqual(driver.texts(), [])

    def test_it_stops_soon_while_nobody_answers(self):
        self.server.faults.silent = True
        driver = self.drive()
        self.wait(lambda: self.server.requests["list"] == 1)
        self.assertLess(driver.close(), 10)


class ContentTest(KubeTest):
    def test_slow_bytes_are_read_nevertheless(self):
        self.server.put_pod(pod_object("web-0"))
        self.server.faults.bytes_per_second = 10_000
        driver = self.drive(times=(2000, 2000, 2000))
        self.wait(lambda: driver.names() == {"web-0"})
        self.wait(lambda: self.server.streams == 1)
        self.server.put_pod(pod_object("web-1"))
        self.wait(lambda: driver.names() == {"web-0", "web-1"})
        self.assertEqual(self.server.requests["list"], 1)

    def test_a_stream_that_breaks_in_the_middle_of_a_line_goes_on(self):
        driver = self.watching()
        whole = event("ADDED", pod_object("half"))
        self.server.send_raw(whole[:len(whole) // 2], end=True)
        self.wait(lambda: self.server.watches_opened == 2)
        self.server.put_pod(pod_object("web-0"))
        self.wait(lambda: driver.names() == {"web-0"})
        self.assertEqual(self.server.requests["list"], 1)

    def test_a_line_that_is_no_json_costs_a_new_stream_and_no_event(self):
        for line in (b"{]\n", b'{"type":"ADDED"}\n', b'"text"\n', b"null\n", b"\xff\xfe\n", b"\0\n",
                     b'{"type":"SING","object":{"metadata":{"resourceVersion":"1"}}}\n',
                     b'{"type":"ADDED","object":{"metadata":{"resourceVersion":7}}}\n',
                     b'{"type":"BOOKMARK","object":null}\n', b"[" * 5000 + b"\n"):
            with self.subTest(line=line[:60]):
                driver = self.watching()
                self.server.send_raw(line)
                self.wait(lambda: driver.restarts == ["unreadable"])
                self.wait(lambda: self.server.streams == 1)
                name = f"web-{self.server.store.version}"
                self.server.put_pod(pod_object(name))
                self.wait(lambda: name in driver.names())
                self.assertEqual(len(driver.texts()), 1)
                driver.close()

    def test_what_is_unreadable_twice_at_the_same_place_is_listed_instead(self):
        driver = self.watching()
        for count in (1, 2):
            self.server.send_raw(b"garbage\n")
            self.wait(lambda: driver.restarts == ["unreadable"] * count)
            self.wait(lambda: self.server.watches_opened == count + 1)
        self.assertEqual(self.server.requests["list"], 2)

    def test_a_giant_line_is_refused(self):
        driver = self.watching()
        before = driver.state()["rss"]
        for _ in range(8):
            self.server.send_raw(b" " * (1024 * 1024))
        self.wait(lambda: driver.restarts == ["unreadable"])
        self.assertIn("more than 4194304 bytes", driver.texts()[0])
        self.wait(lambda: self.server.streams == 1)
        if not SANITIZED:
            self.assertLess(driver.state()["rss"] - before, 6 * 1024)

    def test_an_error_event_restarts_and_then_lists(self):
        driver = self.watching()
        self.server.faults.error_event = 500  # an old etcd says so for what is compacted
        self.server.drop()
        self.wait(lambda: self.server.requests["list"] >= 2)
        self.assertIn("error", driver.restarts)
        self.server.faults.error_event = 0
        self.wait(lambda: self.server.streams == 1)
        self.assertEqual(len(driver.texts()), 1)
        self.server.put_pod(pod_object("web-0"))
        self.wait(lambda: driver.names() == {"web-0"})
        self.wait(lambda: len(driver.texts("info")) == 1)

    def test_a_list_that_is_cut_keeps_what_is_known(self):
        self.server.put_pod(pod_object("web-0"))
        driver = self.watching()
        self.server.stop()
        self.server.put_pod(pod_object("web-1"))
        self.server.compact()
        self.server.faults.bad_json = True
        self.server.start()
        self.wait(lambda: driver.restarts.count("unreadable") >= 2)
        self.assertEqual(driver.names(), {"web-0"})
        self.server.faults.bad_json = False
        self.wait(lambda: driver.names() == {"web-0", "web-1"})

    def test_an_item_that_is_too_large_ends_the_list(self):
        pod = pod_object("large")
        pod["spec"]["padding"] = "x" * (5 * 1024 * 1024)
        self.server.put_pod(pod)
        driver = self.drive()
        self.wait(lambda: driver.texts())
        self.assertIn("more than 4 MiB", driver.texts()[0])
        self.assertFalse(driver.state()["ready"])

    def test_a_pod_that_cannot_be_read_costs_only_itself(self):
        nameless = pod_object("nameless", uid="u")
        nameless["metadata"]["uid"] = ""
        self.server.put_pod(nameless)
        hostile = pod_object("hostile")
        hostile["spec"]["containers"] = {"not": "a list"}
        hostile["status"] = [None]
        self.server.put_pod(hostile)
        self.server.put_pod(pod_object("web-0"))
        driver = self.watching()
        self.assertEqual(driver.names(), {"hostile", "web-0"})
        self.assertEqual(driver.texts(), ["a pod is left out: a Pod has no metadata.uid"])

    def test_an_answer_without_end_is_refused(self):
        self.server.faults.status = 500
        self.server.faults.oversized = 9 * 1024 * 1024
        driver = self.drive()
        self.wait(lambda: driver.texts())
        self.assertIn("Message too long", driver.texts()[0])


if __name__ == "__main__":
    unittest.main()

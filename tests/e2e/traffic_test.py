# SPDX-License-Identifier: GPL-2.0-or-later
"""Real connections through a real pod: every row of the demo, and the life of its rules."""

from tests.e2e import cni, rows, traffic
from tests.e2e.cases import PodCase
from tests.e2e.live import LivePod, sidecar
from tests.e2e.pod import V4, V6, Family, Pod, endpoint
from tests.e2e.traffic import SIDECAR, Connection

ALWAYS = {"ipv6": "always"}


class RowsTest(PodCase):
    """The table, one connection after the other."""

    def test_without_rules_everything_lands_where_it_was_sent(self):
        pod = self.live_pod()
        for family in (V4, V6):
            for row in rows.control_rows(family):
                self.holds(row, pod)

    def test_rows_ipv4(self):
        self.every_row_holds(V4)

    def test_rows_ipv6(self):
        self.every_row_holds(V6)

    def test_tproxy_rows(self):
        pod = self.redirected_pod(rows.TPROXY_ANNOTATIONS, rows.CONFIG)
        for family in (V4, V6):
            for row in rows.tproxy_rows(family):
                self.holds(row, pod)

    def every_row_holds(self, family: Family) -> None:
        pod = self.redirected_pod(rows.ANNOTATIONS, rows.CONFIG)
        for row in rows.rows(family):
            self.holds(row, pod)

    def holds(self, row: rows.Row, pod: LivePod) -> None:
        wanted, happened = row.check(pod.land(row.connection))
        with self.subTest(row.why, connection=row.connection.title()):
            self.assertEqual(wanted, happened)


class IstioValidationTest(PodCase):
    """The exchange by which Istio's istio-validation container accepts or refuses a pod."""

    def test_ipv4(self):
        self.accepted_by_validation(V4)

    def test_ipv6(self):
        self.accepted_by_validation(V6)

    def test_without_rules_it_refuses(self):
        self.assertEqual("refused", str(self.probe(self.validated_pod(), V4)))

    def accepted_by_validation(self, family: Family) -> None:
        pod = self.validated_pod()
        self.succeeds(cni.add(pod, cni.injected(), ALWAYS))
        probed = endpoint(family.passthrough, 15002)
        self.assertEqual(traffic.redirected("sidecar:15006", probed), str(self.probe(pod, family)))

    def validated_pod(self) -> LivePod:
        return self.enterContext(LivePod(servers=[sidecar((V4.loopback, V6.loopback))]))

    def probe(self, pod: LivePod, family: Family) -> traffic.Landing:
        return pod.land(Connection(SIDECAR, family.passthrough, 15002, source=family.loopback))


class LifeTest(PodCase):
    """ADD, CHECK and DEL as seen by traffic."""

    def test_add_returns_the_previous_result(self):
        pod = self.live_pod()
        outcome = cni.add(pod, cni.injected(), ALWAYS)
        self.succeeds(outcome)
        self.assertEqual(pod.prev_result(cni.CNI_VERSION), outcome.result)

    def test_adding_twice_changes_nothing(self):
        pod = self.redirected_pod(cni.injected(), ALWAYS)
        self.succeeds(cni.add(pod, cni.injected(), ALWAYS))
        self.captured(pod, V4)
        self.captured(pod, V6)

    def test_check_accepts_a_pod_that_was_added(self):
        pod = self.redirected_pod(cni.injected(), ALWAYS)
        self.succeeds(cni.check(pod, cni.injected(), ALWAYS))

    def test_check_refuses_a_pod_without_its_rules(self):
        pod = self.live_pod()
        outcome = cni.check(pod, cni.injected(), ALWAYS)
        self.assertNotEqual(0, outcome.rc, outcome.complaint())

    def test_after_del_everything_is_direct_again(self):
        pod = self.redirected_pod(cni.injected(), ALWAYS)
        self.captured(pod, V4)
        self.captured(pod, V6)
        self.succeeds(cni.delete(pod, cni.injected(), ALWAYS))
        self.untouched(pod, V4)
        self.untouched(pod, V6)

    def test_del_of_a_pod_that_is_gone_succeeds(self):
        with Pod() as pod:
            self.succeeds(cni.add(pod, cni.injected(), ALWAYS))
        self.succeeds(cni.delete(pod, cni.injected(), ALWAYS))

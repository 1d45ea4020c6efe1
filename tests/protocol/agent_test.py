# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin and the node agent: when it is asked, what its answer changes, what its absence costs."""

import concurrent.futures
import json
import os

from tests.protocol import fake_agent
from tests.protocol.contract import PluginCase
from tests.protocol.expected import Redirection
from tests.protocol.fake_agent import Agent, Deaf, Process, answer, nowhere, pod_object
from tests.protocol.netconf import ABSENT, V4, V6, conf, injected, mesh_conf
from tests.protocol.runtime import CONTAINER_ID, KUBERNETES_ARGS, run

UID = 1000650000
OTHER_USER = Redirection(uids=(UID,), gids=(UID,))
AGENT_POD = "K8S_POD_NAMESPACE=sluice-system;K8S_POD_NAME=sluice-agent-x7k2z"


def known(**kind):
    return answer({"version": 1, "pod": pod_object(annotations=injected(), **kind)})


def unknown(why):
    return answer({"version": 1, "unknown": why})


class AgentCase(PluginCase):
    def add(self, agent, pod, **keys):
        """ADD of an injected pod on a node with this agent."""
        path = agent if isinstance(agent, str) else agent.path
        return run("ADD", mesh_conf(pod, agentSocket=path, **keys), pod, timeout=60)

    def seconds_without_agent(self):
        """What the slower of two ADDs takes on this machine, now."""
        pod = self.pod()
        return max(run("ADD", mesh_conf(pod), pod, timeout=60).seconds for _ in range(2))


class Asking(AgentCase):
    def test_nobody_is_asked_about_a_pod_that_is_not_injected(self):
        agent = Agent(self, known())
        for path in (agent.path, nowhere(self)):
            for annotations in (None, {}, injected() | {"sidecar.istio.io/inject": "false"}):
                document = conf(annotations=annotations, agentSocket=path)
                self.assert_passed(run("ADD", document), document)
                self.assert_success_silent(run("CHECK", document))
        self.assertEqual(len(agent.reports(6)), 6)
        self.assertEqual(agent.questions(), [])

    def test_nobody_is_asked_where_names_decide(self):
        agent = Agent(self, known())
        for env, keys in (
            ({"CNI_ARGS": ""}, {}),
            ({}, {"excludeNamespaces": ["demo"]}),
            ({"CNI_ARGS": AGENT_POD}, {"agentDaemonSet": "sluice-system/sluice-agent"}),
        ):
            document = conf(annotations=ABSENT, agentSocket=agent.path, **keys)
            self.assert_passed(run("ADD", document, env=env), document)
        agent.reports(3)
        self.assertEqual(agent.questions(), [])

    def test_a_pod_named_almost_like_the_agents_is_asked_about(self):
        agent = Agent(self, unknown("no such pod"))
        for name in ("sluice-agent-x7k2", "sluice-agent-x7k2a", "sluice-agent"):
            args = f"K8S_POD_NAMESPACE=sluice-system;K8S_POD_NAME={name}"
            document = conf(annotations=injected(), agentSocket=agent.path, agentDaemonSet="sluice-system/sluice-agent")
            self.assert_error(run("ADD", document, env={"CNI_ARGS": args}), 11)
        self.assertEqual(len(agent.questions()), 3)

    def test_the_question(self):
        agent, pod = Agent(self, known()), self.pod()
        self.assertEqual(self.add(agent, pod, agentTimeoutMs=9000).rc, 0)
        sandbox = {
            "namespace": "demo",
            "name": "web-0",
            "uid": "11111111-2222-3333-4444-555555555555",
            "containerID": CONTAINER_ID,
            "netns": pod.path,
        }
        expected = {"version": 1, "kind": "lookup", "sandbox": sandbox, "deadlineMs": 9000, "annotationsKnown": True}
        self.assertEqual(agent.questions(), [expected])

    def test_del_asks_nobody(self):
        agent, pod = Agent(self, known()), self.pod()
        document = mesh_conf(pod, agentSocket=agent.path)
        self.assertEqual(run("ADD", document, pod).rc, 0)
        self.assert_success_silent(run("DEL", document, pod))
        self.assert_not_redirected(pod)
        self.assertEqual([report["command"] for report in agent.reports(2)], ["ADD", "DEL"])
        self.assertEqual(len(agent.questions()), 1)


class Answers(AgentCase):
    def assert_rules(self, behaviour, wanted, **keys):
        agent, pod = Agent(self, behaviour), self.pod()
        document = mesh_conf(pod, agentSocket=agent.path, **keys)
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, wanted)
        self.assert_success_silent(run("CHECK", document, pod))
        return pod

    def assert_passes(self, behaviour, **keys):
        agent, pod = Agent(self, behaviour), self.pod()
        document = mesh_conf(pod, agentSocket=agent.path, **keys)
        with self.unchanged(pod):
            self.assert_passed(run("ADD", document, pod), document)
        self.assert_success_silent(run("CHECK", document, pod))

    def test_the_sidecars_user_is_in_the_rules(self):
        self.assert_rules(known(runAsUser=UID, runAsGroup=UID), OTHER_USER)

    def test_pods_that_pass_by_their_containers(self):
        self.assert_passes(known(env={"DISABLE_ENVOY": "true"}))
        self.assert_passes(known(args=("proxy", "router")))
        self.assert_passes(answer({"pod": {"kind": "Pod", "spec": {"containers": [{"name": "app"}]}}}))

    def test_dns_capture_in_the_containers_environment(self):
        agent, pod = Agent(self, known(env={"ISTIO_META_DNS_CAPTURE": "true"})), self.pod()
        self.assertEqual(self.add(agent, pod).rc, 0)
        self.assertIn("--to-ports 15053", pod.snapshot())

    def test_a_newer_agent(self):
        newer = {"version": 2, "pod": pod_object(runAsUser=UID, runAsGroup=UID), "ttl": 5, "hint": {"x": [1]}}
        newer["pod"]["novelty"] = {"y": None}
        newer["pod"]["spec"]["novelty"] = [1]
        self.assert_rules(answer(newer), OTHER_USER)

    def test_an_agent_that_says_no_more_than_it_must(self):
        pod = {"kind": "Pod", "spec": {"containers": [{"name": "istio-proxy"}]}}
        self.assert_rules(answer({"version": 1, "pod": pod}), Redirection())

    def test_annotations_that_the_runtime_did_not_forward(self):
        annotations = injected(excludeInboundPorts="8080")
        agent = Agent(self, answer({"version": 1, "pod": pod_object(annotations=annotations)}))
        pod = self.pod()
        document = conf(annotations=ABSENT, pod=pod, agentSocket=agent.path)
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, Redirection(exclude_inbound=("8080", *Redirection().exclude_inbound)))

    def test_a_pod_that_cannot_be_read_is_refused_by_name(self):
        broken = pod_object(annotations=injected())
        broken["spec"]["containers"][1]["args"] = "proxy sidecar"
        for absent in ("wait", "annotations"):
            agent, pod = Agent(self, answer({"version": 1, "pod": broken})), self.pod()
            with self.unchanged(pod):
                self.assert_error(self.add(agent, pod, agentAbsent=absent), 7, '"demo/web-0"', "args is not an array")

    def test_twenty_at_once(self):
        agent = Agent(self, known(runAsUser=UID, runAsGroup=UID))
        pods = [self.pod() for _ in range(20)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(lambda pod: self.add(agent, pod, agentTimeoutMs=10000), pods))
        for pod, outcome in zip(pods, outcomes, strict=True):
            self.assertEqual(outcome.rc, 0, outcome)
            self.assert_redirected(pod, OTHER_USER)
        self.assertEqual({question["sandbox"]["netns"] for question in agent.questions()}, {pod.path for pod in pods})
        self.assertEqual(len(agent.reports(20)), 20)


class Absence(AgentCase):
    def assert_absent(self, make_agent, *needles, **keys):
        """An injected pod waits, or is set up from its annotations; others pass."""
        agent, pod = make_agent(), self.pod()
        path = agent if isinstance(agent, str) else agent.path
        with self.unchanged(pod):
            outcome = self.add(agent, pod, **keys)
            self.assert_error(outcome, 11, 'pod "demo/web-0" looks injected', f'"{path}"', *needles)
        self.assert_passed(self.add(agent, pod, agentAbsent="annotations", **keys), mesh_conf(pod))
        self.assert_redirected(pod)
        document = conf(agentSocket=path)
        self.assert_passed(run("ADD", document), document)
        return outcome

    def test_nothing_is_there(self):
        self.assert_absent(lambda: nowhere(self), "No such file or directory")

    def test_the_agent_went_away(self):
        def stopped():
            agent = Agent(self, known())
            agent.stop()
            return agent

        self.assert_absent(stopped, "Connection refused")

    def test_the_text_is_stable(self):
        # Kubernetes merges events by their text.
        pod, path = self.pod(), nowhere(self)
        self.assertEqual(len({self.add(path, pod).stdout for _ in range(3)}), 1)

    def test_another_pod_of_that_name(self):
        why = "the pod has another UID"
        self.assert_absent(lambda: Agent(self, unknown(why)), why)

    def test_answers_that_are_none(self):
        for packet in (b"\xff\x00", b"[]", b'{"version": 1}', b'{"unknown": 5}', b"[" * 5000, b"x" * (1 << 20)):
            with self.subTest(packet=packet[:20]):
                self.assert_absent(lambda packet=packet: Agent(self, answer(packet)))

    def test_no_answer_at_all(self):
        self.assert_absent(lambda: Agent(self, fake_agent.close))

    def test_hung_agents_cost_their_time(self):
        def frozen():
            agent = Process(self)
            agent.freeze()
            return agent

        control = self.seconds_without_agent()
        for name, agent in (
            ("silent", lambda: Agent(self, fake_agent.hang)),
            ("accepts nobody", lambda: Deaf(self)),
            ("crowded", lambda: Deaf(self, crowded=True)),
            ("frozen", frozen),
        ):
            with self.subTest(agent=name):
                outcome = self.assert_absent(agent, "does not answer in time", agentTimeoutMs=300)
                self.assertGreaterEqual(outcome.seconds, 0.3)
                self.assertLess(outcome.seconds, control + 0.3 + 1)

    def test_an_impostor_is_told_nothing(self):
        impostor = Process(self, uid=65534, count=2)
        os.chmod(impostor.path, 0o666)
        pod = self.pod()
        with self.unchanged(pod):
            self.assert_error(self.add(impostor, pod), 11, "it is not root")
        # The second one would be the report.
        self.assertEqual(impostor.heard(), ["b''", "b''"])

    def test_annotations_that_the_runtime_did_not_forward(self):
        path = nowhere(self)

        def add(**keys):
            return run("ADD", conf(annotations=ABSENT, agentSocket=path, **keys))

        self.assert_error(add(), 11, 'annotations of pod "demo/web-0"', path)
        self.assert_error(add(agentAbsent="annotations"), 7, "did not forward")
        for absent in ("wait", "annotations"):
            outcome = add(agentAbsent=absent, onMissingAnnotations="pass")
            self.assert_passed(outcome, conf())

    def test_check_does_not_fail_for_it(self):
        for absent in ("wait", "annotations"):
            for behaviour in (known(runAsUser=UID, runAsGroup=UID), known(args=("proxy", "router"))):
                agent, pod = Agent(self, behaviour), self.pod()
                document = mesh_conf(pod, agentSocket=agent.path, agentAbsent=absent)
                self.assertEqual(run("ADD", document, pod).rc, 0)
                agent.stop()
                self.assert_success_silent(run("CHECK", document, pod))
            self.assert_success_silent(run("DEL", document, pod))
            self.assert_success_silent(run("CHECK", document, pod))

    def test_check_without_the_agent_wants_all_or_nothing(self):
        nat = ("-D OUTPUT -j ISTIO_OUTPUT", "-F", "-D ISTIO_OUTPUT 1", "-F ISTIO_REDIRECT")
        damage = {
            "REDIRECT": [f"iptables-legacy -t nat {words}" for words in (*nat, "-F PREROUTING")],
            "TPROXY": [f"iptables-legacy -t nat {words}" for words in nat]
                      + [f"iptables-legacy -t mangle {words}" for words in ("-F", "-F PREROUTING", "-F ISTIO_DIVERT")]
                      + ["ip rule del fwmark 1337"],
        }  # fmt: skip
        for absent, mode in (("wait", "TPROXY"), ("annotations", "REDIRECT")):
            agent, pod = Agent(self, known()), self.pod()
            asked, alone = (mesh_conf(pod, agentSocket=path, agentAbsent=absent, backend="xtables",
                                      interceptionMode=mode, addresses=(V4, V6), dualStack=True)
                            for path in (agent.path, nowhere(self)))  # fmt: skip
            for words in damage[mode]:
                with self.subTest(mode=mode, words=words):
                    self.assertEqual(run("ADD", asked, pod).rc, 0)
                    self.assert_success_silent(run("CHECK", alone, pod))
                    pod.inside("sh", "-c", words)
                    self.assert_error(run("CHECK", alone, pod), 105, "not whole")

    def test_a_wrong_key_refuses_pods_of_ours_alone(self):
        wrong = {"agentSocket": "agent.sock", "agentTimeoutMs": 0, "agentAbsent": "x", "agentDaemonSet": "x"}
        for key, value in wrong.items():
            with self.subTest(key=key):
                pod = self.pod()
                with self.unchanged(pod):
                    self.assert_error(run("ADD", mesh_conf(pod, **{key: value}), pod), 7, key)
                document = conf(**{key: value})
                self.assert_passed(run("ADD", document), document)


class Reports(AgentCase):
    def report(self, agent, count=1):
        return agent.reports(count)[-1]

    def test_a_redirected_pod(self):
        agent, pod = Agent(self, known()), self.pod()
        outcome = self.add(agent, pod)
        report = self.report(agent)
        self.assertEqual((report["version"], report["kind"], report["command"]), (1, "report", "ADD"))
        self.assertEqual(report["sandbox"], agent.questions()[0]["sandbox"])
        self.assertEqual((report["outcome"], report["reason"], report["code"]), ("redirected", "injected", 0))
        self.assertEqual(report["backend"], "xtables")
        self.assertRegex(report["pluginVersion"], r"^\d+\.\d+\.\d+$")
        self.assertGreater(report["microseconds"], 0)
        self.assertLess(report["microseconds"], outcome.seconds * 1e6)
        self.assertEqual(report["log"][-1]["text"], 'pod "demo/web-0" is redirected: it is injected; '
                         "through xtables: the kernel offers it")
        lines = [f"sluice-cni: {line['level']}: {line['text']}" for line in report["log"]]
        self.assertEqual(lines, outcome.stderr.splitlines())

    def test_a_passed_pod(self):
        agent = Agent(self, known())
        self.assertEqual(run("ADD", conf(agentSocket=agent.path)).rc, 0)
        report = self.report(agent)
        self.assertEqual((report["outcome"], report["reason"], report["backend"]), ("passed", "no-status", ""))

    def test_a_failed_pod(self):
        agent = Agent(self, known())
        document = conf(annotations=injected(), agentSocket=agent.path)
        outcome = run("ADD", document)
        error = self.assert_error(outcome, 4)
        report = self.report(agent)
        self.assertEqual((report["outcome"], report["reason"], report["code"]), ("failed", "injected", 4))
        self.assertEqual(report["log"][-1], {"level": "error", "text": error["msg"]})

    def test_a_result_that_could_not_be_written(self):
        # So it is sent when the result is.
        agent = Agent(self, known())
        with open("/dev/full", "wb") as full:
            self.assertEqual(run("ADD", conf(agentSocket=agent.path), stdout=full).rc, 1)
        report = self.report(agent)
        self.assertEqual((report["outcome"], report["code"]), ("failed", 5))

    def test_the_log_level_counts(self):
        agent = Agent(self, known())
        self.assertEqual(run("ADD", conf(agentSocket=agent.path, logLevel="none", unknownKey=1)).rc, 0)
        self.assertEqual(self.report(agent)["log"], [])

    def test_a_huge_log(self):
        agent = Agent(self, known())
        keys = {"\x01" * 50 + str(number): 1 for number in range(30000)}
        document = conf(agentSocket=agent.path, **keys)
        self.assert_passed(run("ADD", document, timeout=60), document)
        report = self.report(agent)
        self.assertGreater(len(report["log"]), 8)
        self.assertLess(len(json.dumps(report)), fake_agent.PACKET_LIMIT)

    def test_it_delays_nobody(self):
        control = max(run("ADD", conf(), timeout=60).seconds for _ in range(3))
        frozen = Process(self)
        frozen.freeze()
        for agent in (Deaf(self), Deaf(self, crowded=True), frozen, Agent(self, fake_agent.hang)):
            document = conf(agentSocket=agent.path, agentTimeoutMs=10000)
            for command in ("ADD", "DEL", "CHECK"):
                outcome = run(command, document, timeout=60)
                self.assertEqual(outcome.rc, 0, outcome)
                # Who waited would wait for 10 s.
                self.assertLess(outcome.seconds, control + 4)

    def test_the_uid_may_be_missing(self):
        agent = Agent(self, known())
        args = KUBERNETES_ARGS.partition(";K8S_POD_UID")[0]
        self.assertEqual(run("ADD", conf(agentSocket=agent.path), env={"CNI_ARGS": args}).rc, 0)
        self.assertEqual(self.report(agent)["sandbox"]["uid"], "")

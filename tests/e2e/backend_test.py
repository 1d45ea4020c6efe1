# SPDX-License-Identifier: GPL-2.0-or-later
"""Both backends: the same packets take the same ways, and one takes over from the other."""

import os
import secrets
import shlex
import socket
import subprocess
import sys

from tests.e2e import cni
from tests.e2e.cases import PodCase
from tests.e2e.live import LivePod
from tests.e2e.pod import V4, V6
from tests.e2e.random_test import CONNECTIONS, REPORTED, Draw, random_config, random_connection
from tests.e2e.scenario import flags
from tests.e2e.traffic import APP, CLIENT, SIDECAR, Connection, captured_inbound, captured_outbound

CASES = int(os.environ.get("SLUICE_CASES", "500")) // 5
SWITCHES = 20
BACKENDS = ("xtables", "nftables")
FOREIGN_NFT = """
table inet firewall {
  chain input {
    type filter hook input priority 5; policy accept;
    tcp dport 4444 drop
  }
}
table ip nat {
  chain OUTPUT {
    type nat hook output priority 0; policy accept;
    tcp dport 4445 redirect to :4446
  }
}
"""
FOREIGN_XTABLES = "*mangle\n-A FORWARD -p tcp -m tcp --dport 4447 -j DROP\nCOMMIT\n" \
                  "*nat\n-A OUTPUT -p tcp -m tcp --dport 4448 -j REDIRECT --to-ports 4449\nCOMMIT\n"


class BackendCase(PodCase):
    def inside(self, pod: LivePod, *words: str, text: str = "") -> str:
        done = subprocess.run(["nsenter", f"--net={pod.netns}", *words], input=text, text=True, capture_output=True,
                              timeout=cni.COMMAND_SECONDS, check=False)
        self.assertEqual(0, done.returncode, f"{shlex.join(words)}: {done.stderr}")
        return done.stdout

    def sluice(self, command: str, pod: LivePod, *arguments: str) -> subprocess.CompletedProcess:
        done = cni.sluice(command, pod, *arguments)
        self.assertEqual(0, done.returncode, f"sluice {command} {shlex.join(arguments)}: {done.stderr}")
        return done

    def xtables_rules(self, pod: LivePod) -> str:
        return self.inside(pod, "iptables-legacy-save") + self.inside(pod, "ip6tables-legacy-save")

    def tables(self, pod: LivePod) -> dict[str, list[str]]:
        """The tables that exist, by backend. Looking does not make any."""
        names = [name for family in ("ip", "ip6")
                 for name in self.inside(pod, "cat", f"/proc/net/{family}_tables_names").split()]
        lists = self.inside(pod, "nft", "list", "tables").splitlines()
        return {"xtables": names, "nftables": lists}

    def holder_is(self, pod: LivePod, backend: str) -> None:
        """All of our rules are in this backend."""
        self.assertEqual(backend == "xtables", "ISTIO_" in self.xtables_rules(pod))
        self.assertEqual(backend == "nftables", "ISTIO_" in self.inside(pod, "nft", "list", "ruleset"))


class ChoiceTest(BackendCase):
    def test_the_unused_backend_has_no_table(self):
        for backend, tables in (("xtables", {"xtables": ["nat", "nat"], "nftables": []}),
                                ("nftables", {"xtables": [], "nftables": ["table inet sluice"]})):
            with self.subTest(backend=backend):
                pod = self.redirected_pod(cni.injected(), {"backend": backend, "ipv6": "always"})
                self.assertEqual(tables, self.tables(pod))
                self.captured(pod, V4)
                self.captured(pod, V6)

    def test_looking_and_removing_create_no_table(self):
        pod = self.live_pod()
        nothing = {"xtables": [], "nftables": []}
        self.sluice("read", pod)
        self.sluice("remove", pod)
        self.sluice("apply", pod, "--dry-run")
        self.assertEqual(nothing, self.tables(pod))
        for command in (cni.check, cni.delete):
            for backend in ("auto", *BACKENDS):
                with self.subTest(command=command.__name__, backend=backend):
                    command(pod, cni.injected(), {"backend": backend})
                    self.assertEqual(nothing, self.tables(pod))

    def test_auto_stays_with_the_one_that_holds_our_rules(self):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                pod = self.redirected_pod(cni.injected(), {"backend": backend})
                auto = {"backend": "auto"}
                self.succeeds(cni.check(pod, cni.injected(), auto))
                self.succeeds(cni.add(pod, cni.injected(excludeOutboundPorts="80"), auto))
                self.holder_is(pod, backend)
                self.direct_outbound(pod, V4.outside, 80)
                self.assertIn(f"backend: {backend}", self.sluice("read", pod).stderr)
                self.succeeds(cni.delete(pod, {}, auto))
                self.untouched(pod, V4)
                self.assertNotIn("ISTIO_", self.xtables_rules(pod) + self.inside(pod, "nft", "list", "ruleset"))

    def test_a_table_of_another_name(self):
        pod = self.redirected_pod(cni.injected(), {"backend": "nftables", "nftTable": "mesh-rules"})
        self.assertEqual(["table inet mesh-rules"], self.tables(pod)["nftables"])
        self.captured(pod, V4)
        # Who deletes need not know what it was called.
        self.succeeds(cni.delete(pod, {}))
        self.assertEqual([], self.tables(pod)["nftables"])
        self.untouched(pod, V4)


class SwitchTest(BackendCase):
    """A live pod goes from one backend to the other."""

    def test_nothing_of_the_other_is_left_and_foreign_rules_stay(self):
        pod = self.live_pod()
        self.inside(pod, "nft", "-f", "-", text=FOREIGN_NFT)
        for tool in ("iptables-legacy-restore", "ip6tables-legacy-restore"):
            self.inside(pod, tool, text=FOREIGN_XTABLES)
        foreign = self.foreign(pod)
        for backend in (*BACKENDS, *BACKENDS):
            for mode in ("REDIRECT", "TPROXY"):
                with self.subTest(backend=backend, mode=mode):
                    self.sluice("apply", pod, "--backend", backend, "--ipv6", "always", "--interception-mode", mode)
                    self.holder_is(pod, backend)
                    self.assertEqual(foreign, self.foreign(pod))
                    pod.namespace().forget_connections()
                    self.captured_outbound(pod, V4.outside, 80)
                    self.captured_outbound(pod, V6.outside, 80)
        self.sluice("remove", pod)
        self.assertEqual(foreign, self.foreign(pod))
        self.untouched(pod, V4)

    def foreign(self, pod: LivePod) -> list[str]:
        """What is not ours, without counters."""
        lines = self.xtables_rules(pod).splitlines()
        kept = [line for line in lines if line.startswith("-A") and "444" in line]
        return kept + [line for name in ("inet firewall", "ip nat")
                       for line in self.inside(pod, "nft", "list", "table", *name.split()).splitlines()]

    def test_no_connection_passes_meanwhile(self):
        """Connections all the time while the backend changes: none goes past the sidecar, and those that were
        there before go on."""
        pod = self.live_pod()
        self.sluice("apply", pod, "--backend", "xtables", "--ipv6", "always")
        connections = [(Connection(APP, V4.outside, 80), captured_outbound(V4.outside, 80)),
                       (Connection(APP, V6.outside, 80), captured_outbound(V6.outside, 80)),
                       (Connection(CLIENT, V4.pod, 8080), captured_inbound(V4.pod, 8080)),
                       (Connection(SIDECAR, V4.outside, 80), "outside:80")]
        held = []
        for connection, wanted in connections:
            landing, *ends = pod.hold(connection)
            self.assertEqual(wanted, str(landing), connection.title())
            held.append((connection, ends))
        seen = 0
        for turn in range(SWITCHES):
            backend = BACKENDS[(turn + 1) % 2]
            command = [cni.cli_path(), "apply", "--netns", pod.netns, "--ipv6", "always", "--backend", backend]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as switching:
                while switching.poll() is None or seen == 0:
                    landed = pod.land_all([connection for connection, _ in connections])
                    seen += len(landed)
                    for (connection, wanted), got in zip(connections, landed):
                        self.assertEqual(wanted, str(got), f"turn {turn}: {connection.title()}")
                self.assertEqual(0, switching.returncode, switching.stderr.read())
            self.holder_is(pod, backend)
            for connection, ends in held:
                self.talk(*ends, f"turn {turn}: {connection.title()} does not go on")
        self.assertGreater(seen, SWITCHES)

    def talk(self, one: socket.socket, other: socket.socket, complaint: str) -> None:
        """Something said in each direction is heard."""
        for speaker, listener in ((one, other), (other, one)):
            try:
                speaker.sendall(b"on")
                heard = listener.recv(512)
            except OSError as error:
                self.fail(f"{complaint}: {error}")
            self.assertEqual(b"on", heard, complaint)


class DifferentialTest(BackendCase):
    """Random configurations: each connection lands in the same place with both backends."""

    def test_random_configurations(self):
        seed = os.environ.get("SLUICE_SEED") or secrets.token_hex(4)
        print(f"backend_test: SLUICE_SEED={seed}, {CASES} configurations", file=sys.stderr)
        pod = self.enterContext(LivePod(guest=True))
        complaints: list[str] = []
        for number in range(CASES):
            choice = Draw(f"{seed}/{number}")
            config = random_config(choice)
            connections = [random_connection(choice, config) for _ in range(CONNECTIONS)]
            landings = {}
            for backend in BACKENDS:
                self.sluice("apply", pod, "--backend", backend, *flags(config.settings()))
                pod.namespace().forget_connections()
                landings[backend] = [str(landing) for landing in pod.land_all(connections)]
            complaints += [
                f"seed {seed}, case {number}\n  sluice apply {shlex.join(flags(config.settings()))}\n"
                f"  {connection.title()} by {connection.caller.uid}:{connection.caller.gid}\n"
                f"  xtables {one}, nftables {other}"
                for connection, one, other in zip(connections, *landings.values()) if one != other]
            if len(complaints) >= REPORTED:
                break
        self.assertEqual([], complaints, "\n" + "\n\n".join(complaints[:REPORTED]))

# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice rules: from flags, from a manifest, from what a runtime sends."""

import json
from pathlib import Path

from tests.cli.command import CommandCase, sluice

STATUS = '{"initContainers":["istio-validation"],"containers":["istio-proxy"]}'
NOBODY = 65534
CAPTURES = Path(__file__).resolve().parents[1] / "captures"
EXCLUDED = "-A ISTIO_OUTPUT -p tcp -m tcp --dport {} -j RETURN\n"

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: demo
  annotations:
    sidecar.istio.io/status: '{"containers":["istio-proxy"]}'
    traffic.sidecar.istio.io/excludeOutboundPorts: "5432"
spec:
  containers:
  - name: app
  - name: istio-proxy
    args: [proxy, sidecar]
"""

OLD_LAYOUT = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_OUTPUT - [0:0]
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -d 100.0.0.0/8 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
"""


class FlagsTest(CommandCase):
    def test_the_old_layout_byte_for_byte(self):
        out = self.prints("rules", "--layout", "istio-1.6", "--family", "ipv4", "--proxy-uid", "1337",
                          "--proxy-gid", "1337", "--exclude-inbound-ports", "15090,15021",
                          "--exclude-outbound-cidrs", "100.0.0.0/8", "--format", "save")
        self.assertEqual(out, OLD_LAYOUT)

    def test_both_families_stand_in_one_text(self):
        ipv4, _, ipv6 = self.prints("rules").partition("# ip6tables\n")
        self.assertEqual(ipv4, self.prints("rules", "--family", "ipv4"))
        self.assertEqual(ipv6, self.prints("rules", "--family", "ipv6"))
        self.assertIn("127.0.0.6/32", ipv4)
        self.assertIn("::6/128", ipv6)

    def test_ipv6_never_leaves_ipv4_alone(self):
        self.assertEqual(self.prints("rules", "--ipv6", "never"), self.prints("rules", "--family", "ipv4"))

    def test_ipv6_block_resets(self):
        self.assertIn("--reject-with tcp-reset", self.prints("rules", "--ipv6", "block"))

    def test_restore_form_creates_only_our_chains(self):
        lines = self.prints("rules", "--family", "ipv4", "--format", "restore").splitlines()
        self.assertEqual([line for line in lines if line.startswith(":")], [])
        self.assertIn("-N ISTIO_OUTPUT", lines)

    def test_json_says_what_the_text_says(self):
        families = json.loads(self.prints("rules", "--format", "json"))
        self.assertEqual([entry["family"] for entry in families], ["ipv4", "ipv6"])
        texts = [rule["text"] for chain in families[0]["tables"][0]["chains"] for rule in chain["rules"]]
        saved = [line for line in self.prints("rules", "--family", "ipv4").splitlines() if line[0] == "-"]
        self.assertEqual(texts, saved)

    def test_an_empty_value_behind_the_sign_is_a_value(self):
        apart = self.prints("rules", "--include-outbound-cidrs", "", "--exclude-outbound-ports=443")
        joined = self.prints("rules", "--include-outbound-cidrs=", "--exclude-outbound-ports=443")
        self.assertEqual(joined, apart)
        self.assertNotIn("-j ISTIO_REDIRECT", joined)

    def test_needs_no_privilege(self):
        self.prints("rules", user=NOBODY, group=NOBODY, extra_groups=[])

    def test_bad_flags_are_named(self):
        for flag, value, says in (("--exclude-inbound-ports", "70000", "70000"),
                                  ("--exclude-outbound-cidrs", "10.0.0.1", "10.0.0.1"),
                                  ("--exclude-interfaces", "eth0;reboot", "eth0;reboot"),
                                  ("--proxy-uid", "root", "root"),
                                  ("--layout", "istio-9", "istio-9"),
                                  ("--interception-mode", "tproxy", "tproxy"),
                                  ("--tproxy-mark", "1338", "1338"),
                                  ("--tproxy-table", "main", "main"),
                                  ("--dns-capture", "some", "some"),
                                  ("--dns-resolvers", "dns.example", "dns.example"),
                                  ("--ipv4-loopback-cidr", "10.0.0.0/8", "10.0.0.0/8"),
                                  ("--virtual-interfaces", "vnet+", "vnet+"),
                                  ("--include-owner-groups", "staff", "staff"),
                                  ("--exclude-outbound-for-uids", "udp::5;1000", "1000"),
                                  ("--exclude-inbound-cidrs", "10.0.0.1", "10.0.0.1"),
                                  ("--format", "xml", "xml"),
                                  ("--family", "ipx", "ipx")):
            with self.subTest(flag=flag):
                self.refuses("rules", flag, value, says=says)
                self.refuses("rules", flag, value, says=flag)

    def test_flags_that_contradict_each_other_are_named(self):
        self.refuses("rules", "--dns-capture", "resolvers", says="dnsResolvers")
        self.refuses("rules", "--proxy-port", "15006", says="inboundCapturePort")
        self.refuses("rules", "--include-owner-groups", "1", "--exclude-owner-groups", "2", says="excludeOwnerGroups")

    def test_a_long_mistake_is_cut(self):
        self.refuses("rules", "x" * 5000 + "\x1b[2J", says="xxx")

    def test_switches_take_true_and_false(self):
        plain = self.prints("rules", "--ipv6", "auto")
        self.assertEqual(self.prints("rules", "--drop-invalid=false"), plain)
        self.assertEqual(self.prints("rules", "--drop-invalid=true"), self.prints("rules", "--drop-invalid"))
        self.refuses("rules", "--drop-invalid=2", says="--drop-invalid: \"2\"")

    def test_wrong_usage_is_one_line(self):
        self.refuses(says="subcommand")
        self.refuses("rulez", says="rulez")
        self.refuses("rules", "--no-such-flag", says="--no-such-flag")
        self.refuses("rules", "-f", "x", "--cni-stdin", says="--cni-stdin")


class ManifestTest(CommandCase):
    def test_yaml_on_stdin(self):
        self.assertIn(EXCLUDED.format(5432), self.prints("rules", "-f", "-", text=MANIFEST))

    def test_json(self):
        pod = {"kind": "Pod", "metadata": {"name": "a", "annotations": {
            "sidecar.istio.io/status": STATUS, "sluice.dev/proxy-uid": "2000"}}}
        self.assertIn("--uid-owner 2000", self.prints("rules", "-f", "-", text=json.dumps(pod)))

    def test_a_flag_beats_an_annotation(self):
        out = self.prints("rules", "-f", "-", "--exclude-outbound-ports", "6379", text=MANIFEST)
        self.assertIn(EXCLUDED.format(6379), out)
        self.assertNotIn("5432", out)

    def test_the_addresses_in_the_status_decide_over_ipv6(self):
        for addresses, wanted in ((["10.0.0.2", "fd00::2"], False), (["fd00::2", "10.0.0.2"], True)):
            status = "status:\n  podIPs:\n" + "".join(f"  - ip: {address}\n" for address in addresses)
            with self.subTest(addresses=addresses):
                out = self.prints("rules", "-f", "-", text=MANIFEST + status)
                self.assertEqual("# ip6tables" in out, wanted)

    def test_a_pod_that_is_not_redirected_has_no_rules(self):
        result = sluice("rules", "-f", "-", text=MANIFEST.replace("istio-proxy", "other"))
        self.assertEqual((result.rc, result.out), (0, ""))
        self.assertIn("demo/web-0", result.err)
        self.assertIn("istio-proxy", result.err)

    def test_a_bad_annotation_is_named(self):
        self.refuses("rules", "-f", "-", text=MANIFEST.replace("5432", "0"),
                     says="traffic.sidecar.istio.io/excludeOutboundPorts")

    def test_what_is_no_pod_is_refused(self):
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
        for text, says in ((MANIFEST.replace("kind: Pod", "kind: List"), "List"),
                           (MANIFEST + "---\n" + MANIFEST, "more than one document"),
                           ("", "no document"),
                           ("a: [", "YAML"),
                           (",", "more than one document"),
                           ('"\\\x01"', "unknown escape character: \\x01"),
                           ("{", "JSON"),
                           ("[" * 100000, "YAML"),
                           ('{"a":' + "[" * 100000, "nested"),
                           (bomb, "too large"),
                           (MANIFEST.replace('"5432"', "5432"), "5432"),
                           (MANIFEST.replace("name: web-0", "name: [1]"), "metadata.name")):
            with self.subTest(text=text[:40]):
                self.refuses("rules", "-f", "-", text=text, says=says)
        self.refuses("rules", "-f", "/nonexistent/pod.yaml", says="/nonexistent/pod.yaml")


class WholePodTest(CommandCase):
    """What the containers of a manifest say."""

    def pod(self, annotations=None, labels=None, spec=None, **sidecar) -> str:
        spec = {"containers": [{"name": "app"}, {"name": "istio-proxy", **sidecar}], **(spec or {})}
        metadata = {"name": "a", "labels": labels or {},
                    "annotations": {"sidecar.istio.io/status": STATUS, **(annotations or {})}}
        return json.dumps({"kind": "Pod", "metadata": metadata, "spec": spec})

    def passes(self, says: str, **parts) -> None:
        result = sluice("rules", "-f", "-", text=self.pod(**parts))
        self.assertEqual((result.rc, result.out), (0, ""), result)
        self.assertIn(says, result.err)

    def test_who_is_passed(self):
        self.passes("router", args=["proxy", "router"])
        self.passes("DISABLE_ENVOY", env=[{"name": "DISABLE_ENVOY", "value": "true"}])
        self.passes("istio-init", spec={"initContainers": [{"name": "istio-init"}]})
        self.passes("no container istio-proxy", spec={"containers": [{"name": "app"}]})
        self.passes("host's network", spec={"hostNetwork": True})
        self.passes("label", labels={"sidecar.istio.io/inject": "false"})

    def test_a_native_sidecar(self):
        spec = {"containers": [{"name": "app"}],
                "initContainers": [{"name": "istio-proxy", "restartPolicy": "Always",
                                    "securityContext": {"runAsUser": 2000}}]}
        self.assertIn("--uid-owner 2000", self.prints("rules", "-f", "-", text=self.pod(spec=spec)))

    def test_the_user_of_the_sidecar_else_of_the_pod(self):
        spec = {"securityContext": {"runAsUser": 5, "runAsGroup": 6}}
        out = self.prints("rules", "-f", "-", text=self.pod(spec=spec, securityContext={"runAsUser": 7}))
        self.assertIn("--uid-owner 7", out)
        self.assertIn("--gid-owner 6", out)
        text = self.pod(spec=spec, annotations={"sluice.dev/proxy-uid": "8"})
        self.assertIn("--uid-owner 8", self.prints("rules", "-f", "-", text=text))
        self.assertIn("--uid-owner 9", self.prints("rules", "-f", "-", "--proxy-uid", "9", text=text))

    def test_the_environment_of_the_sidecar(self):
        captured = "-p udp -m udp --dport 53 -j REDIRECT --to-ports 15053"
        env = [{"name": "ISTIO_META_DNS_CAPTURE", "value": "true"}]
        self.assertIn(captured, self.prints("rules", "-f", "-", text=self.pod(env=env)))
        off = {"sluice.dev/dns-capture": "off"}
        self.assertNotIn(captured, self.prints("rules", "-f", "-", text=self.pod(env=env, annotations=off)))
        config = {"proxy.istio.io/config": "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'false'}"}
        self.assertIn(captured, self.prints("rules", "-f", "-", text=self.pod(env=env, annotations=config)))
        self.assertNotIn(captured, self.prints("rules", "-f", "-", text=self.pod(annotations=config)))

    def test_what_cannot_be_followed_is_refused_where_it_stands(self):
        for name in ("ISTIO_META_DNS_CAPTURE", "ISTIO_DUAL_STACK", "INVALID_DROP", "ISTIO_OUTBOUND_OWNER_GROUPS"):
            for entry in ({"value": "yes"}, {"valueFrom": {"configMapKeyRef": {"name": "x"}}}):
                with self.subTest(name=name, entry=entry):
                    self.refuses("rules", "-f", "-", text=self.pod(env=[{"name": name, **entry}]),
                                 says=f'container "istio-proxy": env {name}: ')
        self.refuses("rules", "-f", "-", text=self.pod(securityContext={"runAsUser": "x"}), says="runAsUser")

    def test_flags_mend_what_would_be_refused(self):
        text = self.pod(annotations={"sluice.dev/dns-capture": "resolvers"})
        self.refuses("rules", "-f", "-", text=text, says="dnsResolvers")
        out = self.prints("rules", "-f", "-", "--dns-resolvers", "10.96.0.10", text=text)
        self.assertIn("-d 10.96.0.10/32", out)


class RuntimeTest(CommandCase):
    def document(self, annotations: dict) -> str:
        capture = json.loads((CAPTURES / "containerd-1.6.20-ADD.json").read_text())
        capture["runtimeConfig"]["io.kubernetes.cri.pod-annotations"].update(annotations)
        return json.dumps(capture)

    def test_prints_what_an_add_would_write(self):
        text = self.document({"sidecar.istio.io/status": STATUS})
        out = self.prints("rules", "--cni-stdin", text=text)
        self.assertIn("--dport 15090", out)
        self.assertNotIn("# ip6tables", out)  # the only address in the capture is IPv4

    def test_passes_a_pod_without_sidecar(self):
        result = sluice("rules", "--cni-stdin", text=self.document({}))
        self.assertEqual((result.rc, result.out), (0, ""))
        self.assertIn("sidecar.istio.io/status", result.err)

    def test_takes_the_pods_name_from_the_runtimes_environment(self):
        result = sluice("rules", "--cni-stdin", text=self.document({}),
                        env={"CNI_ARGS": "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=db-1"})
        self.assertIn("ns/db-1", result.err)

    def test_refuses_what_the_plugin_refuses(self):
        text = self.document({"sidecar.istio.io/status": STATUS,
                              "traffic.sidecar.istio.io/includeInboundPorts": "80,*"})
        self.refuses("rules", "--cni-stdin", text=text, says="includeInboundPorts")
        self.refuses("rules", "--cni-stdin", text="[]", says="JSON object")

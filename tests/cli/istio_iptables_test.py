# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice istio-iptables: flags, variables, defaults, and the rules they come to."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from tests.cli.istio_iptables import IstioCase, run_in
from tests.e2e.cni import cli_path
from tests.e2e.pod import V4, V6, Pod

ALL = ("-b", "*", "-i", "*")
TPROXY = (*ALL, "-m", "TPROXY")
DNS = ("--redirect-dns", "--capture-all-dns")

# As the injector writes it, istio 1.32: manifests/charts/istio-control/istio-discovery/files.
INJECTED = ("-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*",
            "-d", "15090,15021,15020", "--log_output_level=default:info", "--log_as_json")


class Row(NamedTuple):
    """One flag that takes a value: what stands in the rules if it is given and not otherwise."""

    flag: str
    letter: str
    variable: str
    value: str
    rule: str
    other: str = ""  # a value that does not lead to the rule
    context: Sequence[str] = ALL


ROWS = (
    Row("--envoy-port", "-p", "", "15011", "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15011", "15001"),
    Row("--inbound-capture-port", "-z", "INBOUND_CAPTURE_PORT", "15016",
        "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15016", "15006"),
    Row("--inbound-tunnel-port", "-e", "INBOUND_TUNNEL_PORT", "15018",
        "-A ISTIO_INBOUND -p tcp -m tcp --dport 15018 -j RETURN", "15008"),
    Row("--proxy-uid", "-u", "PROXY_UID", "2000,2001", "-A ISTIO_OUTPUT -m owner --uid-owner 2001 -j RETURN"),
    Row("--proxy-gid", "-g", "PROXY_GID", "2000", "-A ISTIO_OUTPUT -m owner --gid-owner 2000 -j RETURN"),
    Row("--istio-inbound-interception-mode", "-m", "ISTIO_INBOUND_INTERCEPTION_MODE", "TPROXY",
        "-A ISTIO_DIVERT -j MARK --set-xmark 0x539/0xffffffff", "REDIRECT"),
    Row("--istio-inbound-ports", "-b", "ISTIO_INBOUND_PORTS", "8080,8000-8010",
        "-A ISTIO_INBOUND -p tcp -m tcp --dport 8000:8010 -j ISTIO_IN_REDIRECT", "*", ()),
    Row("--istio-local-exclude-ports", "-d", "ISTIO_LOCAL_EXCLUDE_PORTS", "22",
        "-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN"),
    Row("--istio-exclude-interfaces", "-c", "ISTIO_EXCLUDE_INTERFACES", "net1,cali+",
        "-A PREROUTING -i cali+ -j RETURN"),
    Row("--istio-service-cidr", "-i", "ISTIO_SERVICE_CIDR", "10.1.2.3/8",
        "-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT", "*", ()),
    Row("--istio-service-exclude-cidr", "-x", "ISTIO_SERVICE_EXCLUDE_CIDR", "10.0.0.0/8,fd00::/8",
        "-A ISTIO_OUTPUT -d 10.0.0.0/8 -j RETURN"),
    Row("--istio-outbound-ports", "-q", "ISTIO_OUTBOUND_PORTS", "9000:9010",
        "-A ISTIO_OUTPUT -p tcp -m tcp --dport 9000:9010 -j ISTIO_REDIRECT"),
    Row("--istio-local-outbound-ports-exclude", "-o", "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE", "5432",
        "-A ISTIO_OUTPUT -p udp -m udp --dport 5432 -j RETURN"),
    Row("--kube-virt-interfaces", "-k", "KUBE_VIRT_INTERFACES", "k6t-eth0",
        "-A PREROUTING -i k6t-eth0 -j ISTIO_REDIRECT"),
    Row("--istio-inbound-tproxy-mark", "-t", "ISTIO_INBOUND_TPROXY_MARK", "2000",
        "-A ISTIO_DIVERT -j MARK --set-xmark 0x7d0/0xffffffff", "1337", TPROXY),
)


class Switch(NamedTuple):
    """One flag that is on or off."""

    flag: str
    variables: Sequence[str]
    rule: str
    context: Sequence[str] = ALL
    letter: Optional[str] = None


SWITCHES = (
    Switch("--redirect-dns", ("REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"),
           "-A ISTIO_OUTPUT_DNS -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053",
           (*ALL, "--capture-all-dns")),
    Switch("--capture-all-dns", ("CAPTURE_ALL_DNS",),
           "-A ISTIO_OUTPUT_DNS -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053",
           (*ALL, "--redirect-dns")),
    Switch("--drop-invalid", ("DROP_INVALID", "INVALID_DROP"),
           "-A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP"),
    Switch("--dual-stack", ("DUAL_STACK", "ISTIO_DUAL_STACK"), "-A ISTIO_OUTPUT -s ::6/128 -o lo -j RETURN"),
)
RESOLVERS = {"resolv.conf": "nameserver 10.96.0.10\n"}


class FlagsTest(IstioCase):
    def test_without_flags_nothing_is_captured(self):
        out = self.planned()
        self.assertNotIn("-A PREROUTING", out)
        self.assertNotIn("-A ISTIO_OUTPUT -j ISTIO_REDIRECT", out)
        for port in ("15020", "15021", "15090"):
            self.assertNotIn(port, out)

    def test_each_flag_with_a_value(self):
        for row in ROWS:
            usual = self.planned(*row.context)
            with self.subTest(flag=row.flag):
                self.assertNotIn(row.rule, usual)
                wanted = self.planned(*row.context, row.flag, row.value)
                self.assertIn(row.rule + "\n", wanted)
                for given in ((row.flag + "=" + row.value,), (row.letter, row.value),
                              (row.letter + row.value,), (row.letter + "=" + row.value,)):
                    self.assertEqual(self.planned(*row.context, *given), wanted)
                if row.variable:
                    self.assertEqual(self.planned(*row.context, env={row.variable: row.value}), wanted)

    def test_a_flag_beats_its_variable(self):
        for row in ROWS:
            if not row.variable:
                continue
            with self.subTest(flag=row.flag):
                env = {row.variable: row.value}
                self.assertEqual(self.planned(*row.context, row.flag, row.other, env=env),
                                 self.planned(*row.context, row.flag, row.other))
                self.assertNotIn(row.rule, self.planned(*row.context, row.flag, row.other, env=env))

    def test_the_outbound_listener_has_no_variable(self):
        self.assertEqual(self.planned(*ALL, env={"ENVOY_PORT": "15011"}), self.planned(*ALL))

    def test_each_switch(self):
        for switch in SWITCHES:
            with self.subTest(flag=switch.flag):
                usual = self.planned(*switch.context, etc=RESOLVERS)
                self.assertNotIn(switch.rule, usual)
                wanted = self.planned(*switch.context, switch.flag, etc=RESOLVERS)
                self.assertIn(switch.rule + "\n", wanted)
                self.assertEqual(self.planned(*switch.context, switch.flag + "=T", etc=RESOLVERS), wanted)
                for variable in switch.variables:
                    env = {variable: "1"}
                    self.assertEqual(self.planned(*switch.context, env=env, etc=RESOLVERS), wanted)
                    self.assertEqual(self.planned(*switch.context, switch.flag + "=false", env=env, etc=RESOLVERS),
                                     usual)

    def test_the_last_variable_wins(self):
        for switch in SWITCHES:
            if len(switch.variables) != 2:
                continue
            first, last = switch.variables
            with self.subTest(flag=switch.flag):
                self.assertIn(switch.rule, self.planned(*switch.context, env={first: "false", last: "true"}))
                self.assertNotIn(switch.rule, self.planned(*switch.context, env={first: "true", last: "false"}))

    def test_owner_groups(self):
        for env, rule in (({"ISTIO_OUTBOUND_OWNER_GROUPS": "2000,3000"},
                           "-A ISTIO_OUTPUT -m owner ! --gid-owner 2000 -m owner ! --gid-owner 3000 -j RETURN"),
                          ({"ISTIO_OUTBOUND_OWNER_GROUPS": ""}, "-A ISTIO_OUTPUT -j RETURN"),
                          ({"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "2000,3000"},
                           "-A ISTIO_OUTPUT -m owner --gid-owner 3000 -j RETURN")):
            with self.subTest(env=env):
                self.assertIn(rule + "\n", self.planned(*ALL, env=env))
        self.assertEqual(self.planned(*ALL, env={"ISTIO_OUTBOUND_OWNER_GROUPS": "*"}), self.planned(*ALL))
        most = {"ISTIO_OUTBOUND_OWNER_GROUPS": ",".join(str(gid) for gid in range(64))}
        self.assertEqual(self.planned(*ALL, env=most).count("! --gid-owner"), 64 + 1)

    def test_the_loopback_cidr(self):
        out = self.planned(*ALL, env={"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "127.0.0.1/8"})
        self.assertIn("-A ISTIO_OUTPUT -d 127.0.0.0/8 -j RETURN\n", out)
        self.assertNotIn("127.0.0.1/32", out)

    def test_empty_elements_are_dropped_and_duplicates_kept(self):
        out = self.planned("-b", "*", "-d", ",15090,, 15090 ,", "-i", "10.0.0.0/8,,10.0.0.0/8", "-o", "80,80",
                           "-c", "net1,net1,")
        for rule, count in (("-A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN\n", 2),
                            ("-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT\n", 2),
                            ("-A ISTIO_OUTPUT -p udp -m udp --dport 80 -j RETURN\n", 2),
                            ("-A PREROUTING -i net1 -j RETURN\n", 2)):
            self.assertEqual(out.count(rule), count, rule)

    def test_modes(self):
        for mode in ("", "REDIRECT"):
            self.assertEqual(self.planned(*ALL, "-m", mode), self.planned(*ALL))
        self.assertEqual(self.planned(*ALL, "-m", "NONE"), "")

    def test_letters_together(self):
        result = run_in(self.pod, "-np15011")
        self.assertEqual(result.out, self.planned("-p", "15011"))

    def test_what_the_injector_gives(self):
        out = self.planned(*INJECTED)
        self.assertEqual(out, self.planned(*ALL, "-d", "15090,15021,15020"))
        self.planned(*INJECTED, "-q", "80", "-o", "15020", "-k", "", "-c", "", "--log_target", "stdout",
                     "--log_stacktrace_level=default:none", "--log_caller=", "--vklog=0", "--force-apply",
                     "--reconcile=false")


class DryRunTest(IstioCase):
    def test_prints_what_sluice_rules_prints(self):
        usual = (*ALL, "-d", "15020,15021,15090", "-o", "15020")
        self.assertEqual(self.planned(*usual), self.prints("rules", "--family", "ipv4"))
        self.assertEqual(self.planned(*usual, "--dual-stack"), self.prints("rules"))
        self.assertEqual(self.planned(*usual, "--dual-stack", "-m", "TPROXY", *DNS),
                         self.prints("rules", "--interception-mode", "TPROXY", "--dns-capture", "all"))

    def test_writes_nothing(self):
        self.planned(*ALL)
        self.assertNotIn("ISTIO", run_in(self.pod, command=("iptables-legacy-save",)).out)

    def test_needs_no_privilege(self):
        self.assertEqual(self.planned(*ALL, become=("setpriv", "--reuid=65534", "--clear-groups")),
                         self.planned(*ALL))

    def test_writes_the_file_too(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "rules")
            path.write_text("x" * 100_000, encoding="utf-8")
            out = self.planned(*ALL, env={"DRY_RUN_FILE_PATH": str(path)})
            self.assertEqual(path.read_text(encoding="utf-8"), out)
        result = run_in(self.pod, "-n", env={"DRY_RUN_FILE_PATH": "/nonexistent/x"})
        self.assertEqual(result.rc, 1)
        self.assertIn("/nonexistent/x", result.err)

    def test_by_variable(self):
        self.assertEqual(run_in(self.pod, *ALL, env={"DRY_RUN": "true"}).out, self.planned(*ALL))

    def test_nothing_to_apply(self):
        self.assertEqual(self.planned(*ALL, "--skip-rule-apply"), "")
        self.assertEqual(self.planned(*ALL, "--cleanup-only"), "")

    def test_another_namespace(self):
        with Pod([V6]) as other:
            out = self.planned(*ALL, "--network-namespace", other.netns)
        self.assertIn("# ip6tables\n", out)
        self.assertNotIn("# ip6tables\n", self.planned(*ALL))

    def test_the_first_address_decides_over_ipv6(self):
        with Pod() as both:
            self.assertNotIn("# ip6tables\n", run_in(both, *ALL, "-n").out)
            self.assertIn("# ip6tables\n", run_in(both, *ALL, "-n", "--dual-stack").out)

    def test_the_rules_are_the_same_whatever_the_backend(self):
        usual = self.planned(*ALL)
        self.assertEqual(self.planned(*ALL, "--force-iptables-binary", "legacy"), usual)
        self.assertEqual(self.planned(*ALL, "--native-nftables=false"), usual)
        self.assertEqual(self.planned(*ALL, "--native-nftables"), usual)
        result = run_in(self.pod, "-n", *ALL, "--force-iptables-binary=nft")
        self.assertEqual((result.rc, result.out), (0, usual))
        self.assertEqual(result.err.count("\n"), 1)
        self.assertIn("--native-nftables", result.err)

    def test_cleaning_up_insists_on_no_backend(self):
        self.assertEqual(run_in(self.pod, "--cleanup-only", "--native-nftables").rc, 0)


class FilesTest(IstioCase):
    PASSWD = "root:x:0:0::/:/bin/sh\nistio-proxy:x:1500:1500::/:\nenvoy:x:1600:1601::/:\n"

    def uid(self, *arguments: str, passwd: str = PASSWD, **env: str) -> str:
        out = self.planned(*arguments, etc={"passwd": passwd} if passwd else {}, env=env)
        return out.split("! --uid-owner ")[1].split()[0]

    def test_the_user_of_the_sidecar(self):
        self.assertEqual(self.uid(), "1500")
        self.assertEqual(self.uid(ENVOY_USER="envoy"), "1600")
        self.assertEqual(self.uid(ENVOY_USER="nobody"), "1337")
        self.assertEqual(self.uid(passwd=""), "1337")
        self.assertEqual(self.uid("-u", "", passwd=""), "1337")
        self.assertEqual(self.uid("-u", "7", ENVOY_USER="envoy"), "7")

    def test_the_group_is_as_the_user(self):
        out = self.planned(etc={"passwd": self.PASSWD}, env={"ENVOY_USER": "envoy"})
        self.assertIn("--gid-owner 1600 -j RETURN", out)
        self.assertIn("--gid-owner 2000 -j RETURN", self.planned("-u", "2000,2001"))
        self.assertIn("--gid-owner 2001 -j RETURN", self.planned("-u", "2000,2001"))

    def test_a_broken_passwd_is_refused(self):
        self.refused("-n", etc={"passwd": "istio-proxy:x:abc:0::/:\n"}, says=("/etc/passwd", "istio-proxy", "abc"))

    def test_the_resolvers(self):
        text = "# a comment\nsearch x\noptions ndots:5\nnameserver 10.96.0.10\nnameserver\t10.96.0.11\r\n" \
               "nameserver fd00::10\nnameserver fe80::1%eth0\nnameserver ::ffff:10.96.0.12\nnameserver 10.96.0.10"
        out = self.planned(*ALL, "--redirect-dns", "--dual-stack", etc={"resolv.conf": text})
        rule = "-A ISTIO_OUTPUT_DNS -d {} -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053\n"
        for server, count in (("10.96.0.10/32", 2), ("10.96.0.11/32", 1), ("10.96.0.12/32", 1),
                              ("fd00::10/128", 1), ("fe80::1/128", 1)):
            self.assertEqual(out.count(rule.format(server)), count, server)

    def test_unknown_resolvers_are_an_error(self):
        for etc, says in (({}, "/etc/resolv.conf"), ({"resolv.conf": "search x\n"}, "names no server"),
                          ({"resolv.conf": "nameserver dns.example\n"}, "dns.example"),
                          ({"resolv.conf": "nameserver\n"}, "/etc/resolv.conf")):
            with self.subTest(etc=etc):
                self.refused("-n", "--redirect-dns", etc=etc, says=("--redirect-dns", says))
                self.planned(*DNS, etc=etc)
                self.planned("--capture-all-dns", etc=etc)

    def test_what_only_cleans_up_needs_no_resolvers(self):
        for flag in ("--cleanup-only", "--skip-rule-apply"):
            self.assertEqual(self.planned(*ALL, "--redirect-dns", flag, etc={"resolv.conf": ""}), "")

    def test_a_switch_without_a_value_says_nothing(self):
        for switch in SWITCHES:
            for variable in switch.variables:
                self.assertEqual(self.planned(*switch.context, env={variable: ""}),
                                 self.planned(*switch.context))

    def test_contradictions_are_refused(self):
        groups = {"ISTIO_OUTBOUND_OWNER_GROUPS": "1001", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "2002"}
        for arguments, env, says in ((("-p", "15006"), {}, "15006"), (("-p", "15053", *DNS), {}, "15053"),
                                     ((), groups, "2002")):
            with self.subTest(arguments=arguments, env=env):
                self.refused("-n", *ALL, *arguments, says=(says,), env=env)

    def test_the_nodes_files_are_not_asked(self):
        self.assertEqual(self.planned("--redirect-dns", "--cni-mode", etc=RESOLVERS), self.planned(*DNS))


class RefusalTest(IstioCase):
    def test_bad_values_name_the_flag_and_the_variable(self):
        for flag, variable, value, says in (
                ("--inbound-capture-port", "INBOUND_CAPTURE_PORT", "70000", "70000"),
                ("--inbound-capture-port", "INBOUND_CAPTURE_PORT", "", "\"\""),
                ("--inbound-tunnel-port", "INBOUND_TUNNEL_PORT", "0x10", "0x10"),
                ("--proxy-uid", "PROXY_UID", "istio-proxy", "istio-proxy"),
                ("--proxy-uid", "PROXY_UID", "4294967295", "4294967295"),
                ("--proxy-gid", "PROXY_GID", "-1", "-1"),
                ("--istio-inbound-interception-mode", "ISTIO_INBOUND_INTERCEPTION_MODE", "tproxy", "tproxy"),
                ("--istio-inbound-ports", "ISTIO_INBOUND_PORTS", "80,*", "*"),
                ("--istio-inbound-ports", "ISTIO_INBOUND_PORTS", "http", "http"),
                ("--istio-inbound-ports", "ISTIO_INBOUND_PORTS", "9:8", "9:8"),
                ("--istio-local-exclude-ports", "ISTIO_LOCAL_EXCLUDE_PORTS", "*", "*"),
                ("--istio-local-exclude-ports", "ISTIO_LOCAL_EXCLUDE_PORTS", "80\n-j ACCEPT", "80\\x0a-j ACCEPT"),
                ("--istio-exclude-interfaces", "ISTIO_EXCLUDE_INTERFACES", "eth0;x", "eth0;x"),
                ("--istio-exclude-interfaces", "ISTIO_EXCLUDE_INTERFACES", "+", "+"),
                ("--istio-exclude-interfaces", "ISTIO_EXCLUDE_INTERFACES", "fifteen-letters+", "fifteen-letters+"),
                ("--istio-service-cidr", "ISTIO_SERVICE_CIDR", "10.0.0.1", "10.0.0.1"),
                ("--istio-service-exclude-cidr", "ISTIO_SERVICE_EXCLUDE_CIDR", "*", "*"),
                ("--istio-outbound-ports", "ISTIO_OUTBOUND_PORTS", "0", "0"),
                ("--istio-local-outbound-ports-exclude", "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE", "1-65536", "1-65536"),
                ("--kube-virt-interfaces", "KUBE_VIRT_INTERFACES", "-i", "-i"),
                ("--istio-inbound-tproxy-mark", "ISTIO_INBOUND_TPROXY_MARK", "1338", "1338"),
                ("--istio-inbound-tproxy-mark", "ISTIO_INBOUND_TPROXY_MARK", "0", "0"),
                ("--istio-inbound-tproxy-route-table", "ISTIO_INBOUND_TPROXY_ROUTE_TABLE", "254", "254"),
                ("--istio-inbound-tproxy-route-table", "ISTIO_INBOUND_TPROXY_ROUTE_TABLE", "main", "main"),
                ("--dry-run", "DRY_RUN", "yes", "yes"),
                ("--iptables-probe-port", "IPTABLES_PROBE_PORT", "0", "0"),
                ("--probe-timeout", "PROBE_TIMEOUT", "5", "5"),
                ("--probe-timeout", "PROBE_TIMEOUT", "-5s", "-5s"),
                ("--probe-timeout", "PROBE_TIMEOUT", "0s", "0s"),
                ("--probe-timeout", "PROBE_TIMEOUT", "25h", "25h"),
                ("--probe-timeout", "PROBE_TIMEOUT", "1e3s", "1e3s"),
                ("--probe-timeout", "PROBE_TIMEOUT", "infs", "infs"),
                ("--skip-rule-apply", "SKIP_RULE_APPLY", "maybe", "maybe"),
                ("--run-validation", "RUN_VALIDATION", "on", "on"),
                ("--redirect-dns", "REDIRECT_DNS", "on", "on"),
                ("--redirect-dns", "ISTIO_META_DNS_CAPTURE", "on", "on"),
                ("--capture-all-dns", "CAPTURE_ALL_DNS", "2", "2"),
                ("--drop-invalid", "DROP_INVALID", "on", "on"),
                ("--drop-invalid", "INVALID_DROP", "on", "on"),
                ("--dual-stack", "DUAL_STACK", "on", "on"),
                ("--dual-stack", "ISTIO_DUAL_STACK", "on", "on"),
                ("--cni-mode", "CNI_MODE", "on", "on"),
                ("--reconcile", "RECONCILE", "on", "on"),
                ("--cleanup-only", "CLEANUP_ONLY", "on", "on"),
                ("--force-apply", "FORCE_APPLY", "on", "on"),
                ("--native-nftables", "NATIVE_NFTABLES", "on", "on"),
                ("--force-iptables-binary", "FORCE_IPTABLES_BINARY", "iptables", "iptables")):
            with self.subTest(flag=flag, value=value):
                self.refused(f"{flag}={value}", says=(flag, says))
                self.refused(says=(variable, says), env={variable: value})
        self.refused("-p", "1x", says=("--envoy-port", "1x"))

    def test_bad_values_of_what_is_only_a_variable(self):
        for variable, value in (("ISTIO_OUTBOUND_OWNER_GROUPS", "java"),
                                ("ISTIO_OUTBOUND_OWNER_GROUPS", ",".join(["1"] * 65)),
                                ("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "*"),
                                ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "10.0.0.0/8"),
                                ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.1"),
                                ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "126.0.0.0/7"),
                                ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "::1/128")):
            with self.subTest(variable=variable, value=value):
                self.refused(says=(variable,), env={variable: value})

    def test_a_bad_variable_is_not_saved_by_a_flag(self):
        self.refused("-n", "-b", "*", says=("ISTIO_INBOUND_PORTS",), env={"ISTIO_INBOUND_PORTS": "x"})

    def test_wrong_usage(self):
        for arguments, says in ((("--no-such-flag",), "--no-such-flag"), (("-y",), "-y"), (("-ny",), "-y"),
                                (("stray",), "stray"), (("-n", "false"), "false"), (("",), "\"\""),
                                (("--", "x"), "\"x\""), (("-p",), "--envoy-port"),
                                (("--istio-service-cidr",), "--istio-service-cidr"),
                                (("--network-namespace", "/nonexistent"), "/nonexistent"),
                                (("--network-namespace", "/etc/passwd"), "/etc/passwd"),
                                (("-b", "1," * 8193), "8192")):
            with self.subTest(arguments=str(arguments)[:60]):
                for extra in ((), ("--run-validation", "--skip-rule-apply")):
                    self.refused(*extra, *arguments, says=(says,))

    def test_nothing_is_changed(self):
        run_in(self.pod, *ALL, "--probe-timeout", "x")
        self.assertNotIn("ISTIO", run_in(self.pod, command=("iptables-legacy-save",)).out)

    def test_without_privilege(self):
        self.refused(*ALL, become=("setpriv", "--reuid=1337", "--clear-groups"), says=("x_tables",))


class NamesTest(IstioCase):
    def test_the_programs_that_images_call(self):
        with tempfile.TemporaryDirectory() as directory:
            for name, words in (("pilot-agent", ("istio-iptables",)), ("istio-iptables", ()),
                                ("istio-iptables", ("istio-iptables",))):
                path = os.path.join(directory, name)
                if not os.path.exists(path):
                    os.symlink(os.path.realpath(cli_path()), path)
                with self.subTest(name=name, words=words):
                    result = run_in(self.pod, "-n", *INJECTED, command=(path, *words))
                    self.assertEqual(result.out, self.planned(*INJECTED))
            result = run_in(self.pod, "proxy", "sidecar", command=(os.path.join(directory, "pilot-agent"),))
            self.assertEqual((result.rc, result.out, result.err.count("\n")), (1, "", 1))

    def test_an_image_with_nothing_else_in_it(self):
        """What deploy/Dockerfile makes: one static program, and the /proc that every container has."""
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "usr/local/bin"))
            os.mkdir(os.path.join(root, "proc"))
            shutil.copy(cli_path(), os.path.join(root, "usr/local/bin/pilot-agent"))
            script = f'mount -t proc proc {root}/proc && exec chroot {root} /usr/local/bin/pilot-agent "$@"'
            become = ("unshare", "-m", "sh", "-c", script, "sh")
            with Pod([V4]) as pod:
                result = run_in(pod, "istio-iptables", *INJECTED, "--run-validation", command=become)
        self.assertEqual((result.rc, result.err), (0, ""), result)
        self.assertIn("validation: outbound IPv4: ok\n", result.out)

    def test_help_names_every_flag(self):
        result = run_in(self.pod, "-h")
        self.assertEqual((result.rc, result.err), (0, ""))
        for row in ROWS:
            self.assertIn(f"{row.letter}, {row.flag}", result.out)
            self.assertIn(row.variable, result.out)
        self.assertEqual(run_in(self.pod, "--help").out, result.out)

    def test_the_manual_names_every_flag_and_variable(self):
        path = Path(__file__).resolve().parents[2] / "docs" / "istio-iptables.md"
        manual = path.read_text(encoding="utf-8")
        names = set(re.findall(r"--[a-z_-]+|\$[A-Z0-9_]+", run_in(self.pod, "-h").out)) - {"--help"}
        names = {name for name in names if "log_" not in name and name != "--vklog"}
        self.assertGreater(len(names), 60)
        for name in names:
            self.assertRegex(manual, f"[` ]{name.lstrip('$')}`")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The layout `istio` is what the vendor's programs make of Istio's own commands, rule for rule."""

import os
import random
import subprocess

from tests.cli.command import CommandCase
from tests.cli.istio_rules import Settings, restore_text

RANDOM_COUNT = 60
LOCK_SECONDS = "20"
FORTY_PORTS = ",".join(str(9000 + 7 * i) for i in range(40))
# iptables-restore takes 255 words, about 50 groups.
FORTY_GROUPS = ",".join(str(70000 + i) for i in range(40))

NAMED = {
    "default": Settings(),
    "custom ports": Settings(proxy_port="16001", inbound_capture_port="16006", inbound_tunnel_port="16008"),
    "no inbound": Settings(include_inbound_ports=""),
    "inbound ports": Settings(include_inbound_ports="8080,80,443"),
    "inbound ports excluded": Settings(exclude_inbound_ports="22,15090,9090"),
    "nothing excluded": Settings(exclude_inbound_ports="", exclude_outbound_ports=""),
    "many ports": Settings(exclude_inbound_ports=FORTY_PORTS, exclude_outbound_ports=FORTY_PORTS,
                           include_outbound_ports=FORTY_PORTS),
    "no outbound": Settings(include_outbound_cidrs=""),
    "outbound ports only": Settings(include_outbound_cidrs="", include_outbound_ports="32000,31000"),
    "outbound ports": Settings(include_outbound_ports="3306", exclude_outbound_ports="25,3306"),
    "CIDRs": Settings(include_outbound_cidrs="10.0.0.0/8,fd00::/8,192.168.1.1/32,2001:db8::1/128",
                      exclude_outbound_cidrs="10.96.0.0/12,fd00:1::/32"),
    "CIDRs with host bits": Settings(include_outbound_cidrs="10.1.2.3/8,fd00::1/8",
                                     exclude_outbound_cidrs="192.168.7.7/30"),
    "CIDRs of one family": Settings(include_outbound_cidrs="10.0.0.0/8", exclude_outbound_cidrs="fd00::/8"),
    "every address": Settings(include_outbound_cidrs="0.0.0.0/0,::/0", exclude_outbound_cidrs="0.0.0.0/0"),
    "loopback included": Settings(include_outbound_cidrs="127.1.2.3/32"),
    "IPv6 loopback included": Settings(include_outbound_cidrs="::1/128,10.0.0.0/8"),
    "localhost": Settings(ipv4_loopback_cidr="127.0.0.0/8"),
    "interfaces excluded": Settings(exclude_interfaces="eth1,net1"),
    "virtual interfaces": Settings(virtual_interfaces="tap0,tap1,tap2"),
    "virtual interfaces, CIDRs": Settings(virtual_interfaces="tap0,tap1",
                                          include_outbound_cidrs="10.0.0.0/8,fd00::/8,172.16.0.0/12"),
    "virtual interfaces, nothing included": Settings(virtual_interfaces="tap0,tap1", include_outbound_cidrs="",
                                                     include_inbound_ports=""),
    "virtual interfaces, one excluded": Settings(virtual_interfaces="tap0,tap1", exclude_interfaces="tap1,eth1",
                                                 exclude_outbound_cidrs="10.0.0.0/8"),
    "several IDs": Settings(proxy_uid="3,4,0", proxy_gid="1,2,4294967294"),
    "groups included": Settings(include_owner_groups="202,0,3000"),
    "one group included": Settings(include_owner_groups="202"),
    "no group included": Settings(include_owner_groups=""),
    "many groups included": Settings(include_owner_groups=FORTY_GROUPS),
    "groups excluded": Settings(exclude_owner_groups="888,999"),
    "invalid dropped": Settings(drop_invalid=True),
    "DNS": Settings(dns_capture="all"),
    "DNS, several IDs": Settings(dns_capture="all", proxy_uid="3,4", proxy_gid="1,2"),
    "DNS, loopback included": Settings(dns_capture="all", include_outbound_cidrs="127.0.0.0/8"),
    "DNS, other ports": Settings(dns_capture="all", dns_port="10053", inbound_tunnel_port="10008"),
    "DNS, groups included": Settings(dns_capture="all", include_owner_groups="202,203"),
    "DNS, groups excluded": Settings(dns_capture="all", exclude_owner_groups="888"),
    "DNS, port 53 excluded": Settings(dns_capture="all", exclude_outbound_ports="53"),
    "resolvers": Settings(dns_capture="resolvers", dns_resolvers="10.96.0.10,fd00::10,127.0.0.53"),
    "resolvers, IPv4 only": Settings(dns_capture="resolvers", dns_resolvers="127.0.0.53,10.96.0.10"),
    "resolvers, IPv6 only": Settings(dns_capture="resolvers", dns_resolvers="fd00::10,fd00::11",
                                     proxy_uid="3,4", proxy_gid="1,2"),
    "resolvers, not used": Settings(dns_resolvers="10.96.0.10"),
    "TPROXY": Settings(interception_mode="TPROXY"),
    "TPROXY, ports": Settings(interception_mode="TPROXY", include_inbound_ports="8080,80"),
    "TPROXY, no inbound": Settings(interception_mode="TPROXY", include_inbound_ports="",
                                   exclude_interfaces="eth1"),
    "TPROXY, mark": Settings(interception_mode="TPROXY", tproxy_mark="0x10", inbound_capture_port="16006"),
    "TPROXY, several IDs": Settings(interception_mode="TPROXY", proxy_uid="0,1337", proxy_gid="1337,1"),
    "TPROXY, localhost": Settings(interception_mode="TPROXY", ipv4_loopback_cidr="127.0.0.0/8"),
    "TPROXY, interfaces": Settings(interception_mode="TPROXY", exclude_interfaces="eth1,net1",
                                   virtual_interfaces="tap0", drop_invalid=True),
    "everything": Settings(
        interception_mode="TPROXY", exclude_inbound_ports="22,443", include_outbound_ports="3306,6379",
        exclude_outbound_ports="25,465", include_outbound_cidrs="10.0.0.0/8,fd00::/8",
        exclude_outbound_cidrs="10.96.0.0/12,fd00:1::/32", exclude_interfaces="eth1,eth2",
        virtual_interfaces="tap0,tap1", exclude_owner_groups="888,999", proxy_uid="1337,1000",
        proxy_gid="1337,1000", dns_capture="resolvers", dns_resolvers="10.96.0.10,fd00::10",
        drop_invalid=True, ipv4_loopback_cidr="127.0.0.0/16"),
}


def random_list(source: random.Random, choices: list[str], most: int) -> str:
    return ",".join(source.sample(choices, source.randint(0, most)))


def random_settings(source: random.Random) -> Settings:
    ports = [str(port) for port in (1, 22, 53, 80, 443, 8080, 15008, 15020, 15021, 15090, 32000, 65535)]
    ids = ["0", "1", "202", "1000", "1337", "4294967294"]
    interfaces = ["eth0", "eth1", "net1", "tap0", "k6t-eth0", "a.b_c"]
    cidrs = ["10.0.0.0/8", "172.16.5.4/12", "192.168.1.1/32", "127.0.0.0/8", "0.0.0.0/0", "fd00::/8",
             "2001:db8:5::/32", "::1/128", "::/0", "fe80::1/128"]
    resolvers = random_list(source, ["10.96.0.10", "127.0.0.53", "fd00::10", "::1", "2001:db8::53"], 3)
    groups = source.choice(["*", random_list(source, ids, 5)])

    def rarely(usual: str, other: str) -> str:
        return other if source.random() < 0.3 else usual

    return Settings(
        interception_mode=source.choice(["REDIRECT", "TPROXY"]),
        include_inbound_ports=rarely("*", random_list(source, ports, 4)),
        exclude_inbound_ports=random_list(source, ports, 5),
        include_outbound_ports=rarely("", random_list(source, ports, 4)),
        exclude_outbound_ports=random_list(source, ports, 5),
        include_outbound_cidrs=source.choice(["*", random_list(source, cidrs, 4)]),
        exclude_outbound_cidrs=random_list(source, cidrs, 3),
        exclude_interfaces=rarely("", random_list(source, interfaces, 3)),
        virtual_interfaces=rarely("", random_list(source, interfaces, 3)),
        include_owner_groups=groups,
        exclude_owner_groups=random_list(source, ids, 3) if groups == "*" else "",
        proxy_uid=",".join(source.sample(ids, source.randint(1, 3))),
        proxy_gid=",".join(source.sample(ids, source.randint(1, 3))),
        proxy_port=rarely("15001", "16001"),
        inbound_capture_port=rarely("15006", "16006"),
        inbound_tunnel_port=rarely("15008", "16008"),
        dns_capture=source.choice(["off", "all", "resolvers" if resolvers else "off"]),
        dns_resolvers=resolvers,
        dns_port=rarely("15053", "16053"),
        drop_invalid=source.random() < 0.3,
        tproxy_mark=rarely("1337", "4294967295"),
        ipv4_loopback_cidr=rarely("127.0.0.1/32", "127.0.0.0/8"))


def chains_of(text: str) -> dict[str, list[str]]:
    """The rules of each chain of what iptables-save prints, without built-in chains that are empty."""
    chains: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        words = line.split()
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":ISTIO_"):
            chains[f"{table} {words[0][1:]}"] = []
        elif line.startswith("-A"):
            chains.setdefault(f"{table} {words[1]}", []).append(line)
    return chains


def vendors_save(text: str, version: int) -> str:
    """What iptables-save prints after iptables-restore has read `text`, in a namespace without rules."""
    prefix = "iptables-legacy" if version == 4 else "ip6tables-legacy"
    script = f"{prefix}-restore --noflush -w {LOCK_SECONDS} && {prefix}-save"
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{prefix}-restore: {done.stderr}\n{text}")
    return done.stdout


class OrderTest(CommandCase):
    maxDiff = None

    def same_as_istio(self, settings: Settings) -> None:
        for version in (4, 6):
            with self.subTest(version=version, flags=settings.flags()):
                wanted = chains_of(vendors_save(restore_text(settings, version), version))
                self.assertIn("nat ISTIO_OUTPUT", wanted)
                printed = self.prints("rules", "--layout", "istio", "--family", f"ipv{version}",
                                      *settings.flags())
                self.assertEqual(chains_of(printed), wanted)

    def test_named_configurations(self):
        for name, settings in NAMED.items():
            with self.subTest(name):
                self.same_as_istio(settings)

    def test_random_configurations(self):
        seed = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(2**32))
        source = random.Random(seed)
        for number in range(RANDOM_COUNT):
            with self.subTest(SLUICE_SEED=seed, number=number):
                self.same_as_istio(random_settings(source))

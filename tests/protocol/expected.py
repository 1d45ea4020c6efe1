# SPDX-License-Identifier: GPL-2.0-or-later
"""The nat table that Istio writes, in the words of iptables-legacy-save.

Written down chain by chain from Istio's order, so that it owes nothing to the plugin's code.
"""

from dataclasses import dataclass

ALWAYS_EXCLUDED = ("15020", "15021", "15090")


@dataclass(frozen=True)
class Redirection:
    """What a pod asks for; the defaults are those of an injected pod with no further annotation."""

    inbound: tuple = ("*",)
    exclude_inbound: tuple = ALWAYS_EXCLUDED
    outbound: tuple = ("*",)
    outbound_ports: tuple = ()
    exclude_outbound: tuple = ()
    exclude_outbound_ports: tuple = ("15020",)
    interfaces: tuple = ()
    uids: tuple = (1337,)
    gids: tuple = (1337,)
    outbound_port: int = 15001
    inbound_port: int = 15006
    tunnel_port: int = 15008

    def chains(self, family=4):
        """{chain: [rule, …]} as Pod.nat() returns it; chains with no rule are left out."""
        chains = {
            "PREROUTING": [f"-i {name} -j RETURN" for name in self.interfaces],
            "OUTPUT": [f"-o {name} -j RETURN" for name in self.interfaces] + ["-j ISTIO_OUTPUT"],
            "ISTIO_INBOUND": self._inbound(),
            "ISTIO_IN_REDIRECT": [f"-p tcp -j REDIRECT --to-ports {self.inbound_port}"],
            "ISTIO_REDIRECT": [f"-p tcp -j REDIRECT --to-ports {self.outbound_port}"],
            "ISTIO_OUTPUT": self._output(family),
        }
        if self.inbound:
            chains["PREROUTING"].append("-p tcp -j ISTIO_INBOUND")
        return {chain: rules for chain, rules in chains.items() if rules}

    def _inbound(self):
        rules = [tcp(self.tunnel_port, "RETURN")]
        if self.inbound == ("*",):
            rules += [tcp(port, "RETURN") for port in self.exclude_inbound]
            return rules + ["-p tcp -j ISTIO_IN_REDIRECT"]
        return rules + [tcp(port, "ISTIO_IN_REDIRECT") for port in self.inbound]

    def _output(self, family):
        rules = []
        for port in self.exclude_outbound_ports:
            rules += [tcp(port, "RETURN"), f"-p udp -m udp --dport {dport(port)} -j RETURN"]
        rules.append(f"-s {'127.0.0.6/32' if family == 4 else '::6/128'} -o lo -j RETURN")
        for uid in self.uids:
            rules += self._owner(family, f"--uid-owner {uid}")
        for gid in self.gids:
            rules += self._owner(family, f"--gid-owner {gid}")
        rules.append(f"-d {loopback(family)} -j RETURN")
        rules += [f"-d {cidr} -j RETURN" for cidr in of_family(self.exclude_outbound, family)]
        rules += [tcp(port, "ISTIO_REDIRECT") for port in self.outbound_ports]
        if self.outbound == ("*",):
            return rules + ["-j ISTIO_REDIRECT"]
        return rules + [f"-d {cidr} -j ISTIO_REDIRECT" for cidr in of_family(self.outbound, family)]

    def _owner(self, family, owner):
        back_to_itself = (
            f"! -d {loopback(family)} -o lo -p tcp -m tcp ! --dport {self.tunnel_port} "
            f"-m owner {owner} -j ISTIO_IN_REDIRECT"
        )
        return [back_to_itself, f"-o lo -m owner ! {owner} -j RETURN", f"-m owner {owner} -j RETURN"]


def loopback(family):
    return "127.0.0.1/32" if family == 4 else "::1/128"


def of_family(cidrs, family):
    return [cidr for cidr in cidrs if (":" in cidr) == (family == 6)]


def dport(port):
    """iptables writes a range with a colon."""
    return str(port).replace("-", ":")


def tcp(port, target):
    return f"-p tcp -m tcp --dport {dport(port)} -j {target}"


DEFAULT = Redirection()

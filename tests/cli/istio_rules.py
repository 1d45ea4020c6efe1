# SPDX-License-Identifier: GPL-2.0-or-later
"""What Istio 1.32 feeds to iptables-restore, command by command in its order of generation.

Written from the description of istio-iptables' rules, not from Sluice: what both agree on was
derived twice. Istio appends and inserts, repeats nothing that is implied and spells some options in
ways of its own; the vendor's programs say what that comes to.
"""

import dataclasses
import ipaddress

# By IP version: the sidecar's source address towards the application, the length of an address.
PASSTHROUGH = {4: "127.0.0.6/32", 6: "::6/128"}
HOST_BITS = {4: 32, 6: 128}
OUTBOUND_MARK = 1338
ALWAYS_EXCLUDED_INBOUND = ("15020", "15021", "15090")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Named as the flags of `sluice rules` are; defaults are istio-cni's."""

    interception_mode: str = "REDIRECT"
    include_inbound_ports: str = "*"
    exclude_inbound_ports: str = "15020"
    include_outbound_ports: str = ""
    exclude_outbound_ports: str = "15020"
    include_outbound_cidrs: str = "*"
    exclude_outbound_cidrs: str = ""
    exclude_interfaces: str = ""
    virtual_interfaces: str = ""
    include_owner_groups: str = "*"
    exclude_owner_groups: str = ""
    proxy_uid: str = "1337"
    proxy_gid: str = "1337"
    proxy_port: str = "15001"
    inbound_capture_port: str = "15006"
    inbound_tunnel_port: str = "15008"
    dns_capture: str = "off"
    dns_resolvers: str = ""
    dns_port: str = "15053"
    drop_invalid: bool = False
    tproxy_mark: str = "1337"
    ipv4_loopback_cidr: str = "127.0.0.1/32"

    def flags(self) -> list[str]:
        """For `sluice rules`: what is not the default."""
        words = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            words.append("--" + field.name.replace("_", "-"))
            if value is not True:
                words.append(value)
        return words


def restore_text(settings: Settings, version: int) -> str:
    """The input of iptables-restore (version 4) or ip6tables-restore (6)."""
    commands = _Commands(settings, version)
    commands.generate()
    return commands.text()


def _split(text: str) -> list[str]:
    return text.split(",") if text else []


def _inbound_exclusions(text: str) -> list[str]:
    asked = _split(text)
    return asked + [port for port in ALWAYS_EXCLUDED_INBOUND if port not in asked]


class _Commands:
    def __init__(self, settings: Settings, version: int):
        self._settings = settings
        self._version = version
        self._localhost = settings.ipv4_loopback_cidr if version == 4 else "::1/128"
        self._tproxy = settings.interception_mode == "TPROXY"
        self._uids = [f"--uid-owner {uid}" for uid in _split(settings.proxy_uid)]
        self._gids = [f"--gid-owner {gid}" for gid in _split(settings.proxy_gid)]
        self._tables: dict[str, list[str]] = {}
        self._dns = settings.dns_capture != "off"

    def text(self) -> str:
        """Tables in alphabetical order; chains are made first, in the order of their appearance."""
        parts = []
        for table in sorted(self._tables):
            words = [line.split() for line in self._tables[table]]
            named = [word for line in words for word in line if word.startswith("ISTIO_")]
            parts += [f"* {table}", *(f"-N {chain}" for chain in dict.fromkeys(named)),
                      *self._tables[table], "COMMIT"]
        return "\n".join(parts) + "\n"

    def generate(self) -> None:
        self._excluded_interfaces()
        for name in _split(self._settings.virtual_interfaces):
            self._insert("nat", "PREROUTING", 1, f"-i {name} -j RETURN")
        self._invalid()
        self._targets()
        self._inbound()
        self._append("nat", "OUTPUT", "-j ISTIO_OUTPUT")
        for port in _split(self._settings.exclude_outbound_ports):
            self._append("nat", "ISTIO_OUTPUT", f"-p tcp --dport {port} -j RETURN")
            self._append("nat", "ISTIO_OUTPUT", f"-p udp --dport {port} -j RETURN")
        self._append("nat", "ISTIO_OUTPUT", f"-o lo -s {PASSTHROUGH[self._version]} -j RETURN")
        for uid in self._uids:
            self._sidecar(uid, self._dns)
        for gid in self._gids:
            self._sidecar(gid, False)
        self._owner_groups()
        if self._dns:
            self._redirect_dns()
            self._dns_zones()
        self._append("nat", "ISTIO_OUTPUT", f"-d {self._localhost} -j RETURN")
        self._destinations()
        if self._tproxy:
            self._tproxy_marks()

    def _append(self, table: str, chain: str, rule: str) -> None:
        self._tables.setdefault(table, []).append(f"-A {chain} {rule}")

    def _insert(self, table: str, chain: str, position: int, rule: str) -> None:
        self._tables.setdefault(table, []).append(f"-I {chain} {position} {rule}")

    def _of_family(self, text: str) -> list[str]:
        return [cidr for cidr in _split(text)
                if ipaddress.ip_interface(cidr).version == self._version]

    def _excluded_interfaces(self) -> None:
        for table in ("nat", "mangle") if self._tproxy else ("nat",):
            for name in _split(self._settings.exclude_interfaces):
                self._append(table, "PREROUTING", f"-i {name} -j RETURN")
                self._append(table, "OUTPUT", f"-o {name} -j RETURN")

    def _invalid(self) -> None:
        if self._settings.drop_invalid:
            self._append("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j ISTIO_DROP")
            self._append("mangle", "ISTIO_DROP", "-j DROP")

    def _targets(self) -> None:
        settings = self._settings
        self._append("nat", "ISTIO_INBOUND", f"-p tcp --dport {settings.inbound_tunnel_port} -j RETURN")
        for chain, port in (("ISTIO_REDIRECT", settings.proxy_port),
                            ("ISTIO_IN_REDIRECT", settings.inbound_capture_port)):
            self._append("nat", chain, f"-p tcp -j REDIRECT --to-ports {port}")

    def _inbound(self) -> None:
        settings = self._settings
        if settings.include_inbound_ports == "":
            return
        if self._tproxy:
            mark = settings.tproxy_mark
            self._append("mangle", "ISTIO_DIVERT", f"-j MARK --set-mark {mark}")
            self._append("mangle", "ISTIO_DIVERT", "-j ACCEPT")
            self._append("mangle", "ISTIO_TPROXY",
                         f"! -d {self._localhost} -p tcp -j TPROXY --tproxy-mark {mark}/0xffffffff "
                         f"--on-port {settings.inbound_capture_port}")
        table = "mangle" if self._tproxy else "nat"
        self._append(table, "PREROUTING", "-p tcp -j ISTIO_INBOUND")
        if settings.include_inbound_ports == "*":
            for port in _inbound_exclusions(settings.exclude_inbound_ports):
                self._append(table, "ISTIO_INBOUND", f"-p tcp --dport {port} -j RETURN")
            self._capture_inbound("-p tcp")
        else:
            for port in _split(settings.include_inbound_ports):
                self._capture_inbound(f"-p tcp --dport {port}")

    def _capture_inbound(self, match: str) -> None:
        if not self._tproxy:
            self._append("nat", "ISTIO_INBOUND", f"{match} -j ISTIO_IN_REDIRECT")
            return
        self._append("mangle", "ISTIO_INBOUND",
                     f"{match} -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT")
        self._append("mangle", "ISTIO_INBOUND", f"{match} -j ISTIO_TPROXY")

    def _sidecar(self, owner: str, excludes_dns: bool) -> None:
        tunnel = self._settings.inbound_tunnel_port
        ports = f"-m multiport ! --dports 53,{tunnel}" if excludes_dns else f"! --dport {tunnel}"
        self._append("nat", "ISTIO_OUTPUT", f"-o lo ! -d {self._localhost} -p tcp {ports} "
                                            f"-m owner {owner} -j ISTIO_IN_REDIRECT")
        included = _split(self._settings.include_outbound_cidrs.replace("*", ""))
        if not any(ipaddress.ip_interface(cidr).is_loopback for cidr in included):
            not_dns = "-p tcp ! --dport 53 " if self._dns else ""
            self._append("nat", "ISTIO_OUTPUT", f"-o lo {not_dns}-m owner ! {owner} -j RETURN")
        self._append("nat", "ISTIO_OUTPUT", f"-m owner {owner} -j RETURN")

    def _owner_groups(self) -> None:
        included = self._settings.include_owner_groups
        if included == "*":
            for gid in _split(self._settings.exclude_owner_groups):
                self._append("nat", "ISTIO_OUTPUT", f"-m owner --gid-owner {gid} -j RETURN")
            return
        none_of = "".join(f"-m owner ! --gid-owner {gid} " for gid in _split(included))
        self._append("nat", "ISTIO_OUTPUT", f"{none_of}-j RETURN")

    def _resolvers(self) -> list[str]:
        bits = HOST_BITS[self._version]
        return [f"{address}/{bits}" for address in self._of_family(self._settings.dns_resolvers)]

    def _redirect_dns(self) -> None:
        every = self._settings.dns_capture == "all"
        destinations = [""] if every else [f"-d {address} " for address in self._resolvers()]
        if destinations:
            self._append("nat", "ISTIO_OUTPUT", "-j ISTIO_OUTPUT_DNS")
        for protocol, option in (("tcp", "--to-ports"), ("udp", "--to-port")):
            for destination in destinations:
                self._append("nat", "ISTIO_OUTPUT_DNS", f"-p {protocol} --dport 53 {destination}"
                                                        f"-j REDIRECT {option} {self._settings.dns_port}")

    def _dns_zones(self) -> None:
        self._append("raw", "OUTPUT", "-j ISTIO_OUTPUT_DNS")
        for owner in self._uids + self._gids:
            self._append("raw", "ISTIO_OUTPUT_DNS", f"-p udp --dport 53 -m owner {owner} -j CT --zone 1")
            self._append("raw", "ISTIO_OUTPUT_DNS",
                         f"-p udp --sport {self._settings.dns_port} -m owner {owner} -j CT --zone 2")
        if self._settings.dns_capture == "all":
            pairs = [("", "")]
        else:
            pairs = [(f"-d {address} ", f"-s {address} ") for address in self._resolvers()]
        if pairs:
            self._append("raw", "PREROUTING", "-j ISTIO_INBOUND")
        for to_resolver, from_resolver in pairs:
            self._append("raw", "ISTIO_OUTPUT_DNS", f"-p udp --dport 53 {to_resolver}-j CT --zone 2")
            self._append("raw", "ISTIO_INBOUND", f"-p udp --sport 53 {from_resolver}-j CT --zone 1")

    def _destinations(self) -> None:
        settings = self._settings
        for cidr in self._of_family(settings.exclude_outbound_cidrs):
            self._append("nat", "ISTIO_OUTPUT", f"-d {cidr} -j RETURN")
        for port in _split(settings.include_outbound_ports):
            self._append("nat", "ISTIO_OUTPUT", f"-p tcp --dport {port} -j ISTIO_REDIRECT")
        if settings.include_outbound_cidrs == "*":
            destinations = [""]
        else:
            destinations = [f"-d {cidr} " for cidr in self._of_family(settings.include_outbound_cidrs)]
        for destination in destinations:
            self._append("nat", "ISTIO_OUTPUT", f"{destination}-j ISTIO_REDIRECT")
            for name in _split(settings.virtual_interfaces):
                self._insert("nat", "PREROUTING", 1, f"-i {name} {destination}-j ISTIO_REDIRECT")

    def _tproxy_marks(self) -> None:
        mark = self._settings.tproxy_mark
        self._append("mangle", "PREROUTING", f"-p tcp -m mark --mark {mark} -j CONNMARK --save-mark")
        self._append("mangle", "OUTPUT", f"-p tcp -o lo -m mark --mark {mark} -j RETURN")
        for owner in self._uids + self._gids:
            self._append("mangle", "OUTPUT", f"! -d {self._localhost} -p tcp -o lo -m owner {owner} "
                                             f"-j MARK --set-mark {OUTBOUND_MARK}")
        self._append("mangle", "OUTPUT", f"-p tcp -m connmark --mark {mark} -j CONNMARK --restore-mark")
        for position, rule in enumerate((f"-p tcp -m mark --mark {mark} -j RETURN",
                                         f"-p tcp -s {PASSTHROUGH[self._version]} -i lo -j RETURN",
                                         f"-p tcp -i lo -m mark ! --mark {OUTBOUND_MARK} -j RETURN"), 1):
            self._insert("mangle", "ISTIO_INBOUND", position, rule)

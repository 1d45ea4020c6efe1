# SPDX-License-Identifier: GPL-2.0-or-later
"""A pod that exists twice: as a network namespace with addresses of its own, and in the API."""

import itertools
import os

from tests.agent.pod_objects import pod_object
from tests.protocol.netconf import injected, mesh_conf
from tests.protocol.runtime import Pod, run

# Of this process alone, so that nobody takes another run's pods for its own.
_numbers = itertools.count(2)
_NET = 10_000 + os.getpid() % 50_000


class MeshPod(Pod):
    """Its eth0 has 10.79.x.y/16 and, if asked, fd79::y/64, which no other pod has."""

    def __init__(self, ipv6=False):
        super().__init__(bare=True)
        number = next(_numbers)
        self.number = number
        self.addresses = [f"10.{80 + _NET % 100}.{number // 250}.{1 + number % 250}"]
        if ipv6:
            self.addresses.append(f"fd{_NET % 100:02}::{number:x}")
        self.pod_name = f"web-{number}"
        self.uid = f"00000000-0000-4000-8000-{number:012}"
        self.add_interface("eth0")
        self.ip("link set eth0 addrgenmode none", "link set eth0 up",
                *[f"addr add {address}/{64 if ':' in address else 16} dev eth0"
                  + (" nodad" if ":" in address else "") for address in self.addresses])

    def object(self, **changes):
        """The pod as the API server has it."""
        return pod_object(self.pod_name, uid=self.uid, addresses=tuple(self.addresses), **changes)

    def call(self, command, entry, annotations=None, **options):
        """Runs the plugin as a runtime does with this entry of the network configuration."""
        given = injected() if annotations is None else annotations
        document = {**mesh_conf(self, given, addresses=[f"{a}/{64 if ':' in a else 16}"
                                                        for a in self.addresses]), **entry}
        arguments = (f"IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={self.pod_name};"
                     f"K8S_POD_INFRA_CONTAINER_ID={self.number:064};K8S_POD_UID={self.uid}")
        env = {"CNI_ARGS": arguments, "CNI_CONTAINERID": f"{self.number:064}"}
        return run(command, document, self, env={**env, **options.pop("env", {})}, **options)

    def redirected(self):
        """Whether traffic of both directions goes to the sidecar."""
        chains = self.nat()
        return any("REDIRECT" in rule for rule in chains.get("ISTIO_REDIRECT", [])) and (
            "-j ISTIO_OUTPUT" in chains.get("OUTPUT", [])
            and "-p tcp -j ISTIO_INBOUND" in chains.get("PREROUTING", []))

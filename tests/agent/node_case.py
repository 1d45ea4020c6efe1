# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent's end-to-end tests have in common: an API server, a node, pods, and their end."""

import unittest

from tests.agent.agent import Agent, Node
from tests.agent.api_server import ApiServer
from tests.agent.mesh_pod import MeshPod


class NodeCase(unittest.TestCase):
    # What starts the agent, and becomes it.
    wrapper = ()

    def setUp(self):
        self.api = ApiServer().start()
        self.addCleanup(self.api.close)
        self.api.put_daemonset("sluice-agent", "sluice-system")
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.agents = []

    def start(self, *flags):
        """An agent that is ready; it must end cleanly, which a sanitizer's finding prevents."""
        agent = self.launch(*flags)
        agent.wait_ready()
        return agent

    def launch(self, *flags):
        agent = Agent(self.node, self.api, *flags, wrapper=self.wrapper)
        self.addCleanup(self.end, agent)
        return agent

    def end(self, agent):
        if agent.process.poll() is None:
            self.assertEqual(0, agent.stop(), agent.log()[-4000:])

    def pod(self, ipv6=False, **changes):
        """A pod that the API server knows; its namespace has no rules."""
        pod = MeshPod(ipv6)
        self.addCleanup(pod.delete)
        self.api.put_pod(pod.object(**changes))
        return pod

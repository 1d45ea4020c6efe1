# SPDX-License-Identifier: GPL-2.0-or-later
"""A scenario: a configuration, and where each of some connections lands under it."""

import re
import shlex
import signal
import unittest
from dataclasses import dataclass, field
from typing import Callable, Mapping, Sequence, Union

from tests.e2e import cni
from tests.e2e.live import LivePod
from tests.e2e.pod import BOTH, V4, V6, Family
from tests.e2e.rows import Row

REDIRECT = "REDIRECT"
TPROXY = "TPROXY"
MODES = (REDIRECT, TPROXY)
ISTIO = "istio"
SLUICE = "sluice"
LAYOUTS = (ISTIO, SLUICE)

Settings = Mapping[str, Union[str, bool]]


@dataclass(frozen=True)
class Scenario:
    """Declared once; tested in each of its modes and layouts, for each of its families."""

    name: str
    rows: Callable[[Family], Sequence[Row]]
    settings: Union[Settings, Callable[[Sequence[Family]], Settings]] = field(default_factory=dict)
    modes: Sequence[str] = MODES
    layouts: Sequence[str] = LAYOUTS
    families: Sequence[Family] = BOTH  # of the pod, its first address first
    tested: Sequence[Family] = ()  # of the connections; all of the pod's if empty

    def flags(self, mode: str, layout: str) -> list[str]:
        """Its configuration as flags of `sluice apply`."""
        settings = self.settings(self.families) if callable(self.settings) else self.settings
        return flags({"ipv6": "always", "interceptionMode": mode, "layout": layout, **settings})


def flags(settings: Settings) -> list[str]:
    """Keys of the network configuration as flags: dnsCapture is --dns-capture."""
    named = [("--" + re.sub("([A-Z])", lambda upper: "-" + upper[0].lower(), key), value)
             for key, value in settings.items() if value is not False]
    return [part for flag, value in named for part in ([flag] if value is True else [flag, value])]


class ScenarioCase(unittest.TestCase):
    """Runs scenarios. Pods of the same shape are the same pod, its rules removed in between."""

    pods: dict[tuple[Family, ...], LivePod] = {}

    @classmethod
    def setUpClass(cls) -> None:
        # A terminated run ends like an interrupted one, so that the pods are removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        cls.pods = {}

    @classmethod
    def pod(cls, families: Sequence[Family] = BOTH) -> LivePod:
        shape = tuple(families)
        if shape not in cls.pods:
            cls.pods[shape] = cls.enterClassContext(LivePod(shape, guest=True))
        return cls.pods[shape]

    def redirected(self, settings: Sequence[str], families: Sequence[Family] = BOTH) -> LivePod:
        """The pod with the rules of these flags."""
        pod = self.pod(families)
        self.addCleanup(self.sluice, "remove", pod)
        self.sluice("apply", pod, *settings)
        pod.namespace().forget_connections()
        return pod

    def sluice(self, command: str, pod: LivePod, *arguments: str) -> str:
        done = cni.sluice(command, pod, *cni.backend_flags(), *arguments)
        self.assertEqual(0, done.returncode,
                         f"sluice {command} {shlex.join(arguments)}: {done.stderr}")
        return done.stdout

    def holds(self, scenario: Scenario, mode: str, layout: str) -> None:
        settings = scenario.flags(mode, layout)
        pod = self.redirected(settings, scenario.families)
        for family in scenario.tested or scenario.families:
            self.all_land(pod, scenario.rows(family), settings)

    def all_land(self, pod: LivePod, rows: Sequence[Row], settings: Sequence[str] = ()) -> None:
        """Opens one connection after the other and compares."""
        for row in rows:
            wanted, happened = row.check(pod.land(row.connection))
            with self.subTest(row.why, connection=row.connection.title()):
                self.assertEqual(wanted, happened, f"with {shlex.join(settings)}")


def tests_of(*scenarios: Scenario) -> Callable[[type], type]:
    """Gives a ScenarioCase a test for each scenario in each mode and layout."""

    def add(case: type) -> type:
        for scenario in scenarios:
            for mode in scenario.modes:
                for layout in scenario.layouts:
                    words = re.sub(r"\W+", "_", scenario.name)
                    name = f"test_{words}_{mode.lower()}_{layout}"
                    if hasattr(case, name):
                        raise ValueError(f"two scenarios are named {scenario.name!r}")
                    setattr(case, name, lambda self, arguments=(scenario, mode, layout):
                            self.holds(*arguments))
        return case

    return add


def of_both(name: str) -> str:
    """That attribute of both families as a list: of_both("resolver")."""
    return ",".join(getattr(family, name) for family in (V4, V6))

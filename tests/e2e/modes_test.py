# SPDX-License-Identifier: GPL-2.0-or-later
"""Each annotation and setting, by what it does to real connections."""

from tests.e2e import cni
from tests.e2e.cases import PodCase
from tests.e2e.pod import BOTH, V4, V6
from tests.e2e.traffic import APP, CLIENT, SIDECAR, Caller, captured_outbound

ALWAYS = {"ipv6": "always"}


class SelectionTest(PodCase):
    """Which pods are redirected at all."""

    def test_pod_without_a_sidecar_is_untouched(self):
        pod = self.redirected_pod({}, ALWAYS)
        self.untouched(pod, V4)
        self.untouched(pod, V6)

    def test_redirect_all_takes_a_pod_without_annotations(self):
        self.captured(self.redirected_pod({}, {"redirect": "all"}), V4)

    def test_mode_none_leaves_the_pod_untouched(self):
        pod = self.redirected_pod(cni.injected({cni.MODE: "NONE"}), ALWAYS)
        self.untouched(pod, V4)
        self.untouched(pod, V6)

    def test_mode_redirect_is_the_default_spelled_out(self):
        self.captured(self.redirected_pod(cni.injected({cni.MODE: "REDIRECT"})), V4)


class OutboundTest(PodCase):
    """What of the outgoing traffic is captured."""

    def test_default_excludes_only_the_health_port(self):
        pod = self.redirected_pod(cni.injected(), ALWAYS)
        for family in (V4, V6):
            self.direct_outbound(pod, family.outside, 15020)
            self.captured_outbound(pod, family.outside, 443)
            self.captured_outbound(pod, family.outside_apart, 443)

    def test_excluded_port_range(self):
        pod = self.redirected_pod(cni.injected(excludeOutboundPorts="8000-8100"), ALWAYS)
        for family in (V4, V6):
            self.direct_outbound(pod, family.outside, 8050)
            self.captured_outbound(pod, family.outside, 8101)

    def test_only_listed_ranges_are_captured(self):
        listed = f"{V4.outside}/32,{V6.outside}/128"
        pod = self.redirected_pod(cni.injected(includeOutboundIPRanges=listed), ALWAYS)
        for family in (V4, V6):
            self.captured_outbound(pod, family.outside, 80)
            self.direct_outbound(pod, family.outside_apart, 80)

    def test_only_listed_ports_are_captured(self):
        pod = self.redirected_pod(
            cni.injected(includeOutboundPorts="443", includeOutboundIPRanges=""), ALWAYS)
        for family in (V4, V6):
            self.captured_outbound(pod, family.outside, 443)
            self.direct_outbound(pod, family.outside, 80)

    def test_no_listed_range_captures_nothing_outbound(self):
        pod = self.redirected_pod(cni.injected(includeOutboundIPRanges=""), ALWAYS)
        for family in (V4, V6):
            self.direct_outbound(pod, family.outside, 80)
            self.captured_inbound(pod, family.pod, 8080)

    def test_proxy_identity_can_be_another(self):
        pod = self.redirected_pod(
            cni.injected({"sluice.dev/proxy-uid": "4321", "sluice.dev/proxy-gid": "4321"}))
        self.lands("outside:80", pod, Caller("other proxy", 4321, 4321), V4.outside, 80)
        self.lands(captured_outbound(V4.outside, 80), pod, SIDECAR, V4.outside, 80)


class InboundTest(PodCase):
    """What of the incoming traffic is captured."""

    def test_ports_of_the_proxy_are_always_excluded(self):
        pod = self.redirected_pod(cni.injected(excludeInboundPorts="9090"), ALWAYS)
        for family in (V4, V6):
            for port in (9090, 15020, 15021, 15090):
                self.direct_inbound(pod, family.pod, port)
            self.captured_inbound(pod, family.pod, 22)

    def test_excluded_port_range(self):
        pod = self.redirected_pod(cni.injected(excludeInboundPorts="8000-8100"), ALWAYS)
        for family in (V4, V6):
            self.direct_inbound(pod, family.pod, 8050)
            self.captured_inbound(pod, family.pod, 8101)

    def test_no_listed_port_captures_nothing_inbound(self):
        pod = self.redirected_pod(cni.injected(includeInboundPorts=""), ALWAYS)
        for family in (V4, V6):
            self.direct_inbound(pod, family.pod, 8080)
            self.captured_outbound(pod, family.outside, 80)

    def test_only_listed_ports_are_captured(self):
        pod = self.redirected_pod(cni.injected(includeInboundPorts="8080,9090"), ALWAYS)
        for family in (V4, V6):
            self.captured_inbound(pod, family.pod, 8080)
            self.captured_inbound(pod, family.pod, 9090)
            self.direct_inbound(pod, family.pod, 8101)

    def test_excluded_interface_is_untouched_in_both_directions(self):
        pod = self.redirected_pod(cni.injected(excludeInterfaces="eth0"), ALWAYS)
        for family in (V4, V6):
            self.untouched(pod, family)

    def test_excluding_another_interface_changes_nothing(self):
        pod = self.redirected_pod(cni.injected(excludeInterfaces="net1"), ALWAYS)
        for family in (V4, V6):
            self.captured(pod, family)

    def test_old_layout_leaves_ssh_alone(self):
        pod = self.redirected_pod(cni.injected(), {"layout": "istio-1.6", **ALWAYS})
        for family in (V4, V6):
            self.direct_inbound(pod, family.pod, 22)
            self.captured(pod, family)


class Ipv6Test(PodCase):
    """The four settings for IPv6, and what dual stack does to the default."""

    def test_default_leaves_ipv6_of_an_ipv4_pod_untouched(self):
        self.captures_ipv4_only({})

    def test_auto_leaves_ipv6_of_an_ipv4_pod_untouched(self):
        self.captures_ipv4_only({"ipv6": "auto"})

    def test_never_leaves_ipv6_untouched(self):
        self.captures_ipv4_only({"ipv6": "never"})

    def test_auto_captures_a_pod_with_only_ipv6(self):
        self.captured(self.redirected_pod(cni.injected(), {"ipv6": "auto"}, families=[V6]), V6)

    def test_auto_captures_a_pod_with_only_ipv4(self):
        self.captured(self.redirected_pod(cni.injected(), {"ipv6": "auto"}, families=[V4]), V4)

    def test_dual_stack_setting_captures_both(self):
        pod = self.redirected_pod(cni.injected(), {"dualStack": True})
        self.captured(pod, V4)
        self.captured(pod, V6)

    def test_dual_stack_annotation_captures_both(self):
        pod = self.redirected_pod(cni.injected({"sluice.dev/dual-stack": "true"}))
        self.captured(pod, V4)
        self.captured(pod, V6)

    def test_block_resets_what_would_have_been_captured(self):
        pod = self.blocked_pod()
        self.lands("refused", pod, APP, V6.outside, 80)
        self.lands("refused", pod, CLIENT, V6.pod, 8080)

    def test_block_lets_exclusions_and_the_proxy_pass(self):
        pod = self.blocked_pod()
        self.direct_outbound(pod, V6.outside, 8443)
        self.direct_outbound(pod, V6.outside_apart, 80)
        self.direct_inbound(pod, V6.pod, 9090)
        self.direct_inbound(pod, V6.pod, 15021)
        self.lands("outside:80", pod, SIDECAR, V6.outside, 80)
        self.lands("app:8080", pod, APP, V6.loopback, 8080)
        self.lands("app:8080", pod, APP, V6.pod, 8080)
        self.lands("app:8080", pod, SIDECAR, V6.pod, 8080)

    def test_block_captures_ipv6_where_auto_would(self):
        for dual_stack, families in ((True, BOTH), (False, [V6])):
            with self.subTest(dual_stack=dual_stack, families=len(families)):
                config = {"ipv6": "block", "dualStack": dual_stack}
                self.captured(self.redirected_pod(cni.injected(), config, families), V6)

    def test_block_captures_ipv4_as_usual(self):
        self.captured(self.blocked_pod(), V4)

    def blocked_pod(self):
        exclusions = cni.injected(excludeOutboundPorts="8443", excludeInboundPorts="9090",
                                  excludeOutboundIPRanges=V6.apart_range)
        return self.redirected_pod(exclusions, {"ipv6": "block"})

    def captures_ipv4_only(self, config: dict) -> None:
        pod = self.redirected_pod(cni.injected(), config)
        self.captured(pod, V4)
        self.untouched(pod, V6)

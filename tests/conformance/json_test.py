# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON on stdin: A-045 to A-076."""

import json

from tests.conformance.cases import case
from tests.conformance.conformance import MEBI, RULES, SANITIZED, SPARSER, ConformanceCase, ours, plain, state
from tests.protocol.netconf import ABSENT, prev_result
from tests.protocol.stdin_test import BAD_MEMBERS, with_member

VALUES = ("[]", '"x"', "1", "true")
ILL_FORMED_NAMES = ("a/b", "../a", "-a", "a b", "a\n", "é")
OTHER_TYPES = (("dualStack", "true"), ("proxyPort", "15001"), ("backend", 5), ("excludeNamespaces", "demo"),
               ("log", None), ("namespaces", []))  # fmt: skip


class Json(ConformanceCase):
    def undecodable(self, stdin, pod=None, code=6):
        """No verb takes it; DEL needs as much of it as the others."""
        for command in ("ADD", "DEL"):
            self.refused(command, stdin, code, pod=pod)

    @case("A-045", "nothing, and nothing but blanks, is no document")
    def test_a_045(self):
        for stdin in (b"", b" \n\t\r "):
            self.undecodable(stdin, self.pod())

    @case("A-046", "an empty object, and null in its place, lack the network's name")
    def test_a_046(self):
        for stdin in (b"null", b"{}"):
            self.refused("ADD", stdin, 7, "missing network name", pod=self.pod())

    @case("A-047", "any other value than an object is no configuration")
    def test_a_047(self):
        for value in VALUES:
            self.undecodable(value)

    @case("A-048", "a document cut off at any byte is refused with nothing done")
    def test_a_048(self):
        pod = self.pod()
        text = json.dumps(ours(pod))
        with self.many(pod):
            for end in range(0, len(text), SPARSER):
                self.refused("ADD", text[:end], (6, 7), pod=pod)

    @case("A-049", "nothing but blanks may follow the document")
    def test_a_049(self):
        pod = self.pod()
        for end in ("x", "{}", "\0", ",", "null"):
            with self.subTest(end=end):
                self.undecodable(json.dumps(ours(pod)) + end, pod)

    @case("A-050", "blanks may")
    def test_a_050(self):
        pod = self.pod()
        for end in ("\n", " ", "\t", "\r\n" * 1000):
            self.add(pod, stdin=json.dumps(ours(pod)) + end)

    @case("A-051", "comments, trailing commas, other quotes and numbers that JSON does not know are refused")
    def test_a_051(self):
        pod = self.pod()
        with self.many(pod):
            for member in (*BAD_MEMBERS, '"x":-Infinity', '"x":1e', '"x":"a"b'):
                with self.subTest(member=member):
                    self.undecodable(with_member(member, ours(pod)), pod)

    @case("A-052", "a byte order mark and UTF-16 are refused")
    def test_a_052(self):
        text = json.dumps(plain())
        for stdin in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), text.encode("utf-16-le")):
            self.undecodable(stdin)

    @case("A-053", "raw control characters in a string are refused")
    def test_a_053(self):
        for number in range(32):
            self.undecodable(with_member(f'"x":"a{chr(number)}b"', plain()))

    @case("A-054", "ill-formed UTF-8 where nobody reads it is ignored or refused as undecodable")
    def test_a_054(self):
        for bad in (b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80"):
            pod = self.pod()
            outcome = self.call("ADD", with_member('"x":"@"', ours(pod)).encode().replace(b"@", bad), pod)
            if outcome.rc == 0:
                self.assert_passed(outcome, ours(pod))
            else:
                self.assert_error(outcome, 6)

    @case("A-055", "ill-formed UTF-8 in the name is refused by a well-formed error")
    def test_a_055(self):
        for command in ("ADD", "DEL"):
            self.refused(command, json.dumps(plain(name="a@b")).encode().replace(b"@", b"\xff"), (6, 7))

    @case("A-056", "a lone surrogate is ignored or refused, a pair is one character, NUL in a name is refused")
    def test_a_056(self):
        outcome = self.call("ADD", with_member(r'"x":"\ud800"', plain()))
        self.assertTrue(outcome.rc == 0 or self.assert_error(outcome, 6))
        document = plain(prevResult={**prev_result("1.0.0"), "x-pair": "😀"})
        self.passes(document, stdin=json.dumps(document, ensure_ascii=True))
        self.refused("ADD", plain(name="a\0b"), 7, "name")

    @case("A-057", "a string of 1 MB and a document of 16 MB take less than a second and ten times their size")
    def test_a_057(self):
        documents = (plain(x="y" * 1000000), plain(x=["y" * 1000] * 16000))
        for document in documents:
            self.passes(document, seconds=1)
        self.release_only()
        self.passes(documents[1], wrap=("prlimit", f"--as={160 * MEBI}"))

    @case("A-058", "more than 64 MiB is refused at once, in bounded memory, a stdin without end too")
    def test_a_058(self):
        self.refused("ADD", b" " * (65 * MEBI), 7, "64 MiB")
        self.release_only()
        with open("/dev/zero", "rb") as endless:
            self.refused("ADD", endless, (5, 7), wrap=("prlimit", f"--as={256 * MEBI}"))

    @case("A-059", "a thousand levels in a key nobody reads are accepted, more than 1,024 refused")
    def test_a_059(self):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            for depth, accepted in ((1000, True), (1100, False), (9000, False)):
                core = "1" if opening != "[" else ""
                stdin = with_member(f'"x":{opening * depth}{core}{closing * depth}', plain())
                if accepted:
                    self.passes(plain(), stdin=stdin)
                else:
                    self.refused("ADD", stdin, 6, "nested")

    @case("A-060", "a million brackets are refused without recursion")
    def test_a_060(self):
        for stdin in (b"[" * 1000000, b'{"a":' * 100000, b"[" * 1000000 + b"]" * 1000000):
            for command in ("ADD", "DEL"):
                self.refused(command, stdin, 6, wrap=() if SANITIZED else ("prlimit", "--stack=262144"))

    @case("A-061", "a million keys, and 100,000 equal ones, cost no more than their number")
    def test_a_061(self):
        self.passes(plain(), stdin=with_member(",".join(f'"k{number}":1' for number in range(1000000)), plain()))
        equal = ",".join(f'"cniVersion":"9.9.{number}"' for number in range(100000))
        self.passes(plain(), stdin=with_member(equal, plain()))

    @case("A-062", "of two versions the last counts, when it is good")
    def test_a_062(self):
        self.passes(plain(), stdin=with_member('"cniVersion":"9.9.9"', plain()))

    @case("A-063", "of two versions the last counts, when it is bad")
    def test_a_063(self):
        pod = self.pod()
        self.refused("ADD", json.dumps(ours(pod))[:-1] + ',"cniVersion":"9.9.9"}', 1, pod=pod)

    @case("A-064", "a name that is null behind a good one is missing: the last counts here too")
    def test_a_064(self):
        self.refused("ADD", json.dumps(plain())[:-1] + ',"name":null}', 7, "missing network name")

    @case("A-065", "of two results the last is both the one that is read and the one that is printed")
    def test_a_065(self):
        pod = self.pod()
        other = json.dumps({"cniVersion": "1.0.0", "ips": [{"address": "not read"}]})
        self.add(pod, stdin=with_member(f'"prevResult":{other}', ours(pod)))
        self.refused("ADD", json.dumps(ours(pod))[:-1] + f',"prevResult":{other}}}', 6, pod=pod)

    @case("A-066", "keys are found in another case")
    def test_a_066(self):
        pod = self.pod()
        spellings = {"cniVersion": "CNIVERSION", "name": "NAME", "prevResult": "PrevResult"}
        self.add(pod, stdin={spellings.get(key, key): value for key, value in ours(pod).items()})

    @case("A-067", "where both are there the exact spelling wins")
    def test_a_067(self):
        pod = self.pod()
        for other in ("CNIVersion", "cniversion"):
            self.add(pod, stdin={other: "9.9.9", **ours(pod)})
            self.add(pod, stdin={**ours(pod), other: "9.9.9"})

    @case("A-068", "empty, odd and long keys are ignored")
    def test_a_068(self):
        pod = self.pod()
        keys = {"": 1, "a\0b": 2, "__proto__": {"name": "x"}, "k" * 65536: 4, "\u2028": 5, "é\n": 6}
        outcome = self.add(pod, stdin={**keys, **ours(pod)})
        self.assertTrue(all(line.startswith("sluice-cni: ") for line in outcome.stderr.splitlines()), outcome)

    @case("A-069", "whole numbers may be written as fractions, what is none or too large is refused by name")
    def test_a_069(self):
        pod = self.pod()
        for number in ("16001.0", "1.6e4", "160010e-1"):
            with self.subTest(number=number):
                self.add(pod, stdin=with_member(f'"proxyPort":{number}', ours(pod)))
                self.assertRegex(state(pod, RULES), r"to-ports 1600[01]|:1600[01]\b")
        for number in ("1e400", "-0", "-0.0", "1e-400", "9223372036854775808", "1.5", "65536", "-1"):
            with self.subTest(number=number):
                self.refused("ADD", with_member(f'"proxyPort":{number}', ours(pod)), (6, 7), pod=pod)

    @case("A-070", "a key of ours with a value of another type is refused by name, by DEL only told")
    def test_a_070(self):
        for key, value in OTHER_TYPES:
            with self.subTest(key=key):
                pod = self.pod()
                self.add(pod)
                document = ours(pod, **{key: value})
                needles = (key, json.dumps(value).strip('"')) if value else (key,)
                for command in ("ADD", "CHECK"):
                    self.refused(command, document, 7, *needles, pod=pod)
                self.assertIn(key, self.delete(pod, document).stderr)

    @case("A-071", "a key that nobody knows is told and changes nothing; there is no mode in which it fails")
    def test_a_071(self):
        pod = self.pod()
        outcome = self.add(pod, ours(pod, proxyProt=15009))
        self.assertRegex(outcome.stderr, 'warn: .*"proxyProt" is unknown')
        self.assert_as(pod)

    @case("A-072", "members of other plugins are ignored whatever they are")
    def test_a_072(self):
        pod = self.pod()
        self.add(pod, ours(pod, capabilities=["x"], ipam="x", dns="x", args="x"))
        self.delete(pod, ours(pod, capabilities="x", ipam=5, dns=[], args=None))

    @case("A-073", "runtimeConfig is an object; null and an empty one are as if there were none")
    def test_a_073(self):
        pod = self.pod()
        for value in ("x", ["x"], 5, True):
            self.refused("ADD", ours(pod, runtimeConfig=value), 7, "runtimeConfig", pod=pod)
        texts = {self.call("ADD", ours(pod, runtimeConfig=value), pod).stdout for value in (ABSENT, None, {})}
        self.assertEqual(len(texts), 1)
        for value in (ABSENT, None, {}):
            with self.many(pod):
                document = ours(pod, runtimeConfig=value, onMissingAnnotations="pass")
                self.passes(document, pod)

    @case("A-074", "the network's name is needed, a string, and made of letters, digits and _.- alone")
    def test_a_074(self):
        pod = self.pod()
        for command in ("ADD", "DEL", "CHECK"):
            for value in (ABSENT, "", None):
                self.refused(command, ours(pod, name=value), 7, "name", pod=pod)
            for value in (5, True, [], {}):
                self.refused(command, ours(pod, name=value), 6, "name", pod=pod)
            for value in ILL_FORMED_NAMES:
                self.refused(command, ours(pod, name=value), 7, "name", pod=pod)

    @case("A-075", "a name of 64 KiB is accepted")
    def test_a_075(self):
        pod = self.pod()
        self.add(pod, ours(pod, name="n" * 65536))
        self.delete(pod, ours(pod, name="n" * 65536))

    @case("A-076", "type need not be the program's name")
    def test_a_076(self):
        pod = self.pod()
        for value in ("other", ABSENT, "", 5, "../x"):
            self.add(pod, ours(pod, type=value))

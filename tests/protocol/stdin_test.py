# SPDX-License-Identifier: GPL-2.0-or-later
"""The document on stdin: JSON as such, name and cniVersion, sizes and depths."""

import json

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import ABSENT, VERSIONS, conf, mesh_conf, prev_result
from tests.protocol.runtime import run

MEBI = 1 << 20
# Each is a member of an otherwise good document.
BAD_MEMBERS = (
    "/* c */ \"x\":1", "'x':1", '"x":NaN', '"x":Infinity', '"x":0x10', '"x":+1', '"x":01', '"x":.5', '"x":1.',
    '"x":[1,]', '"x":"a\tb"', '"x":"a\nb"', '"x":"\\x41"', '"x":tru', '"x"', '"x":1,',
)  # fmt: skip
BAD_VERSIONS = (
    "1", "1.0", "0.1", "v1.0.0", "01.0.0", "1.0.0 ", "1.0.0-rc1", "1.0.0+b", "-1.0.0", "abc", "1.0.0.0",
    "99999999999999999999.0.0", "1.2.0", "2.0.0", "9.9.9",
)  # fmt: skip


def with_member(member, document=None):
    """The text of a document with a raw member put in front."""
    return "{" + member + "," + json.dumps(document or conf())[1:]


class Json(PluginCase):
    def assert_undecodable(self, stdin):
        for command in ("ADD", "DEL"):
            self.assert_error(run(command, stdin), 6)

    def test_nothing_at_all(self):
        for stdin in (b"", b" \n\t "):
            self.assert_undecodable(stdin)

    def test_not_an_object(self):
        for stdin in (b"[]", b'"x"', b"1", b"true"):
            with self.subTest(stdin=stdin):
                self.assert_undecodable(stdin)

    def test_nothing_in_it(self):
        for stdin in (b"null", b"{}"):
            with self.subTest(stdin=stdin):
                self.assert_error(run("ADD", stdin), 7, "name")

    def test_json_is_strict(self):
        for member in BAD_MEMBERS:
            with self.subTest(member=member):
                self.assert_undecodable(with_member(member))

    def test_nothing_but_blanks_may_follow(self):
        document = conf()
        text = json.dumps(document)
        for end in ("x", "{}", "\0", ","):
            with self.subTest(end=end):
                self.assert_undecodable(text + end)
        for end in ("\n", " ", "\t", "\r\n"):
            self.assert_passed(run("ADD", text + end), document)

    def test_other_encodings(self):
        text = json.dumps(conf())
        self.assert_undecodable(b"\xef\xbb\xbf" + text.encode())
        self.assert_undecodable(text.encode("utf-16"))

    def test_every_truncation_is_refused(self):
        text = json.dumps(conf())
        for end in range(0, len(text), 6):
            with self.subTest(end=end):
                self.assert_error(run("ADD", text[:end]), 6)

    def test_a_document_as_numbers_of_any_form(self):
        for number in ("-0", "1e-400", "9223372036854775808", "1e25", "12345678901234567890"):
            with self.subTest(number=number):
                self.assert_passed(run("ADD", with_member(f'"x":{number}')), conf())


class Text(PluginCase):
    def test_ill_formed_utf8_is_refused_or_ignored_where_unused(self):
        outcome = run("ADD", with_member('"x":"@"').encode().replace(b"@", b"\xff\xc3("))
        if outcome.rc == 0:
            self.assert_passed(outcome, conf())
        else:
            self.assert_error(outcome, 6)

    def test_ill_formed_utf8_in_the_name_gives_a_well_formed_error(self):
        stdin = json.dumps(conf(name="a@b")).encode().replace(b"@", b"\xff")
        self.assert_error(run("ADD", stdin), (6, 7))

    def test_surrogates(self):
        outcome = run("ADD", with_member(r'"x":"\ud800"'))
        self.assertTrue(outcome.rc == 0 or self.assert_error(outcome, 6))
        document = conf(prevResult={**prev_result(), "x-pair": "😀", "x-escaped": "<&>\u2028\u007f\u0001\"\\"})
        self.assert_passed(run("ADD", document), document)

    def test_nul_in_the_name(self):
        self.assert_error(run("ADD", conf(name="a\0b")), 7, "name")

    def test_strange_keys_are_ignored(self):
        document = conf(**{"": 1, "a\0b": 2, "__proto__": 3, "k" * 65536: 4})
        self.assert_passed(run("ADD", document), document)


class Duplicates(PluginCase):
    def test_the_last_of_equal_keys_counts(self):
        self.assert_passed(run("ADD", with_member('"cniVersion":"9.9.9"')), conf())
        bad_last = json.dumps(conf())[:-1] + ',"cniVersion":"9.9.9"}'
        self.assert_error(run("ADD", bad_last), 1)

    def test_the_last_result_is_the_one_passed_on(self):
        other = json.dumps({"cniVersion": "1.1.0", "x-first": 1})
        self.assert_passed(run("ADD", with_member(f'"prevResult":{other}')), conf())

    def test_keys_are_matched_in_any_case(self):
        spellings = {"cniVersion": "CNIVERSION", "name": "NAME", "prevResult": "PrevResult"}
        document = {spellings.get(key, key): value for key, value in conf().items()}
        self.assert_result(run("ADD", document), prev_result())

    def test_the_exact_spelling_wins(self):
        for other in ("CNIVersion", "cniversion"):
            self.assert_passed(run("ADD", conf(**{other: "9.9.9"})), conf())
            self.assert_passed(run("ADD", with_member(f'"{other}":"9.9.9"')), conf())


class Name(PluginCase):
    def test_a_missing_name(self):
        for command in ("ADD", "DEL", "CHECK", "STATUS", "GC"):
            for value in (ABSENT, "", None):
                with self.subTest(command=command, value=value):
                    self.assert_error(run(command, conf(name=value)), 7, "name")

    def test_a_name_of_another_type(self):
        for value in (5, True, [], {}):
            with self.subTest(value=value):
                self.assert_error(run("ADD", conf(name=value)), 6, "name")

    def test_an_ill_formed_name(self):
        for value in ("a/b", "../a", "-a", "a b", "a\n", "é"):
            with self.subTest(value=value):
                self.assert_error(run("ADD", conf(name=value)), 7, "name")

    def test_the_name_is_checked_before_the_version(self):
        self.assert_error(run("ADD", conf("9.9.9", name="")), 7, "name")

    def test_a_long_name_is_accepted(self):
        document = conf(name="n" * 65536, type=ABSENT)
        self.assert_passed(run("ADD", document), document)


class Version(PluginCase):
    def test_another_type(self):
        for value in (1, 1.0, [], {}, True):
            with self.subTest(value=value):
                self.assert_error(run("ADD", conf(cniVersion=value)), 6, "cniVersion")

    def test_unsupported_versions(self):
        for value in BAD_VERSIONS:
            with self.subTest(value=value):
                error = self.assert_error(run("ADD", conf(cniVersion=value)), 1, value, *VERSIONS, version="1.1.0")
                self.assertIn("incompatible CNI versions", error["msg"])
                self.assert_error(run("DEL", conf(cniVersion=value)), 1)
                self.assert_error(run("CHECK", conf(cniVersion=value)), (1, 6))

    def test_errors_carry_the_version_of_the_configuration(self):
        for version in VERSIONS:
            outcome = run("ADD", conf(version, prevResult=ABSENT))
            self.assert_error(outcome, 7, version=version)

    def test_verbs_have_their_first_version(self):
        for command, first in (("CHECK", "0.4.0"), ("STATUS", "1.1.0"), ("GC", "1.1.0")):
            for version in VERSIONS:
                with self.subTest(command=command, version=version):
                    outcome = run(command, conf(version))
                    if version < first:
                        self.assert_error(outcome, 1, f"config version does not allow {command}")
                    else:
                        self.assert_success_silent(outcome)


class Size(PluginCase):
    def test_depth(self):
        for depth in (100, 1000):
            self.assert_passed(run("ADD", with_member('"x":' + "[" * depth + "]" * depth)), conf())
        for depth in (1100, 9000, 100000):
            with self.subTest(depth=depth):
                self.assert_error(run("ADD", with_member('"x":' + "[" * depth + "]" * depth)), 6)

    def test_depth_that_never_ends(self):
        self.assert_error(run("ADD", b"[" * 1000000), 6)
        self.assert_error(run("ADD", b'{"a":' * 100000), 6)

    def test_sixteen_mebibytes_are_accepted(self):
        document = conf(x="y" * (16 * MEBI))
        outcome = run("ADD", document)
        self.assert_passed(outcome, document)
        self.assertLess(outcome.seconds, 5)

    def test_too_much_is_refused(self):
        self.assert_error(run("ADD", b" " * (65 * MEBI), timeout=20), 7, "large")

    def test_an_endless_stdin_takes_bounded_memory(self):
        with open("/dev/zero", "rb") as endless:
            limit = ("prlimit", f"--as={512 * MEBI}")
            self.assert_error(run("ADD", endless, wrap=limit, timeout=20), (5, 6, 7))

    def test_many_keys(self):
        keys = ",".join(f'"k{number}":{number}' for number in range(100000))
        outcome = run("ADD", with_member(keys))
        self.assert_passed(outcome, conf())
        self.assertLess(outcome.seconds, 3)

    def test_refusals_change_nothing(self):
        pod = self.pod()
        text = json.dumps(mesh_conf(pod))
        with self.unchanged(pod):
            for stdin in (text[:-1], text + "x", text.replace('"podnet"', '"a b"'), text.replace("1.1.0", "1.2.0")):
                self.assertEqual(run("ADD", stdin, pod).rc, 1)

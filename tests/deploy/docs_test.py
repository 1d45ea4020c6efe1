# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the manuals work as they are typed: every namespace is there, every value is known."""

import re
import shlex
import unittest

import jsonschema

from tests.deploy.chart import ROOT, merged_values, of_kind, objects
from tests.deploy.values_test import SCHEMA, nested, overlay

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
ADMITS = "pod-security.kubernetes.io/enforce=privileged"


def blocks(text):
    """Each block of code as its commands; what stands in a line of text is a block of its own."""
    fenced = re.findall(r"^ *```\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    without = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in [*fenced, *(" ".join(one.split()) for one in re.findall(r"`([^`]+)`", without))]:
        joined = re.sub(r"\\\n\s*", "", block)
        try:
            yield [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]
        except ValueError:
            continue  # an output, or the middle of a sentence


def option(words, *names):
    return next((words[words.index(name) + 1] for name in names if name in words), None)


def settings(words):
    """The values that --set gives, as Helm reads them."""
    values = {}
    for at, word in enumerate(words):
        if word != "--set":
            continue
        path, _, text = words[at + 1].partition("=")
        keys = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", path)]
        value = text[1:-1].split(",") if text.startswith("{") else {"true": True, "null": None}.get(text, text)
        values = overlay(values, nested(keys, value))
    return values


def releases(verb):
    """(page, commands before it, words) of each `helm VERB` of our chart."""
    for page in PAGES:
        for block in blocks(page.read_text()):
            for at, words in enumerate(block):
                if words[:2] == ["helm", verb] and "deploy/chart/sluice" in words:
                    yield page.name, block[:at], words


class Commands(unittest.TestCase):
    def test_a_release_finds_its_namespace_and_its_image(self):
        found = list(releases("install"))
        self.assertGreater(len(found), 3)
        for page, before, words in found:
            with self.subTest(page=page, command=" ".join(words)):
                namespace = option(words, "-n", "--namespace")
                created = ["kubectl", "create", "namespace", namespace]
                labelled = ["kubectl", "label", "namespace", namespace, ADMITS]
                heads = [one[:5] for one in before]
                self.assertIn(created, [one[:4] for one in heads])
                self.assertIn(labelled, heads[[one[:4] for one in heads].index(created):])
                self.assertIn("repository", settings(words).get("image", {}))

    def test_the_values_are_the_charts(self):
        for verb in ("install", "upgrade"):
            for page, _, words in releases(verb):
                with self.subTest(page=page, command=" ".join(words)):
                    values = settings(words)
                    jsonschema.Draft7Validator(SCHEMA).validate(merged_values(values))
                    self.assertIsNotNone(of_kind(objects(values), "DaemonSet"))

    def test_only_a_release_that_is_there_has_values_to_use_again(self):
        for page, _, words in releases("upgrade"):
            self.assertFalse({"--install", "--reuse-values"} <= set(words), page)


if __name__ == "__main__":
    unittest.main()

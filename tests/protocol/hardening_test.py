# SPDX-License-Identifier: GPL-2.0-or-later
"""How the shipped plugin is linked, from the headers of its ELF file: elf(5)."""

import json
import re
import struct
import unittest

from tests.protocol.runtime import PLUGIN, ROOT

COMMANDS = ROOT / "build/release/compile_commands.json"

ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
PF_X, PF_W = 1, 2
DT_NEEDED, DT_TEXTREL, DT_FLAGS, DT_FLAGS_1 = 1, 22, 30, 0x6FFFFFFB
DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 8, 1, 0x08000000


class Elf:
    """A 64-bit little-endian file."""

    def __init__(self, data):
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.data = data
        self.type = struct.unpack_from("<H", data, 16)[0]
        offset = struct.unpack_from("<Q", data, 32)[0]
        size, count = struct.unpack_from("<HH", data, 54)
        # (type, flags, offset, virtual address, physical address, size in the file, size in memory, alignment)
        self.segments = [struct.unpack_from("<IIQQQQQQ", data, offset + size * number) for number in range(count)]

    def flags(self, kind):
        return [segment[1] for segment in self.segments if segment[0] == kind]

    def dynamic(self):
        """Its tags with their values."""
        found = {}
        for kind, _, offset, _, _, size, _, _ in self.segments:
            if kind == PT_DYNAMIC:
                for place in range(offset, offset + size, 16):
                    tag, value = struct.unpack_from("<qQ", self.data, place)
                    found.setdefault(tag, value)
        return found


def weaknesses(elf):
    dynamic = elf.dynamic()
    found = []
    if elf.type != ET_DYN or not dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE:
        found.append("loaded at a fixed address")
    if elf.flags(PT_INTERP) or DT_NEEDED in dynamic:
        found.append("needs other files of the host")
    if not elf.flags(PT_GNU_RELRO):
        found.append("no RELRO")
    if not (dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW or dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW):
        found.append("RELRO is not full")
    if any(flags & PF_X for flags in elf.flags(PT_GNU_STACK)) or not elf.flags(PT_GNU_STACK):
        found.append("executable stack")
    if any(flags & PF_X and flags & PF_W for flags in elf.flags(PT_LOAD)):
        found.append("memory that is writable and executable")
    if DT_TEXTREL in dynamic:
        found.append("relocations in the text")
    return found


class Hardening(unittest.TestCase):
    def test_the_plugin_has_no_weakness(self):
        with open(PLUGIN, "rb") as file:
            self.assertEqual(weaknesses(Elf(file.read())), [])

    def test_the_stack_is_protected_and_calls_are_checked(self):
        # The program does not tell: the C library in it has both checks, whatever became of ours.
        with open(COMMANDS) as file:
            commands = [entry["command"] for entry in json.load(file)]
        ours = [command for command in commands if re.search(r"/(rules|cni|cmd)/\S+\.(cc|cxx)$", command)]
        self.assertGreater(len(ours), 5)
        for command in commands:
            words = command.split()
            for flag in ("-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-O2", "-fPIE"):
                self.assertIn(flag, words)
            for flag in ("-fno-stack-protector", "-D_FORTIFY_SOURCE=0", "-O0"):
                self.assertNotIn(flag, words)

    def test_weaknesses_are_seen(self):
        header = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<H", ET_EXEC) + bytes(14) + struct.pack("<Q", 64)
        header += bytes(14) + struct.pack("<HH", 56, 3) + bytes(6)
        segments = [(PT_LOAD, PF_X | PF_W), (PT_GNU_STACK, PF_X | PF_W), (PT_INTERP, 0)]
        data = header + b"".join(struct.pack("<IIQQQQQQ", kind, flags, *[0] * 6) for kind, flags in segments)
        self.assertEqual(
            weaknesses(Elf(data)),
            ["loaded at a fixed address", "needs other files of the host", "no RELRO", "RELRO is not full",
             "executable stack", "memory that is writable and executable"],
        )  # fmt: skip
        with self.assertRaises(ValueError):
            Elf(b"#!/bin/sh\n")

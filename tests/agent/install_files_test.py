# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent keeps of a file that it replaces, what it makes of a single plugin's, and where it writes nothing."""

import json
import os
import unittest

from tests.agent.installation import (
    BLOCKED, BRIDGE, CALICO, FAILED, INSTALLED, OURS, WAITING, WRITTEN, Installation)


class SinglePlugins(Installation):
    def check_converted(self, source, target="10-bridge.conflist"):
        self.assertEqual(self.node.names(), [target])
        document = json.loads(self.node.text(target))
        plugin = json.loads(source)
        self.assertEqual(document, {"cniVersion": plugin["cniVersion"], "name": plugin["name"],
                                    "plugins": [plugin, WRITTEN]})
        self.assertIn(source.strip(), self.node.text(target))

    def test_a_conf_becomes_a_list_of_the_same_network(self):
        path = self.node.write("10-bridge.conf", BRIDGE)
        os.chmod(path, 0o600)
        os.chown(path, 1234, 4321)
        self.check(INSTALLED, says="10-bridge.conflist")
        self.check_converted(BRIDGE)
        status = (self.node.net / "10-bridge.conflist").stat()
        self.assertEqual((status.st_mode & 0o7777, status.st_uid, status.st_gid), (0o600, 1234, 4321))
        self.check_untouched(INSTALLED)

    def test_a_json_file_becomes_a_list_too(self):
        self.node.write("10-bridge.json", BRIDGE)
        self.check(INSTALLED)
        self.check_converted(BRIDGE)

    def test_a_conf_without_a_name_is_blocked(self):
        self.node.write("10-bridge.conf", '{"type":"bridge"}')
        self.check_untouched(BLOCKED, says="name")

    def test_what_a_killed_conversion_left_is_completed(self):
        for ending in (".conf", ".json"):
            self.node.write("10-bridge" + ending, BRIDGE)
            self.check(INSTALLED)
            self.node.write("10-bridge" + ending, BRIDGE)
            self.check(INSTALLED, says="wrote the configuration")
            self.check_converted(BRIDGE)

    def test_it_is_completed_also_where_the_list_is_named(self):
        self.node.write("10-bridge.conf", BRIDGE)
        self.check(INSTALLED)
        self.node.write("10-bridge.conf", BRIDGE)
        self.check(INSTALLED, "--conf-file", "10-bridge.conflist", says="wrote the configuration")
        self.check_converted(BRIDGE)

    def test_a_list_of_others_is_not_overwritten(self):
        self.node.write("10-bridge.conf", BRIDGE)
        for text in (CALICO, '{"name":"bridge-net","plugins":[' + BRIDGE + "]}", "{", ""):
            self.node.write("10-bridge.conflist", text)
            self.check_untouched(BLOCKED, says="in the way")

    def test_a_file_system_that_cannot_rename_without_replacing(self):
        self.node.write("10-bridge.conf", BRIDGE)
        strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL"]
        os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
        self.addCleanup(os.environ.pop, "ASAN_OPTIONS")
        self.check(INSTALLED, wrapper=strace)
        self.check_converted(BRIDGE)


class Metadata(Installation):
    def test_mode_owner_and_attributes_stay(self):
        path = self.node.write("10-calico.conflist", CALICO)
        os.chown(path, 1234, 4321)
        os.chmod(path, 0o640)
        attributes = {"trusted.sluice-test": b"a\0b", "security.selinux": b"system_u:object_r:etc_t:s0\0"}
        for name, value in attributes.items():
            os.setxattr(path, name, value)
        self.check(INSTALLED)
        self.assertTrue(self.node.has_entry("10-calico.conflist"))
        status = path.stat()
        self.assertEqual((status.st_mode & 0o7777, status.st_uid, status.st_gid), (0o640, 1234, 4321))
        for name, value in attributes.items():
            self.assertEqual(os.getxattr(path, name), value)

    def test_a_symlink_in_the_directory_is_followed(self):
        self.node.write("calico.generated", CALICO)
        for target in ("calico.generated", "./calico.generated", str(self.node.net / "calico.generated")):
            link = self.node.net / "10-calico.conflist"
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self.node.write("calico.generated", CALICO)
            self.check(INSTALLED)
            self.assertEqual(os.readlink(link), target)
            self.assertEqual(json.loads(self.node.text("calico.generated")), self.added(CALICO))

    def test_a_symlink_out_of_the_directory_is_blocked(self):
        outside = self.node.root / "outside.conflist"
        outside.write_text(CALICO)
        for target in (str(outside), "../../../outside.conflist", "../net.d/../net.d/../outside"):
            link = self.node.net / "10-calico.conflist"
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self.check_untouched(BLOCKED, says="leaves its directory")
        self.assertEqual(outside.read_text(), CALICO)

    def test_symlinks_to_nothing_and_in_a_circle(self):
        link = self.node.net / "10-calico.conflist"
        link.symlink_to("nothing")
        self.check_untouched(WAITING, says="symlink to nothing")
        (self.node.net / "nothing").symlink_to("10-calico.conflist")
        self.check_untouched(BLOCKED, says="symlink")


class Refusals(Installation):
    def mounted(self, script):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + '\nexec "$0" "$@"']

    def test_a_read_only_configuration_directory(self):
        self.node.write("10-calico.conflist", CALICO)
        read_only = self.mounted(f"mount --bind {self.node.net} {self.node.net}; mount -o remount,ro,bind {self.node.net}")
        self.check(FAILED, says=str(self.node.net), wrapper=read_only)
        self.assertEqual(self.node.text("10-calico.conflist"), CALICO)
        self.assertEqual(self.node.install()[0], INSTALLED)
        # Nothing to be written: nothing to fail.
        self.check(INSTALLED, wrapper=read_only)

    def test_a_read_only_bin_directory_adds_no_entry(self):
        self.node.write("10-calico.conflist", CALICO)
        read_only = self.mounted(f"mount --bind {self.node.bin} {self.node.bin}; mount -o remount,ro,bind {self.node.bin}")
        self.check(FAILED, says=str(self.node.bin), wrapper=read_only)
        self.assertEqual(self.node.text("10-calico.conflist"), CALICO)

    def test_a_full_disk_leaves_the_file_whole(self):
        outside = self.node.root / "seen"
        full = self.mounted(
            f"mount -t tmpfs -o size=64k none {self.node.net}\n"
            f"head -c 16000 /dev/zero | tr '\\0' ' ' >{self.node.net}/10-calico.conflist\n"
            f"cat {self.node.root}/calico >>{self.node.net}/10-calico.conflist\n"
            f"cat /dev/zero >{self.node.net}/filler 2>/dev/null || true\n"
            f'"$0" "$@" && exit 9 || code=$?; ls -A {self.node.net} >{outside}\n'
            f"tail -c +16001 {self.node.net}/10-calico.conflist >>{outside}; exit $code")
        (self.node.root / "calico").write_text(CALICO)
        self.check(FAILED, says="No space left", wrapper=full)
        self.assertEqual(outside.read_text(), "10-calico.conflist\nfiller\n" + CALICO)

    def test_a_directory_in_the_place_of_the_program(self):
        (self.node.bin / OURS).mkdir()
        self.node.write("10-calico.conflist", CALICO)
        self.check_untouched(FAILED, says="directory")

    def test_a_plugin_that_is_not_there(self):
        self.node.plugin.unlink()
        self.node.write("10-calico.conflist", CALICO)
        self.check_untouched(FAILED, says=str(self.node.plugin))
        self.node.plugin.write_bytes(b"")
        self.check_untouched(FAILED, says="not a program")


if __name__ == "__main__":
    unittest.main()

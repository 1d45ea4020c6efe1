# SPDX-License-Identifier: GPL-2.0-or-later
"""One pass of the agent in every kind of configuration directory that was seen in the field."""

import json
import os
import subprocess
import unittest

from tests.agent.installation import (
    BLOCKED, BRIDGE, CALICO, CILIUM, FAILED, INSTALLED, OURS, WAITING, WRITTEN, Installation, Node)


class Directories(Installation):
    def test_an_empty_directory_is_waited_for_and_stays_empty(self):
        self.check(WAITING, says="no network configuration")
        self.assertEqual(self.node.names(), [])
        self.assertEqual((self.node.bin / OURS).read_bytes(), self.node.plugin.read_bytes())
        self.assertEqual((self.node.bin / OURS).stat().st_mode & 0o7777, 0o755)

    def test_an_absent_directory_is_waited_for_and_not_made(self):
        self.node.net.rmdir()
        self.check_absent(self.node.net, says="does not exist")

    def check_absent(self, path, says):
        code, line = self.node.install()
        self.assertEqual(code, WAITING, line)
        self.assertIn(says, line)
        self.assertFalse(path.exists())

    def test_a_directory_and_file_that_appear_later_are_taken(self):
        self.node.net.rmdir()
        self.check_absent(self.node.net, says="does not exist")
        self.node.net.mkdir()
        self.check(WAITING)
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED, says="wrote the configuration")
        self.assertEqual(json.loads(self.node.text("10-calico.conflist")), self.added(CALICO))

    def test_an_absent_bin_directory_is_not_made_and_no_entry_added(self):
        self.node.bin.rmdir()
        self.node.write("10-calico.conflist", CALICO)
        self.check_absent(self.node.bin, says="does not exist")
        self.assertEqual(self.node.text("10-calico.conflist"), CALICO)

    def test_k3s_directories(self):
        node = Node("var/lib/rancher/k3s/agent/etc/cni/net.d", "var/lib/rancher/k3s/data/cni")
        self.addCleanup(node.close)
        node.write("10-flannel.conflist", CALICO)
        self.assertEqual(node.install()[0], INSTALLED)
        self.assertTrue(node.has_entry("10-flannel.conflist"))
        self.assertTrue((node.bin / OURS).exists())

    def test_what_is_no_configuration_is_left_alone(self):
        self.node.write("calico-kubeconfig", "token")
        self.node.write("00-old.conflist.bak", CALICO)
        (self.node.net / "00-dir.conflist").mkdir()
        (self.node.net / "00-dir.conflist" / "x.conf").write_text(BRIDGE)
        self.check(WAITING, says="no network configuration")
        self.node.write("10-b.conflist", CALICO)
        self.node.write("10-a.conflist", CALICO)
        self.check(INSTALLED, says="10-a.conflist")
        self.assertEqual(self.node.text("10-b.conflist"), CALICO)

    def test_names_are_in_byte_order(self):
        for name in ("9-z.conflist", "10-a.conflist", "A.conflist"):
            self.node.write(name, CALICO)
        self.check(INSTALLED, says="10-a.conflist")

    def test_multus_is_left_alone(self):
        multus = '{"name":"multus-cni-network","type":"multus","clusterNetwork":"/etc/cni/net.d/10-calico.conflist"}'
        self.node.write("00-multus.conf", multus)
        self.check(WAITING, says="multus")
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED, says="10-calico.conflist")
        self.assertEqual(self.node.text("00-multus.conf"), multus)
        self.check_untouched(BLOCKED, "--conf-file", "00-multus.conf", says="multus")


class NamedFiles(Installation):
    def test_the_named_file_is_taken_though_another_is_first(self):
        self.node.write("05-cilium.conflist", CILIUM)
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED, "--conf-file", "10-calico.conflist")
        self.assertEqual(self.node.text("05-cilium.conflist"), CILIUM)
        self.assertTrue(self.node.has_entry("10-calico.conflist"))

    def test_the_named_file_is_found_under_its_other_ending(self):
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED, "--conf-file", "10-calico.conf", says="10-calico.conflist")

    def test_the_named_file_is_waited_for(self):
        self.node.write("05-cilium.conflist", CILIUM)
        self.check_untouched(WAITING, "--conf-file", "10-calico.conflist", says="10-calico.conflist")

    def test_what_is_not_a_name_is_refused(self):
        for name in ("../10-calico.conflist", "10-calico", "/etc/passwd"):
            self.check_untouched(FAILED, "--conf-file", name, says=name)


class BrokenFiles(Installation):
    def test_an_invalid_first_file_is_waited_for_and_no_other_taken(self):
        self.node.write("05-x.conflist", '{"name": "x", "plugins": ]}')
        self.node.write("10-calico.conflist", CALICO)
        self.check_untouched(WAITING, says="05-x.conflist")

    def test_an_empty_first_file_is_waited_for(self):
        self.node.write("05-x.conflist", "")
        self.node.write("10-calico.conflist", CALICO)
        self.check_untouched(WAITING, says="is empty")

    def test_a_file_is_waited_for_until_it_is_written_to_its_end(self):
        for length in range(1, len(CALICO) - 2):
            self.node.write("10-calico.conflist", CALICO[:length])
            if length % 40 == 0:
                self.check_untouched(WAITING, says="10-calico.conflist")
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED)

    def test_comments_and_a_byte_order_mark_are_refused(self):
        for text in ("// generated\n" + CALICO, "\ufeff" + CALICO, CALICO + "\0", CALICO + "{}"):
            self.node.write("10-calico.conflist", text)
            self.check_untouched(WAITING, says="10-calico.conflist")

    def test_a_file_over_the_limit_is_blocked(self):
        self.node.write("10-calico.conflist", CALICO + " " * (1 << 20))
        self.check_untouched(BLOCKED, says="1 MiB")
        self.node.write("10-calico.conflist", CALICO + " " * ((1 << 20) - len(CALICO) - 1000))
        self.check(INSTALLED)

    def test_a_fifo_holds_nobody_up(self):
        os.mkfifo(self.node.net / "05-x.conflist")
        self.check_untouched(BLOCKED, says="not a regular file")

    def test_a_json_file_with_a_list_is_waited_for(self):
        self.node.write("10-calico.json", CALICO)
        self.check_untouched(WAITING, says=".conflist only")

    def test_a_list_of_nothing_but_ours_is_no_network(self):
        self.node.write("10-x.conflist", '{"name":"x","plugins":[{"type":"sluice-cni"}]}')
        self.check_untouched(WAITING, says="no plugin but ours")


class Texts(Installation):
    def test_what_is_not_ours_keeps_its_bytes(self):
        text = ('{"name":"n", "x": 12345678901234567890123, "x": 1e25,\n\t"plugins" : [ {"type":"a", "n":9007199254740993,'
                '"dup":1,"dup":2, "u":"\\u00e9<&>"}\t],"plug": null, "cniVersion":"0.3.1"}')
        self.node.write("10-x.conflist", text)
        self.check(INSTALLED)
        after = self.node.text("10-x.conflist")
        cut = text.index('}\t]') + 1
        self.assertTrue(after.startswith(text[:cut]))
        self.assertTrue(after.endswith(text[cut:]))
        self.assertEqual(json.loads(after)["plugins"][1], WRITTEN)
        self.assertEqual(self.node.uninstall()[0], 0)
        self.assertEqual(self.node.text("10-x.conflist"), text)

    def test_a_second_pass_touches_nothing(self):
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED, says="wrote the plugin; wrote the configuration")
        binary = (self.node.bin / OURS).stat()
        self.assertNotIn("wrote", self.check_untouched(INSTALLED))
        self.assertEqual((self.node.bin / OURS).stat().st_mtime_ns, binary.st_mtime_ns)

    def test_our_entry_twice_in_the_middle_and_older(self):
        self.node.write("10-x.conflist", '{"name":"n","plugins":[{"type":"a"},{"type":"sluice-cni","old":1},{"type":"b"},'
                        '{"type":"sluice-cni"},{"type":"c"}]}')
        self.check(INSTALLED)
        plugins = json.loads(self.node.text("10-x.conflist"))["plugins"]
        self.assertEqual([plugin["type"] for plugin in plugins], ["a", OURS, "b", "c"])
        self.assertEqual(plugins[1], WRITTEN)

    def test_istio_in_the_list_is_waited_for(self):
        text = '{"name":"n","plugins":[{"type":"a"},{"type":"istio-cni"}]}'
        self.node.write("10-x.conflist", text)
        self.check_untouched(BLOCKED, says="istio-cni")
        self.node.write("10-x.conflist", text.replace("]", ',{"type":"sluice-cni"}]'))
        self.check_untouched(BLOCKED, says="beside ours")

    def test_istio_is_replaced_when_asked_for(self):
        self.node.write("10-x.conflist", '{"name":"n","plugins":[{"type":"a"},{"type":"istio-cni"},{"type":"b"},{"type":"istio-cni"}]}')
        self.check(INSTALLED, "--migrate")
        self.assertEqual(self.node.types("10-x.conflist"), ["a", OURS, "b"])

    def test_an_entry_that_is_none_changes_nothing(self):
        self.node.write("10-calico.conflist", CALICO)
        for text in ("", "[]", "1", '{"type":"other"}', "{", '{"excludeNamespace":["a"]}', '{"proxyPort":0}',
                     '{"agent":{"socket":"/run/x"}}'):
            self.node.entry.write_text(text)
            code, line = self.node.install()
            self.assertEqual(code, FAILED, line)
            self.assertIn("entry", line)
            self.assertEqual(self.node.text("10-calico.conflist"), CALICO)
        self.assertFalse((self.node.bin / OURS).exists())

    def test_flags_may_come_from_the_environment(self):
        self.node.write("10-calico.conflist", CALICO.replace("portmap", "istio-cni"))
        environment = {**os.environ, "SLUICE_PLUGIN": str(self.node.plugin), "SLUICE_BIN_DIR": str(self.node.bin),
                       "SLUICE_CONF_DIR": str(self.node.net), "SLUICE_ENTRY": str(self.node.entry),
                       "SLUICE_CONF_FILE": "10-calico.conf", "SLUICE_MIGRATE": "true"}
        done = subprocess.run(self.node.command()[:2], env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, INSTALLED, done.stdout + done.stderr)
        self.assertEqual(self.node.types("10-calico.conflist"), ["calico", OURS])


class Binary(Installation):
    def test_a_program_that_runs_is_replaced_and_runs_on(self):
        self.node.write("10-calico.conflist", CALICO)
        self.check(INSTALLED)
        running = subprocess.Popen([self.node.bin / OURS], env={"CNI_COMMAND": "STATUS"}, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.node.plugin.write_bytes(self.node.plugin.read_bytes() + b"newer")
        self.check(INSTALLED, says="wrote the plugin")
        self.assertEqual((self.node.bin / OURS).read_bytes(), self.node.plugin.read_bytes())
        output, _ = running.communicate(b'{"cniVersion":"1.1.0","name":"n","type":"sluice-cni"}', timeout=60)
        self.assertIn(running.returncode, (0, 1), output)

    def test_same_size_other_content_other_mode_and_symlinks_are_replaced(self):
        target = self.node.bin / OURS
        good = self.node.plugin.read_bytes()
        target.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        target.chmod(0o755)
        self.check(WAITING, says="wrote the plugin")
        self.assertEqual(target.read_bytes(), good)
        target.chmod(0o644)
        self.check(WAITING, says="wrote the plugin")
        target.rename(self.node.bin / "elsewhere")
        target.symlink_to("elsewhere")
        self.check(WAITING, says="wrote the plugin")
        self.assertFalse(target.is_symlink())
        self.assertNotIn("wrote", self.check(WAITING))


class Uninstall(Installation):
    def uninstall(self, expected, says=""):
        code, line = self.node.uninstall()
        self.assertEqual(code, expected, line)
        self.assertIn(says, line)

    def test_the_entry_goes_from_every_file_and_the_program_stays(self):
        ours = '{"name":"n","plugins":[{"type":"a"},{"type":"sluice-cni"},{"type":"b"},{"type":"sluice-cni"}]}'
        for name in ("02-istio-cni.conflist", "10-calico.conflist", "20-x.conflist.cilium_bak"):
            self.node.write(name, ours)
        self.node.write("10-kept.conf", BRIDGE)
        self.node.write("30-broken.conflist", "{")
        self.check(INSTALLED)
        self.uninstall(0, says="removed")
        for name in ("02-istio-cni.conflist", "10-calico.conflist", "20-x.conflist.cilium_bak"):
            self.assertEqual(self.node.types(name), ["a", "b"])
        self.assertEqual(self.node.text("10-kept.conf"), BRIDGE)
        before = self.node.files()
        self.uninstall(0)
        self.assertEqual(self.node.files(), before)
        # A runtime deletes the pods that are there with the configuration that it has kept.
        for command, stdin in (("VERSION", '{"cniVersion":"1.0.0"}'),
                               ("DEL", json.dumps({"cniVersion": "1.0.0", "name": "n", "type": OURS}))):
            environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_PATH": str(self.node.bin)}
            done = subprocess.run([self.node.bin / OURS], env=environment, input=stdin, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_list_made_of_a_conf_stays_a_list(self):
        self.node.write("10-bridge.conf", BRIDGE)
        self.check(INSTALLED)
        self.uninstall(0)
        self.assertEqual(self.node.names(), ["10-bridge.conflist"])
        self.assertEqual(self.node.types("10-bridge.conflist"), ["bridge"])

    def test_a_list_is_never_emptied(self):
        path = self.node.write("10-x.conflist", '{"name":"n","plugins":[{"type":"sluice-cni"}]}')
        before = path.read_text()
        self.uninstall(BLOCKED, says="no plugin but ours")
        self.assertEqual(path.read_text(), before)

    def test_a_file_that_cannot_be_judged_is_told(self):
        self.node.write("10-x.conflist", '{"name":"n","plugins":[{"type":"a"},{"type":"sluice-cni"}')
        self.uninstall(BLOCKED, says="10-x.conflist")

    def test_no_directory_no_entry(self):
        self.node.net.rmdir()
        self.uninstall(0)


if __name__ == "__main__":
    unittest.main()

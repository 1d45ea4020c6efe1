# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: one pod, real connections before ADD, after ADD and after DEL.

Run as root from the repository: python3 -m tests.e2e.demo
"""

import signal
import subprocess
import sys
import time
from typing import Callable, Iterable, Mapping

from tests.e2e import cni, rows
from tests.e2e.live import LivePod
from tests.e2e.pod import V4, V6, Pod

CLI_SECONDS = 10
FAMILIES = (V4, V6)

PluginCall = Callable[[Pod, dict, dict], cni.Outcome]


class Story:
    """Prints as it goes and remembers whether all went as wanted."""

    def __init__(self) -> None:
        self.connections = 0
        self.complaints: list[str] = []

    def chapter(self, title: str) -> None:
        print(f"\n== {title}", flush=True)

    def table(self, pod: LivePod, table_rows: Iterable[rows.Row]) -> None:
        """Opens each connection of the table and prints where it landed."""
        lines = [("connection", "landed at", "as wanted?", "what this shows")]
        for row in table_rows:
            title = row.connection.title()
            wanted, landed = row.check(pod.land(row.connection))
            self.connections += 1
            if landed == wanted:
                verdict = "yes"
            else:
                verdict = "NO"
                self.complaints.append(f"{title}: landed at {landed}, wanted {wanted}")
            lines.append((title, landed, verdict, row.why))
        _print_columns(lines)

    def plugin(self, name: str, call: PluginCall, pod: Pod,
               annotations: Mapping[str, str] = rows.ANNOTATIONS) -> None:
        """Calls the plugin and says how it went."""
        started = time.perf_counter()
        outcome = call(pod, annotations, rows.CONFIG)
        milliseconds = (time.perf_counter() - started) * 1000
        if outcome.rc == 0:
            print(f"{name}: ok, {milliseconds:.1f} ms with the start of the process")
        else:
            print(f"{name}: FAILED\n{outcome.complaint()}")
            self.complaints.append(f"{name} failed")

    def rules(self, pod: Pod) -> None:
        """Prints the rules that the command line tool reads back from the pod."""
        done = subprocess.run(
            [cni.cli_path(), "read", "--netns", pod.netns], text=True, capture_output=True,
            timeout=CLI_SECONDS, check=False,
        )
        print(done.stdout.rstrip())
        if done.returncode != 0 or not done.stdout.strip():
            print(f"read: FAILED, rc {done.returncode}\n{done.stderr}")
            self.complaints.append("the rules could not be read back")

    def end(self) -> int:
        """The summary, and the exit status that goes with it."""
        if not self.complaints:
            print(f"\nAll {self.connections} connections landed as wanted.")
            return 0
        print(f"\n{len(self.complaints)} not as wanted:")
        for complaint in self.complaints:
            print(f"  {complaint}")
        return 1


def tell(story: Story, pod: LivePod) -> None:
    """The demo from first to last connection."""
    control = [row for family in FAMILIES for row in rows.control_rows(family)]

    story.chapter("Before ADD: no rules, so everything lands where it was sent")
    story.table(pod, control)

    story.chapter("ADD, as containerd calls the plugin")
    story.plugin("ADD", cni.add, pod)

    story.chapter("The rules now in the pod (sluice read)")
    story.rules(pod)

    for family in FAMILIES:
        story.chapter(f"After ADD, IP{family.name}")
        story.table(pod, rows.rows(family))

    story.chapter("CHECK, then DEL")
    story.plugin("CHECK", cni.check, pod)
    story.plugin("DEL", cni.delete, pod)

    story.chapter("After DEL: direct again")
    story.table(pod, control)

    story.chapter("The same pod with TPROXY and DNS capture, in Istio's order of rules")
    story.plugin("ADD", cni.add, pod, rows.TPROXY_ANNOTATIONS)
    for family in FAMILIES:
        story.table(pod, rows.tproxy_rows(family))
    story.plugin("DEL", cni.delete, pod, rows.TPROXY_ANNOTATIONS)
    story.table(pod, control)


def main() -> int:
    """Runs the demo; 0 only if every connection and every call went as wanted."""
    # A terminated demo ends like an interrupted one, so that its pod is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = Story()
    try:
        with LivePod() as pod:
            tell(story, pod)
        return story.end()
    except KeyboardInterrupt:
        print("interrupted; the pod is removed", file=sys.stderr)
        return 130
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"the demo could not run: {error}", file=sys.stderr)
        return 1


def _print_columns(lines: list[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*lines)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())

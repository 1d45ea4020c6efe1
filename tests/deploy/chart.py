# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders the chart with given values: tests/deploy/render, built once."""

import functools
import json
import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "chart" / "sluice"
PLATFORMS = ("default", "gke", "k3d", "k3s", "microk8s", "minikube", "openshift", "talos")
MODES = ("repair", "delete", "label", "report", "off")


class RenderError(Exception):
    """What the renderer says on stderr."""


@functools.cache
def renderer():
    """Debian's Go libraries lie in /usr/share/gocode, which only GOPATH mode reads."""
    program = ROOT / "build" / "deploy" / "render"
    program.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "GOPATH": "/usr/share/gocode",
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOCACHE": str(program.parent / "go-cache"),
    }
    source = ["go", "build", "-o", str(program), "./tests/deploy/render"]
    built = subprocess.run(source, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"{' '.join(source)}: {built.stderr}")
    return str(program)


def _run(values, *flags):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        done = subprocess.run(
            [renderer(), *flags, "-f", file.name, str(CHART)], capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return done.stdout


def render(values=None, **flags):
    """The text of all objects. Flags of the renderer: namespace="x" is -namespace x."""
    listed = [part for name, value in flags.items() for part in (f"-{name.replace('_', '-')}", value)]
    return _run(values or {}, *listed)


def objects(values=None, **flags):
    return list(yaml.safe_load_all(render(values, **flags)))


def notes(values=None, **flags):
    """What Helm prints after an installation."""
    listed = [part for name, value in flags.items() for part in (f"-{name.replace('_', '-')}", value)]
    return _run(values or {}, "-notes", *listed)


def merged_values(values=None):
    """What a template sees as .Values, and what the schema judges."""
    return json.loads(_run(values or {}, "-values"))


def default_values():
    return yaml.safe_load((CHART / "values.yaml").read_text())


def platform_values(platform):
    """The least that a user has to say."""
    if platform == "openshift":
        return {"platform": platform, "cniConfFile": "10-calico.conflist"}
    return {"platform": platform}


def of_kind(found, kind):
    """The only object of a kind; None if there is none."""
    matching = [each for each in found if each["kind"] == kind]
    if len(matching) > 1:
        raise AssertionError(f"{len(matching)} objects of kind {kind}")
    return matching[0] if matching else None


def pod_spec(found):
    return of_kind(found, "DaemonSet")["spec"]["template"]["spec"]


def agent_container(found):
    return pod_spec(found)["containers"][0]

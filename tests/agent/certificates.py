# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for the API server of the tests, made by the openssl program."""
import os
import subprocess


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """A CA and one server certificate of it in `directory`/`name`.*: ca.crt, server.crt, server.key."""

    def __init__(self, directory: str, name: str, addresses: list[str], days: int = 2):
        def path(ending: str) -> str:
            return os.path.join(directory, f"{name}.{ending}")

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.certificate = path("ca.crt")
        self.server_certificate = path("server.crt")
        self.server_key = path("server.key")
        _openssl("req", "-x509", *key, "-keyout", path("ca.key"), "-out", self.certificate,
                 "-subj", f"/CN=kubernetes-{name}", "-days", str(days),
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", *key, "-keyout", self.server_key, "-out", path("server.csr"),
                 "-subj", "/CN=kube-apiserver")
        with open(path("extensions"), "w", encoding="ascii") as file:
            names = ",".join(f"IP:{address}" for address in addresses)
            file.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        _openssl("x509", "-req", "-in", path("server.csr"), "-CA", self.certificate,
                 "-CAkey", path("ca.key"), "-CAcreateserial", "-out", self.server_certificate,
                 "-days", str(days), "-extfile", path("extensions"))

    def text(self) -> str:
        """The CA's certificate, PEM."""
        with open(self.certificate, encoding="ascii") as file:
            return file.read()

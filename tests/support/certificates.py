"""Throw-away certificates for the TLS cases, made with the openssl command: a CA, a server for
localhost and 127.0.0.1, a client, and wrong ones of each kind."""
import pathlib
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Certificates:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._ca("ca")
        self._ca("other")
        self._leaf("server", "ca", "DNS:localhost,IP:127.0.0.1")
        self._leaf("elsewhere", "ca", "DNS:elsewhere.example")
        self._leaf("expired", "ca", "DNS:localhost,IP:127.0.0.1", days="-1")
        self._leaf("client", "ca", "DNS:client")
        self._leaf("stranger", "other", "DNS:localhost,IP:127.0.0.1")

    def path(self, name):
        return str(self.folder / name)

    def pair(self, name):
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def _ca(self, name):
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-days", "2", "-keyout", self.path(f"{name}.key"),
                 "-out", self.path(f"{name}.pem"),
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _leaf(self, name, ca, names, days="2"):
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"),
                 "-out", self.path(f"{name}.csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
        _openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{ca}.pem"),
                 "-CAkey", self.path(f"{ca}.key"), "-CAcreateserial", "-days", days,
                 "-extfile", str(extensions), "-out", self.path(f"{name}.pem"))

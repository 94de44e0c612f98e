"""Starts the real binary for the conversation cases and talks to it: HTTP on both of its sides,
its output, its memory, and an orderly end. Nothing but Python's own library."""
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

KEYS = {"portal": "portal-key-8d0c1f5f2a", "reader": "reader-key-77b1c09e31",
        "narrow": "narrow-key-0a53d5c2ff"}
OTC_KEY, OTC_SECRET = "HPUAEXAMPLE0AK7SLUICE", "q9Lx0ExampleSecretKeyForSluiceTests00Zt4"
ALI_KEY, ALI_SECRET = "LTAI5tSluiceDevKey000001", "sluiceDevSecret0000000000000AB"
ALI_TOKEN = "CAISexampleSecurityToken9f2b7c31d0"
CLOUD_KEYS = {OTC_KEY: OTC_SECRET, ALI_KEY: ALI_SECRET}
# What must never be seen in any output. Keys' ids (access keys) are no secrets.
SECRETS = [OTC_SECRET, ALI_SECRET, ALI_TOKEN, *KEYS.values()]

PROJECT = "b2782e6708b8475c993e6064bc456bf8"
ROUTER = "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2"


def free_port(count=1):
    """The first of `count` ports in a row that nobody uses, below those that the system hands out
    to outgoing connections by itself (so that none of ours takes it meanwhile)."""
    while True:
        first, held = 20000 + secrets.randbelow(12000), []
        try:
            for port in range(first, first + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()


def caller(name, access=("read", "write"), targets=("*",)):
    return {"name": name, "key_sha256": hashlib.sha256(KEYS[name].encode()).hexdigest(),
            "targets": list(targets), "access": list(access)}


def otc_credentials():
    return {"scheme": "sdk-hmac-sha256", "access_key": {"env": "OTC_AK"},
            "secret_key": {"env": "OTC_SK"}}


# For cases about one attempt. After a write of unknown end the cloud is still looked at.
ONCE = {"retries": 0, "breaker": {"failure_percent": 0}}


def target(dialect, endpoint, **more):
    """A target's configuration for one of the three dialects, with short timeouts."""
    conf = {"dialect": dialect, "endpoint": endpoint, "connect_timeout_ms": 1000,
            "timeout_ms": 1500, "total_timeout_ms": 3000}
    if dialect == "alibaba-vpc":
        conf.update(parameters={"region": "cn-qingdao"},
                    credentials={"scheme": "acs3-hmac-sha256", "access_key": {"env": "ALI_AK"},
                                 "secret_key": {"env": "ALI_SK"},
                                 "security_token": {"env": "ALI_STS"}})
    elif dialect == "otc-er":
        conf.update(parameters={"project_id": PROJECT, "er_id": ROUTER},
                    credentials=otc_credentials())
    else:
        conf.update(parameters={"project_id": PROJECT}, credentials=otc_credentials())
    conf.update(more)
    return conf


def environment():
    return {"PATH": os.environ["PATH"], "OTC_AK": OTC_KEY, "OTC_SK": OTC_SECRET, "ALI_AK": ALI_KEY,
            "ALI_SK": ALI_SECRET, "ALI_STS": ALI_TOKEN,
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=77",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


class Answer:
    def __init__(self, status, headers, body, took=0.0):
        self.status, self.fields, self.body, self.took = status, headers, body, took
        self.headers = {name.lower(): value for name, value in headers}

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


class Binary:
    """How to run sluice: plain, or under valgrind; `slow` stretches what is waited for."""

    def __init__(self, path, valgrind=False):
        self.path = str(pathlib.Path(path).resolve())
        self.command = [self.path]
        self.plain = not valgrind
        self.slow = 1.0
        if valgrind:
            self.command = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite",
                            "--errors-for-leak-kinds=definite", "--error-exitcode=99",
                            "--child-silent-after-fork=yes", self.path]
            self.slow = 10.0
        elif b"__asan_init" in pathlib.Path(self.path).read_bytes():
            self.slow = 3.0
            self.plain = False

    def run(self, *arguments, timeout=20, **more):
        return subprocess.run([*self.command, *arguments], capture_output=True, cwd=ROOT,
                              timeout=timeout * self.slow, **more)


class Process:
    """A `sluice` that serves: started, heard, ended."""

    def __init__(self, binary, arguments, folder, env, name="gateway"):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.out, self.err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([*binary.command, *arguments], stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL, env=env, cwd=ROOT)
        self.wait_for(b'"event":"ready"', 10 * binary.slow)

    def wait_for(self, what, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what in self.err.read_bytes().replace(b'": "', b'":"'):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"not ready (exit code {self.process.returncode}): "
                             + self.err.read_text(errors="replace")[-3000:])

    def memory_kb(self, which="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1])
        raise AssertionError("no such process")

    def forget_peak(self):
        """The most memory it had (VmHWM) is what it has now (proc(5), clear_refs)."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self):
        """Ends it by SIGTERM; the exit code also tells of leaks and of valgrind's findings."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20 * self.binary.slow)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not end after SIGTERM") from None
        if code != 0:
            raise AssertionError(f"exit code {code}: " + self.err.read_text(errors="replace")[-6000:])

    def output(self):
        return self.out.read_bytes() + self.err.read_bytes()

    def access_lines(self):
        time.sleep(0.15 * self.binary.slow)  # a line is written at the end of the turn that answered
        lines = [json.loads(line) for line in self.out.read_bytes().splitlines() if line]
        return lines


class Gateway(Process):
    """`sluice serve` with a configuration made here."""

    def __init__(self, binary, targets, tls=None, env=None, **more):
        self.home = tempfile.TemporaryDirectory(prefix="sluice-case-")
        self.port, self.admin_port = free_port(), free_port()
        self.config = {
            "listen": [{"address": f"127.0.0.1:{self.port}"}],
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "mappings": str(ROOT / "mappings"),
            "callers": [caller("portal"), caller("reader", access=("read",)),
                        *([caller("narrow", targets=("net",))] if "net" in targets else [])],
            "targets": targets,
        }
        if tls:
            self.tls_port = free_port()
            self.config["listen"].append({"address": f"127.0.0.1:{self.tls_port}", "tls": tls})
        self.config.update(more)
        self.heard = []  # everything that callers got, for the search for secrets
        file = pathlib.Path(self.home.name) / "gateway.json"
        file.write_text(json.dumps(self.config, indent=2))
        self.file, self.env, self.lives = str(file), env or environment(), 0
        super().__init__(binary, ["serve", "--config", self.file], self.home.name, self.env)

    def restart(self, kill=False):
        """Ends it in order, or at once, and starts it again with the same configuration."""
        if kill:
            self.process.kill()
            self.process.wait()
        else:
            self.stop()
        self.heard.append(self.output())
        self.lives += 1
        super().__init__(self.binary, ["serve", "--config", self.file], self.home.name, self.env,
                         name=f"gateway{self.lives}")

    def call(self, method, path, body=None, headers=None, key="portal", port=None, timeout=None):
        fields = dict(headers or {})
        if key and "Authorization" not in fields:
            fields["Authorization"] = "Bearer " + KEYS.get(key, key)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None and not any(name.lower() == "content-type" for name in fields):
            fields["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port,
                                                timeout=timeout or 15 * self.binary.slow)
        began = time.monotonic()
        try:
            connection.request(method, path, body=body, headers=fields)
            reply = connection.getresponse()
            answer = Answer(reply.status, reply.getheaders(), reply.read(),
                            time.monotonic() - began)
        finally:
            connection.close()
        self.heard.append(repr(answer.fields).encode() + answer.body)
        return answer

    def create(self, target_name, body, query="", **more):
        return self.call("POST", f"/v1/targets/{target_name}/flow-logs{query}", body, **more)

    def get(self, target_name, flow_log_id, **more):
        return self.call("GET", f"/v1/targets/{target_name}/flow-logs/{flow_log_id}", **more)

    def admin(self, path):
        return self.call("GET", path, key=None, port=self.admin_port)

    def raw(self, data, port=None, wait=5.0, finish=False, enough=None):
        """Sends bytes as they are; answers everything that came back until the other side closed
        (or `enough` says so), and whether it did. `finish` closes our sending side."""
        with socket.create_connection(("127.0.0.1", port or self.port), timeout=5) as sock:
            came, closed = b"", False
            sock.settimeout(wait * self.binary.slow)
            try:
                sock.sendall(data)
                if finish:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                while True:
                    piece = sock.recv(65536)
                    if not piece:
                        closed = True
                        break
                    came += piece
                    if enough and enough(came):
                        break
            except ConnectionResetError:
                closed = True
            except socket.timeout:
                pass
        self.heard.append(came)
        return came, closed

    def tls(self, ca, **limits):
        """A connected TLS socket to the second listener."""
        context = ssl.create_default_context(cafile=ca)
        for name, value in limits.items():
            setattr(context, name, value)
        sock = socket.create_connection(("127.0.0.1", self.tls_port), timeout=5 * self.binary.slow)
        return context.wrap_socket(sock, server_hostname="localhost")

    def secrets_seen(self):
        everything = self.output() + b"".join(self.heard)
        return [text for text in SECRETS if text.encode() in everything]

    def done(self):
        try:
            self.stop()
        finally:
            self.home.cleanup()

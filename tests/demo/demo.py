"""The demo: one flow log on each of three systems, and what was said on both sides.

Between the gateway and each of the sandbox's doors stands a tap that passes bytes on and keeps a
copy, so what is shown is what was on the wire (JSON is indented for reading, query strings are
broken at "&", and signatures are shortened)."""
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from gateway import free_port  # noqa: E402
from show import Plain, Screen, document_lines, words  # noqa: E402

KEY = "demo-" + secrets.token_hex(12)
ACCESS_KEY, SECRET_KEY = "sandbox", "sandbox-secret"  # the sandbox's own, known to everyone
PROJECT, ROUTER = "b2782e6708b8475c993e6064bc456bf8", "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2"
GROUP, STREAM = "05c4052d-8d14-488f-aa00-19fea5a25fdd", "a9d7dee7-37d2-4cba-a208-a016252aaa63"

SYSTEMS = [
    {"name": "otc", "dialect": "otc-vpc", "title": "Open Telekom Cloud, VPC (otc-vpc)",
     "scheme": "sdk-hmac-sha256", "parameters": {"project_id": PROJECT},
     "body": {"name": "edge-reject", "description": "rejected traffic of the edge",
              "resource_type": "subnet", "resource_id": "05c4052d-8d14-488f-aa00-19fea5a25fde",
              "traffic_type": "reject", "index": True,
              "destination": {"type": "lts", "group": GROUP, "stream": STREAM}}},
    {"name": "otc-router", "dialect": "otc-er",
     "title": "Open Telekom Cloud, Enterprise Router (otc-er)", "scheme": "sdk-hmac-sha256",
     "parameters": {"project_id": PROJECT, "er_id": ROUTER},
     "body": {"name": "router-all", "description": "all traffic of one attachment",
              "resource_type": "router_attachment",
              "resource_id": "2b3b5d2f-4a7e-4c8e-9b1f-7f0c5a1d9e11",
              "destination": {"type": "lts", "group": GROUP, "stream": STREAM}}},
    {"name": "alibaba", "dialect": "alibaba-vpc", "title": "Alibaba Cloud, VPC (alibaba-vpc)",
     "scheme": "acs3-hmac-sha256", "parameters": {"region": "cn-qingdao"},
     "body": {"name": "edge-reject", "description": "rejected traffic of the edge",
              "resource_type": "subnet", "resource_id": "vsw-m5e8vhz2t21sel1nq",
              "traffic_type": "reject", "aggregation_interval": 600,
              "destination": {"type": "sls", "group": "flow-project", "stream": "flow-store"}}},
]


# ------------------------------------------------------------------------------------- the tap

class Message:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.first = lines[0]
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = body


class Tap:
    """Passes connections on to `port` and keeps what was said, as (request, reply) pairs."""

    def __init__(self, port):
        self.to, self.said = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self.pass_on, args=(sock,), daemon=True).start()

    def pass_on(self, caller):
        with caller, socket.create_connection(("127.0.0.1", self.to)) as cloud:
            wires = [caller.makefile("rb"), cloud.makefile("rb")]
            while True:
                request = self.message(wires[0], cloud)
                if request is None:
                    return
                reply = self.message(wires[1], caller)
                if reply is None:
                    return
                self.said.append((request, reply))

    @staticmethod
    def message(wire, to):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = wire.readline()
            if not line:
                return None
            head += line
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = wire.read(length)
        to.sendall(head + body)
        return Message(head[:-4], body)


# -------------------------------------------------------------------------------- the processes

class Sluice:
    """A sluice that runs until it is stopped."""

    def __init__(self, binary, name, arguments, folder):
        self.errors = pathlib.Path(folder) / f"{name}.err"
        env = dict(os.environ, DEMO_SECRET_KEY=SECRET_KEY)
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([binary, *arguments], env=env,
                                            stdout=subprocess.DEVNULL, stderr=errors)
        end = time.monotonic() + 20
        while b'"ready"' not in self.errors.read_bytes():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"the {name} did not start:\n{self.errors.read_text()}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def sandbox(binary, folder):
    """Every cloud there is a table for, each at a port of its own, in the order of their names."""
    dialects = sorted(path.stem for path in pathlib.Path("mappings").glob("*.json")
                      if path.name != "schema.json")
    admin = free_port(len(dialects) + 1)
    for system in SYSTEMS:
        system["door"] = admin + 1 + dialects.index(system["dialect"])
    return Sluice(binary, "sandbox", ["sandbox", "--port", str(admin + 1), "--mappings",
                                      "mappings"], folder)


def gateway(binary, folder, port):
    targets = {}
    for system in SYSTEMS:
        system["tap"] = Tap(system["door"])
        targets[system["name"]] = {
            "dialect": system["dialect"], "endpoint": f"http://127.0.0.1:{system['tap'].port}",
            "parameters": system["parameters"],
            "credentials": {"scheme": system["scheme"], "access_key": {"value": ACCESS_KEY},
                            "secret_key": {"env": "DEMO_SECRET_KEY"}}}
    config = {"listen": [{"address": f"127.0.0.1:{port}"}], "targets": targets, "workers": 1,
              "mappings": str(pathlib.Path("mappings").resolve()),
              "callers": [{"name": "newcomer", "targets": ["*"], "access": ["read", "write"],
                           "key_sha256": hashlib.sha256(KEY.encode()).hexdigest()}]}
    file = pathlib.Path(folder) / "gateway.json"
    file.write_text(json.dumps(config, indent=2))
    return Sluice(binary, "gateway", ["serve", "--config", str(file)], folder)


# ------------------------------------------------------------------------------------ the views

def shorten(name, value):
    if name.lower() != "authorization":
        return value
    start, mark, rest = value.rpartition("Signature=")
    return start + mark + rest[:8] + "…"


def head_lines(message, skip=("connection", "date", "server", "user-agent")):
    first = message.first
    lines = []
    if "?" in first:
        method, target, version = first.split(" ")
        path, _, query = target.partition("?")
        pieces = query.split("&")
        lines.append(f"{method} {path}?{pieces[0]}")
        lines += [f"      &{piece}" for piece in pieces[1:-1]]
        lines.append(f"      &{pieces[-1]} {version}")
    else:
        lines.append(Plain(first))
    return lines + [Plain(f"{name}: {shorten(name, value)}") for name, value in message.fields
                    if name.lower() not in skip]


def body_lines(body):
    if not body:
        return []
    try:
        return ["", *document_lines(json.loads(body))]
    except ValueError:
        return ["", body.decode("utf-8", "replace")]


def message_lines(message):
    return head_lines(message) + body_lines(message.body)


def native_words(message):
    """What the cloud's side says, with values of a query decoded."""
    said = words(json.loads(message.body)) if message.body.startswith(b"{") else set()
    query = message.first.partition("?")[2].rpartition(" ")[0]
    for name, value in urllib.parse.parse_qsl(query):
        said |= {name, value, urllib.parse.quote(value, safe="-_.~")}
    return said


def show(screen, system, answer, took):
    request, reply = system["tap"].said[0]
    asked, got = system["body"], json.loads(answer.body)
    canonical = words(asked)
    encoded = {urllib.parse.quote(word, safe="-_.~") for word in canonical}
    heads = {"POST", "HTTP", "1.1"}
    sent = [Plain(line) for line in (f"POST /v1/targets/{system['name']}/flow-logs HTTP/1.1",
                                     "authorization: Bearer demo-…",
                                     "content-type: application/json", "prefer: wait=10", "")]
    back = head_lines(answer, skip=("date", "content-length", "x-request-id"))
    screen.heading(f"{system['title']}: a flow log, active after {took * 1000:.0f} ms", "")
    screen.panes([
        [("1  what you send: canonical request", sent + document_lines(asked),
          native_words(request)),
         ("2  what the cloud gets: native request", message_lines(request),
          canonical | encoded | heads)],
        [("4  what you get: canonical reply", back + body_lines(answer.body),
          native_words(reply) | canonical),
         ("3  what the cloud answers: native reply",
          message_lines(reply) + afterwards(system["tap"].said[1:]),
          words(got) | native_words(request))],
    ])


def afterwards(polled):
    """One line for each further call, while the flow log came up."""
    lines = []
    for request, reply in polled:
        method, target, _ = request.first.split(" ")
        path = target.partition("?")[0]
        path = path if len(path) < 30 else "…/" + "/".join(path.split("/")[-2:])
        lines.append(f"# then {method} {path}{action(request)}: {reply.first.split(' ')[1]}"
                     f"{state(reply)}")
    return lines if len(lines) <= 4 else [*lines[:2], f"# … {len(lines) - 3} more", lines[-1]]


def action(message):
    named = dict((n.lower(), v) for n, v in message.fields).get("x-acs-action")
    return f" {named}" if named else ""


def state(message):
    """The word by which the cloud tells the state, if there is one."""
    try:
        document = json.loads(message.body)
    except ValueError:
        return ""
    found = []

    def walk(value):
        for name, member in (value.items() if isinstance(value, dict) else
                             enumerate(value) if isinstance(value, list) else ()):
            if name in ("state", "status", "Status"):
                found.append(f', "{name}": {json.dumps(member)}')
            walk(member)
    walk(document)
    return "".join(found)


# ------------------------------------------------------------------------------------ the course

def create(port, system):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    began = time.monotonic()
    connection.request("POST", f"/v1/targets/{system['name']}/flow-logs",
                       json.dumps(system["body"]),
                       {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json",
                        "Prefer": "wait=10"})
    reply = connection.getresponse()
    head = "\r\n".join([f"HTTP/1.1 {reply.status} {reply.reason}"]
                       + [f"{name.lower()}: {value}" for name, value in reply.getheaders()])
    answer = Message(head.encode(), reply.read())
    took = time.monotonic() - began
    connection.close()
    if reply.status != 201 or json.loads(answer.body).get("status") != "active":
        raise RuntimeError(f"{system['name']}: {reply.status} {answer.body.decode()}")
    return answer, took


def course(binary, folder, screen):
    running = []
    try:
        running.append(sandbox(binary, folder))
        port = free_port(1)
        running.append(gateway(binary, folder, port))
        for system in SYSTEMS:
            answer, took = create(port, system)
            show(screen, system, answer, took)
    finally:
        codes = [one.stop() for one in reversed(running)]
    if any(codes):
        raise RuntimeError(f"the processes ended with {codes}")


def main():
    screen = Screen()
    screen.heading("sluice: one flow log in one form, on three systems",
                   "A sandbox plays the clouds on this machine: real HTTP, real signatures, no "
                   "account. Highlighted is what one side says and the other does not.")
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
        try:
            course(sys.argv[1], folder, screen)
        except (RuntimeError, OSError, ValueError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
    screen.line()
    screen.line(screen.paint("All three flow logs are active. Next: README.md.", "good"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

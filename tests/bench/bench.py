"""Runs each subject in turn on core 0, with wrk and the upstream on core 1, several rounds; counts
the processor time of the subject's process (utime + stime) against the requests that wrk had
answered with a 2xx. Prints medians over the rounds and ratios to HAProxy and nginx; then what each
further operation costs beside a create, per native call; a list of 1,000; a create through a door,
whose client signs, beside one over REST; and what keeping a journal costs."""
import asyncio
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.dont_write_bytecode = True

from postgresql import Postgresql  # noqa: E402

ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", 5)), int(os.environ.get("BENCH_SECONDS", 4))
CONNECTIONS = (64, 1000)
KEY = "bench-key"
PROJECT = "b2782e6708b8475c993e6064bc456bf8"
UUID = "05c4052d-8d14-488f-aa00-19fea5a25fde"
TICKS = os.sysconf("SC_CLK_TCK")

BODIES = {
    "otc-vpc": {"name": "edge-reject", "description": "rejected traffic of the edge",
                "resource_type": "vpc", "resource_id": UUID, "traffic_type": "reject",
                "destination": {"type": "lts", "group": UUID, "stream": UUID}},
    "alibaba-vpc": {"name": "edge-reject", "description": "rejected traffic of the edge",
                    "resource_type": "vpc", "resource_id": "vpc-m5e8vhz2t21sel1nq",
                    "traffic_type": "reject", "aggregation_interval": 600,
                    "destination": {"type": "sls", "group": "flow-project",
                                    "stream": "flow-store"}},
}
REPLIES = {
    "otc-vpc": {"flow_log": {
        "id": "a9d7dee7-37d2-4cba-a208-a016252aaa63", "name": "edge-reject", "tenant_id": PROJECT,
        "description": "rejected traffic of the edge", "resource_type": "vpc", "resource_id": UUID,
        "traffic_type": "reject", "log_group_id": UUID, "log_topic_id": UUID,
        "created_at": "2019-01-14T11:03:02", "updated_at": "2019-01-14T11:03:02",
        "admin_state": True, "status": "ACTIVE", "index_enabled": False}},
    "alibaba-vpc": {"RequestId": "F7DDDC17-FA06-4AC2-8F35-59D2470FCFC1", "Success": "true",
                    "FlowLogId": "fl-m5e8vhz2t21sel1nq", "ResourceGroupId": "rg-acfmxazb4ph6aiy"},
}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def start(command, core, port, **more):
    process = subprocess.Popen(["taskset", "-c", str(core), *command], **more)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise SystemExit(f"bench: did not start: {command}")


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# -------------------------------------------------------------------------------- the servers

def nginx(folder, name, core, port, server):
    config = folder / f"{name}.conf"
    config.write_text(f"""
daemon off; master_process off; worker_processes 1; pid {folder}/{name}.pid;
error_log /dev/null crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/{name}-a; proxy_temp_path {folder}/{name}-b;
  fastcgi_temp_path {folder}/{name}-c; uwsgi_temp_path {folder}/{name}-d; scgi_temp_path {folder}/{name}-e;
  {server}
}}
""")
    return start(["nginx", "-p", str(folder), "-c", str(config)], core, port)


def static_upstream(folder, dialect, port):
    reply = json.dumps(REPLIES[dialect], separators=(",", ":"))
    return nginx(folder, f"upstream-{dialect}", 1, port, f"""
  server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json;
    location / {{ return 200 '{reply}'; }} }}""")


def nginx_proxy(folder, dialect, port, upstream):
    return nginx(folder, f"proxy-{dialect}", 0, port, f"""
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 2000; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}""")


def haproxy(folder, dialect, port, upstream):
    config = folder / f"haproxy-{dialect}.cfg"
    config.write_text(f"""
global
  nbthread 1
  maxconn 2000
  tune.pool-high-fd-ratio 95
  tune.pool-low-fd-ratio 90
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{upstream} pool-max-conn 2000 pool-purge-delay 10m
""")
    return start(["haproxy", "-db", "-q", "-f", str(config)], 0, port)


def sluice(binary, folder, dialect, port, upstream, access=False, **more):
    parameters = {"region": "cn-qingdao"} if dialect == "alibaba-vpc" else {"project_id": PROJECT}
    scheme = "acs3-hmac-sha256" if dialect == "alibaba-vpc" else "sdk-hmac-sha256"
    config = {
        "listen": [{"address": f"127.0.0.1:{port}"}], "workers": 1,
        "mappings": str(ROOT / "mappings"), "log": {"access": access},
        "callers": [{"name": "bench", "targets": ["*"], "access": ["read", "write"],
                     "key_sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
        "targets": {"cloud": {"dialect": dialect, "endpoint": f"http://127.0.0.1:{upstream}",
                              "parameters": parameters, "max_in_flight": 2000,
                              "credentials": {"scheme": scheme, "access_key": {"value": "bench"},
                                              "secret_key": {"value": "bench-secret"}}}}}
    config.update(more)
    file = folder / f"sluice-{port}.json"
    file.write_text(json.dumps(config))
    return start([binary, "serve", "--config", str(file)], 0, port, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL)


class SlowCloud:
    """Takes 20 ms for every create and holds as many at once as there are."""

    def __init__(self, dialect):
        body = json.dumps(REPLIES[dialect]).encode()
        self.reply = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                      + str(len(body)).encode() + b"\r\n\r\n" + body)
        self.port, self.now, self.most = free_port(), 0, 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait(10)

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port,
                                                          backlog=4096))
        ready.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
                if length and int(length.group(1)):
                    await reader.readexactly(int(length.group(1)))
                self.now += 1
                self.most = max(self.most, self.now)
                await asyncio.sleep(0.02)
                self.now -= 1
                writer.write(self.reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


# ---------------------------------------------------------------------------------- measuring

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def status_kb(pid, which):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{which}:\s+(\d+)", text, re.M).group(1))


class Request:
    """What wrk sends, again and again."""

    def __init__(self, name, method="GET", path="/v1/targets/cloud/flow-logs", body=None,
                 headers=None, keyed=False):
        self.name, self.method, self.path, self.body = name, method, path, body
        self.headers = headers or {"Authorization": f"Bearer {KEY}"}
        self.keyed = keyed  # each has an Idempotency-Key of its own

    def script(self, folder):
        lines = [f'wrk.method = "{self.method}"']
        if self.body is not None:
            lines.append(f"wrk.body = [==[{self.body}]==]")
            lines.append('wrk.headers["Content-Type"] = "application/json"')
        lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items()]
        if self.keyed:
            lines.append(f"""local n = 0
request = function()
  n = n + 1
  wrk.headers["Idempotency-Key"] = '"{uuid.uuid4()}-' .. n .. '"'
  return wrk.format()
end""")
        file = folder / f"{self.name}.lua"
        file.write_text("\n".join(lines))
        return str(file)


def compact(document):
    return json.dumps(document, separators=(",", ":"))


def create_of(dialect, keyed=False):
    return Request(f"create-{dialect}", "POST", body=compact(BODIES[dialect]), keyed=keyed)


def wrk(folder, request, port, connections, seconds):
    """Requests answered. A wrong answer ends the bench: it would be no measurement."""
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
         "10s", "-s", request.script(folder), f"http://127.0.0.1:{port}{request.path}"],
        capture_output=True, text=True, check=True)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if wrong:
        raise SystemExit(f"bench: wrong answers to {request.name} at port {port}:\n{done.stdout}")
    return int(re.search(r"(\d+) requests in", done.stdout).group(1))


def measure(folder, request, process, port, connections):
    """Microseconds of processor time per request."""
    wrk(folder, request, port, connections, 1)
    before = cpu_seconds(process.pid)
    requests = wrk(folder, request, port, connections, SECONDS)
    return (cpu_seconds(process.pid) - before) * 1e6 / requests


def subjects(binary, folder, dialect, upstream):
    rows = {"HAProxy": lambda port: haproxy(folder, dialect, port, upstream),
            "nginx": lambda port: nginx_proxy(folder, dialect, port, upstream),
            "sluice": lambda port: sluice(binary, folder, dialect, port, upstream),
            "sluice, access log": lambda port: sluice(binary, folder, dialect, port, upstream, True)}
    return {name: (port, make(port)) for name, make in rows.items() for port in [free_port()]}


def compare(binary, folder, dialect):
    upstream = free_port()
    cloud = static_upstream(folder, dialect, upstream)
    running = subjects(binary, folder, dialect, upstream)
    try:
        for connections in CONNECTIONS:
            rounds = {name: [] for name in running}
            for _ in range(ROUNDS):
                for name, (port, process) in running.items():
                    rounds[name].append(
                            measure(folder, create_of(dialect), process, port, connections))
            report(dialect, connections, rounds)
    finally:
        for _, process in running.values():
            stop(process)
        stop(cloud)


def report(dialect, connections, rounds):
    print(f"\n{dialect} create, {connections} connections: CPU microseconds per request, "
          f"median of {ROUNDS} rounds")
    print(f"  {'':20} {'us':>7} {'least':>7} {'most':>7} {'/HAProxy':>9} {'/nginx':>7}")
    for name, values in rounds.items():
        against = [statistics.median(own / other for own, other in zip(values, rounds[base]))
                   for base in ("HAProxy", "nginx")]
        print(f"  {name:20} {statistics.median(values):7.1f} {min(values):7.1f} {max(values):7.1f} "
              f"{against[0]:9.2f} {against[1]:7.2f}", flush=True)


def memory(binary, folder):
    os.sched_setaffinity(0, {1})
    cloud, port = SlowCloud("otc-vpc"), free_port()
    process = sluice(binary, folder, "otc-vpc", port, cloud.port)
    try:
        idle = status_kb(process.pid, "VmRSS")
        wrk(folder, create_of("otc-vpc"), port, 1000, SECONDS)
        print(f"\nmemory, otc-vpc create, 1,000 connections, a cloud that takes 20 ms "
              f"({cloud.most} in flight at most):")
        print(f"  VmRSS idle {idle} kB, peak {status_kb(process.pid, 'VmHWM')} kB, "
              f"after {status_kb(process.pid, 'VmRSS')} kB")
    finally:
        stop(process)


# ------------------------------------------------------------------- the other operations

LOG = "/v1/targets/cloud/flow-logs/a9d7dee7-37d2-4cba-a208-a016252aaa63"
OPERATIONS = [  # the request, and how many native calls it takes
    (create_of("otc-vpc"), 1), (Request("get", path=LOG), 1), (Request("delete", "DELETE", LOG), 1),
    (Request("rename", "PATCH", LOG, compact({"name": "renamed"})), 2),
    (Request("disable", "PATCH", LOG, compact({"enabled": False})), 2),
    (Request("list of 1", path="/v1/targets/cloud/flow-logs?page_size=2"), 1)]


def list_upstream(folder, name, port, rows):
    """Answers a list to GET /…/flow_logs, and to everything else as the static upstream."""
    one = REPLIES["otc-vpc"]["flow_log"]
    (folder / name).mkdir()
    (folder / name / "list.json").write_text(compact({"flow_logs": [
        {**one, "id": f"a9d7dee7-37d2-4cba-a208-{i:012x}", "name": f"log-{i}"}
        for i in range(rows)]}))
    return nginx(folder, f"lists-{name}", 1, port, f"""
  server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json;
    root {folder}/{name};
    location / {{ return 200 '{compact(REPLIES["otc-vpc"])}'; }}
    location = /v1/{PROJECT}/fl/flow_logs {{
      if ($request_method = POST) {{ return 200 '{compact(REPLIES["otc-vpc"])}'; }}
      rewrite ^ /list.json break; }} }}""")


def operations(binary, folder):
    upstream, port = free_port(), free_port()
    cloud = list_upstream(folder, "few", upstream, 1)
    process = sluice(binary, folder, "otc-vpc", port, upstream)
    rounds = {request.name: [] for request, _ in OPERATIONS}
    try:
        for _ in range(ROUNDS):
            for request, _ in OPERATIONS:
                rounds[request.name].append(measure(folder, request, process, port, 64))
    finally:
        stop(process)
        stop(cloud)
    creates = rounds[OPERATIONS[0][0].name]
    print(f"\notc-vpc operations, 64 connections: CPU microseconds, median of {ROUNDS} rounds")
    print(f"  {'':20} {'request':>8} {'calls':>6} {'a call':>8} {'/create':>8}")
    for request, calls in OPERATIONS:
        values = [value / calls for value in rounds[request.name]]
        against = statistics.median(own / other for own, other in zip(values, creates))
        print(f"  {request.name:20} {statistics.median(rounds[request.name]):8.1f} {calls:6} "
              f"{statistics.median(values):8.1f} {against:8.2f}", flush=True)


def long_list(binary, folder):
    upstream, port = free_port(), free_port()
    cloud = list_upstream(folder, "many", upstream, 1000)
    process = sluice(binary, folder, "otc-vpc", port, upstream)
    request = Request("list of 1000", path="/v1/targets/cloud/flow-logs?page_size=1000")
    try:
        values = [measure(folder, request, process, port, 4) / 1000 for _ in range(ROUNDS)]
        print(f"\notc-vpc, a list of 1,000 flow logs: {statistics.median(values):.2f} ms of CPU "
              f"({min(values):.2f} to {max(values):.2f}); VmHWM {status_kb(process.pid, 'VmHWM')} kB")
    finally:
        stop(process)
        stop(cloud)


# ------------------------------------------------------------------------------------ a door

def signed(port, body):
    """A create as a client of the cloud sends it, SDK-HMAC-SHA256; it may be sent often."""
    date, path = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), f"/v1/{PROJECT}/fl/flow_logs"
    host, names = f"127.0.0.1:{port}", "content-type;host;x-sdk-date"
    canonical = (f"POST\n{path}/\n\ncontent-type:application/json\nhost:{host}\n"
                 f"x-sdk-date:{date}\n\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}")
    to_sign = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(b"door-secret", to_sign.encode(), hashlib.sha256).hexdigest()
    return Request("create, door", "POST", path, body, {
        "X-Sdk-Date": date, "Authorization": f"SDK-HMAC-SHA256 Access=doorkey, "
        f"SignedHeaders={names}, Signature={signature}"})


def door(binary, folder):
    upstream, port, at = free_port(), free_port(), free_port()
    cloud = static_upstream(folder, "otc-vpc", upstream)
    process = sluice(binary, folder, "otc-vpc", port, upstream, doors=[{
        "dialect": "otc-vpc", "address": f"127.0.0.1:{at}", "target": "cloud",
        "parameters": {"project_id": PROJECT},
        "credentials": [{"caller": "bench", "access_key": "doorkey",
                         "secret_key": {"value": "door-secret"}}]}])
    native = {"flow_log": {
        "name": "edge-reject", "description": "rejected traffic of the edge",
        "resource_type": "vpc", "resource_id": UUID, "traffic_type": "reject",
        "log_group_id": UUID, "log_topic_id": UUID}}
    rest, through = [], []
    try:
        for _ in range(ROUNDS):
            rest.append(measure(folder, create_of("otc-vpc"), process, port, 64))
            through.append(measure(folder, signed(at, compact(native)), process, at, 64))
    finally:
        stop(process)
        stop(cloud)
    more = statistics.median(a - b for a, b in zip(through, rest))
    print(f"\notc-vpc create through a door, 64 connections: {statistics.median(through):.1f} us, "
          f"over REST {statistics.median(rest):.1f} us: the signature and the dialect add "
          f"{more:.1f} us")


# ---------------------------------------------------------------------------------- a journal

def commits_per_second(folder):
    """How often the disk makes 4 KiB durable, one after the other."""
    with open(folder / "disk", "wb", buffering=0) as file:
        end, count = time.monotonic() + 1, 0
        while time.monotonic() < end:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
    return count


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return float(re.search(rf"^{name} (\S+)", reply.read().decode(), re.M).group(1))


def journal_costs(binary, folder, stores):
    """A create with each store beside one without, on a cloud that answers at once."""
    upstream, running = free_port(), {}
    cloud = static_upstream(folder, "otc-vpc", upstream)
    for name, store in stores.items():
        port = free_port()
        running[name] = port, sluice(binary, folder, "otc-vpc", port, upstream, **store)
    rounds = {(name, keyed): [] for name in stores for keyed in {False, bool(stores[name])}}
    try:
        for _ in range(ROUNDS):
            for (name, keyed), values in rounds.items():
                port, process = running[name]
                values.append(measure(folder, create_of("otc-vpc", keyed), process, port, 64))
    finally:
        for _, process in running.values():
            stop(process)
        stop(cloud)
    print(f"\notc-vpc create with a journal, 64 connections: CPU microseconds, median of {ROUNDS}")
    for (name, keyed), values in rounds.items():
        more = statistics.median(a - b for a, b in zip(values, rounds["no store", False]))
        print(f"  {name + (', a key each' if keyed else ''):24} {statistics.median(values):7.1f}"
              f"   {more:+.1f}", flush=True)


def journal_groups(binary, folder, stores):
    """1,000 at once on a cloud that takes 20 ms: how many are done a second, in what groups."""
    print(f"\notc-vpc create, 1,000 connections, a cloud that takes 20 ms; the disk commits 4 KiB "
          f"{commits_per_second(folder)} times a second, one after the other:")
    for name, store in stores.items():
        cloud, port, admin = SlowCloud("otc-vpc"), free_port(), free_port()
        process = sluice(binary, folder, "otc-vpc", port, cloud.port,
                         admin={"address": f"127.0.0.1:{admin}"}, **store)
        try:
            done = wrk(folder, create_of("otc-vpc"), port, 1000, SECONDS)
            text = f"  {name:12} {done / SECONDS:7.0f} creates/s"
            if store:
                commits, writes = (metric(admin, f"sluice_journal_{what}_total")
                                   for what in ("commits", "writes"))
                text += (f", {commits / SECONDS:6.0f} commits/s, {writes / commits:6.1f} writes a commit, "
                         f"{metric(admin, 'sluice_journal_largest_group'):.0f} at most")
            print(text, flush=True)
        finally:
            stop(process)


def journal(binary, folder):
    server = Postgresql("bench")
    try:
        for part in (journal_costs, journal_groups):
            part(binary, folder, {
                "no store": {},
                "SQLite": {"store": {"sqlite": str(folder / f"{part.__name__}.db")}},
                "PostgreSQL": {"store": {"postgresql": server.string()}}})
    finally:
        server.done()


def main():
    if os.cpu_count() < 2:
        raise SystemExit("bench: needs two cores")
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = pathlib.Path(name)
        parts = {"create": lambda: [compare(binary, folder, dialect) for dialect in BODIES],
                 "memory": lambda: memory(binary, folder),
                 "operations": lambda: operations(binary, folder),
                 "list": lambda: long_list(binary, folder), "door": lambda: door(binary, folder),
                 "journal": lambda: journal(binary, folder)}
        for part in sys.argv[2:] or parts:
            parts[part]()


main()

"""Runs each subject in turn on core 0, with wrk and the upstream on core 1, several rounds; counts
the processor time of the subject's process (utime + stime) against the requests that wrk had
answered with 201 or 200. Prints medians over the rounds and ratios to HAProxy and nginx."""
import asyncio
import hashlib
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
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


def sluice(binary, folder, dialect, port, upstream, access=False):
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
    file = folder / f"sluice-{dialect}-{access}.json"
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


def wrk(folder, dialect, port, connections, seconds):
    """Requests answered. A wrong answer ends the bench: it would be no measurement."""
    script = folder / f"{dialect}.lua"
    if not script.exists():
        script.write_text(f"""
wrk.method = "POST"
wrk.body = [==[{json.dumps(BODIES[dialect], separators=(",", ":"))}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {KEY}"
""")
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
         "10s", "-s", str(script), f"http://127.0.0.1:{port}/v1/targets/cloud/flow-logs"],
        capture_output=True, text=True, check=True)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if wrong:
        raise SystemExit(f"bench: wrong answers at port {port}:\n{done.stdout}")
    return int(re.search(r"(\d+) requests in", done.stdout).group(1))


def measure(folder, dialect, process, port, connections):
    """Microseconds of processor time per request."""
    wrk(folder, dialect, port, connections, 1)
    before = cpu_seconds(process.pid)
    requests = wrk(folder, dialect, port, connections, SECONDS)
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
                    rounds[name].append(measure(folder, dialect, process, port, connections))
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
        wrk(folder, "otc-vpc", port, 1000, SECONDS)
        print(f"\nmemory, otc-vpc create, 1,000 connections, a cloud that takes 20 ms "
              f"({cloud.most} in flight at most):")
        print(f"  VmRSS idle {idle} kB, peak {status_kb(process.pid, 'VmHWM')} kB, "
              f"after {status_kb(process.pid, 'VmRSS')} kB")
    finally:
        stop(process)


def main():
    if os.cpu_count() < 2:
        raise SystemExit("bench: needs two cores")
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = pathlib.Path(name)
        for dialect in BODIES:
            compare(binary, folder, dialect)
        memory(binary, folder)


main()

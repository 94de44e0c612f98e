"""The bounded service, seen from outside: what bodies and replies hold in memory is budgeted, a write
under way is never lost to that budget, every refusal says when to come again, and what protects the
targets can be watched in /metrics."""
import contextlib
import email.utils
import json
import re
import signal
import socket
import sqlite3
import tempfile
import threading
import time
import types
import uuid

from bodies import NATIVE, but, problem
from cloud import FAULTS, Cloud
from gateway import CLOUD_KEYS, KEYS, PROJECT, Gateway, free_port, target
from seal import knock

BUDGET, BODY = 4 << 20, 65536
READS, ROWS = 40, 2000  # of a list whose reply has some 750 KB; to read one takes some 7 MB
READ_BUDGET = 16 << 20
PATIENT = {"timeout_ms": 15000, "total_timeout_ms": 15000, "retries": 0,
           "breaker": {"failure_percent": 0}}
DOOR = ("DOORKEY", "door-secret-7c1f0e5a")


@contextlib.contextmanager
def world(binary):
    cloud, other, door = Cloud(CLOUD_KEYS), Cloud(CLOUD_KEYS), free_port()
    home = tempfile.TemporaryDirectory(prefix="sluice-bounded-")
    targets = {"dead": target("otc-vpc", cloud.url, **PATIENT),
               "well": target("otc-vpc", other.url, **PATIENT),
               "curl": target("otc-vpc", other.url, transport="curl", **PATIENT)}
    gateway = Gateway(binary, targets, store={"sqlite": f"{home.name}/journal.db"},
                      limits={"body_memory_bytes": BUDGET, "body_bytes": BODY},
                      doors=[{"dialect": "otc-vpc", "address": f"127.0.0.1:{door}",
                              "target": "well", "parameters": {"project_id": PROJECT},
                              "credentials": [{"caller": "portal", "access_key": DOOR[0],
                                               "secret_key": {"value": DOOR[1]}}]}])
    try:
        eventually(lambda: gateway.admin("/readyz").status == 200, "not ready")
        yield types.SimpleNamespace(binary=binary, gateway=gateway, cloud=cloud, other=other,
                                    door=door)
    finally:
        gateway.done()
        cloud.stop()
        other.stop()
        home.cleanup()


def fresh():
    return but("net", resource_id=str(uuid.uuid4()))


def eventually(happens, what, seconds=10):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def metrics(gateway):
    """{(name, labels as text): value}; every line parses, and no series stands there twice."""
    found = {}
    for line in gateway.admin("/metrics").body.decode().splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line).groups()
        assert (name, labels or "") not in found, line
        found[name, labels or ""] = float(value)
    return found


def value(gateway, name, labels=""):
    return metrics(gateway)[name, labels]


def held(world):
    return value(world.gateway, "sluice_body_memory_bytes")


@contextlib.contextmanager
def silent(cloud):
    """It answers nobody, until this is over."""
    over = threading.Event()

    def fault(link, request):
        over.wait(20)
        status, headers, body = cloud.systems.answer(request)
        link.reply(status, body, headers)
    cloud.fault = fault
    try:
        yield
    finally:
        over.set()
        cloud.clear()


def begin_write(gateway, target_name, body, length=None):
    """A write on a connection of its own, whose answer is not waited for."""
    sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    sock.sendall((f"POST /v1/targets/{target_name}/flow-logs HTTP/1.1\r\nHost: a\r\n"
                  f"Authorization: Bearer {KEYS['portal']}\r\nContent-Type: application/json\r\n"
                  f"Content-Length: {length or len(body)}\r\n\r\n").encode() + body)
    return sock


@contextlib.contextmanager
def hungry(world):
    """Callers who announce large bodies and send them slowly hold the whole budget."""
    socks = [begin_write(world.gateway, "well", b" " * 100, BODY) for _ in range(BUDGET // BODY)]
    try:
        eventually(lambda: held(world) == BUDGET, "the budget is not spent")
        yield
    finally:
        for sock in socks:
            sock.close()
    eventually(lambda: held(world) == 0, "the budget is not given back")


def at_door(world):
    method, path, query, body, _ = NATIVE["net"]
    return knock(world.door, "sdk-hmac-sha256", *DOOR, method, path, query,
                 {"content-type": "application/json"}, json.dumps(body).encode())


def refused(answer, code="unavailable"):
    told = problem(answer, 503, code)
    assert told["retryable"] and int(answer.headers["retry-after"]) >= 1, repr(answer)
    return told


def together(function, count):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(function())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# -------------------------------------------------------------------------- the budget of bodies

def case_small_bodies_at_a_dead_target_leave_others_alone(world):
    """All defaults: 64 calls in flight and 1024 in the queue of a target that does not answer."""
    gateway = Gateway(world.binary, {"dead": target("otc-vpc", world.cloud.url, **PATIENT),
                                     "well": target("otc-vpc", world.other.url)})
    socks, body, labels = [], json.dumps(fresh()).encode(), 'target="dead"'
    try:
        with silent(world.cloud):
            socks = [begin_write(gateway, "dead", body) for _ in range(1200)]
            eventually(lambda: value(gateway, "sluice_target_refused_total",
                                     labels + ',reason="full"') == 112, "the queue is not full")
            answer = gateway.create("well", fresh())
            assert answer.status == 201, repr(answer)
            assert value(gateway, "sluice_target_waiting", labels) == 1024
            assert value(gateway, "sluice_target_in_flight", labels) == 64
            assert value(gateway, "sluice_body_memory_bytes") == 1088 * len(body)
            assert value(gateway, "sluice_body_memory_refused_total") == 0
            for sock in socks:
                sock.close()
    finally:
        gateway.done()


def case_a_body_holds_what_it_announces(world):
    sock = begin_write(world.gateway, "well", b" " * 100, 5000)
    eventually(lambda: held(world) == 5000, "the announced length is not held")
    sock.close()
    eventually(lambda: held(world) == 0, "it is not given back")


def case_chunks_hold_the_limit_until_they_are_whole(world):
    body = json.dumps(fresh()).encode()
    head = (f"POST /v1/targets/dead/flow-logs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {KEYS['portal']}\r\nContent-Type: application/json\r\n\r\n")
    with silent(world.cloud), \
            socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as sock:
        sock.sendall(head.encode() + b"%x\r\n" % len(body) + body)
        eventually(lambda: held(world) == BODY, "the limit is not held")
        sock.sendall(b"\r\n0\r\n\r\n")
        eventually(lambda: held(world) == len(body), "the rest is not given back")
    eventually(lambda: held(world) == 0, "it is not given back")


def case_beyond_the_budget_refusals_say_when_to_come_again(world):
    before = value(world.gateway, "sluice_body_memory_refused_total")
    with hungry(world):
        refused(world.gateway.create("well", fresh()))
        answer = at_door(world)
        assert answer.status == 503 and answer.headers.get("retry-after") == "1", repr(answer)
        assert world.gateway.call("GET", "/v1/targets/well/flow-logs").status == 200
    assert value(world.gateway, "sluice_body_memory_refused_total") == before + 2
    assert value(world.gateway, "sluice_body_memory_limit_bytes") == BUDGET
    assert world.gateway.create("well", fresh()).status == 201


# --------------------------------------------------------------------------------------- replies

def big_list():
    row = {"name": "x" * 200, "resource_type": "vpc", "resource_id": "r", "traffic_type": "all",
           "log_group_id": "g", "log_topic_id": "t", "status": "ACTIVE", "admin_state": True}
    return json.dumps({"flow_logs": [dict(row, id=str(n)) for n in range(ROWS)]}).encode()


def reads_are_bounded(world, target_name, at_door=False):
    reply, gate, door = big_list(), threading.Barrier(READS), free_port()
    gateway = Gateway(world.binary, {"well": world.gateway.config["targets"][target_name]},
                      limits={"body_memory_bytes": READ_BUDGET},
                      doors=[{**world.gateway.config["doors"][0], "address": f"127.0.0.1:{door}"}])

    def read():
        if at_door:
            return knock(door, "sdk-hmac-sha256", *DOOR, "GET", NATIVE["net"][1], {"limit": "1000"},
                         {}, b"")
        return gateway.call("GET", "/v1/targets/well/flow-logs?page_size=1000", timeout=60)

    def at_once(link, _):
        gate.wait(10)
        link.reply(200, reply)
    world.other.fault = at_once
    try:
        before = gateway.memory_kb()
        answers = together(read, READS)
        grown = gateway.memory_kb("VmHWM") - before
        good = [a for a in answers if a.status == 200]
        for answer in answers:
            if answer.status != 200:
                told = answer.json()
                assert answer.status == 503 and answer.headers["retry-after"] == "1", repr(answer)
                assert "memory" in told.get("detail", told.get("message")), repr(answer)
        assert 0 < len(good) < READS, sorted(a.status for a in answers)
        assert all(len(a.json()["flow_logs"]) == 1000 for a in good)
        if world.binary.plain:  # unbounded it is some 300 MB
            assert grown < 3 * READ_BUDGET // 1024, grown
        eventually(lambda: value(gateway, "sluice_body_memory_bytes") == 0, "not given back")
        world.other.fault = lambda link, _: link.reply(200, reply)
        assert read().status == 200
    finally:
        world.other.clear()
        gateway.done()


def case_replies_are_part_of_the_budget(world):
    yield "own client", lambda: reads_are_bounded(world, "well")
    yield "curl", lambda: reads_are_bounded(world, "curl")
    yield "a door", lambda: reads_are_bounded(world, "well", at_door=True)


def write_survives(world, target_name):
    """The budget is spent while the cloud works on a write: its answer, however large, is let in."""
    acts, spent = threading.Event(), threading.Event()

    def slowly(link, request):
        status, headers, body = world.other.systems.answer(request)
        acts.set()
        spent.wait(10)
        body["flow_log"]["padding"] = "x" * 500000
        link.reply(status, body, headers)
    answers = []
    world.other.fault = slowly
    writer = threading.Thread(target=lambda: answers.append(world.gateway.create(
        target_name, fresh(), headers={"Idempotency-Key": f'"{uuid.uuid4()}"'}, timeout=30)))
    before = len(world.other.systems.networks)
    try:
        writer.start()
        assert acts.wait(10)
        socks = [begin_write(world.gateway, "well", b" ", BODY) for _ in range(BUDGET // BODY - 1)]
        eventually(lambda: held(world) > BUDGET - 2 * BODY, "the budget is not spent")
        spent.set()
        writer.join()
        for sock in socks:
            sock.close()
    finally:
        spent.set()
        world.other.clear()
    assert answers[0].status == 201, repr(answers[0])
    assert len(answers[0].json()["native"]["padding"]) == 500000
    assert len(world.other.systems.networks) == before + 1
    eventually(lambda: held(world) == 0, "the budget is not given back")


def case_a_write_under_way_is_counted_and_not_refused(world):
    yield "own client", lambda: write_survives(world, "well")
    yield "curl", lambda: write_survives(world, "curl")


# ----------------------------------------------------------------------------- when to come again

def case_an_unwritable_store_says_when_to_come_again(world):
    file = f"{world.gateway.home.name}/journal.db"
    gateway = Gateway(world.binary, {"well": target("otc-vpc", world.other.url)},
                      store={"sqlite": file}, doors=[
                          {**world.gateway.config["doors"][0],
                           "address": f"127.0.0.1:{free_port()}"}])
    door = int(gateway.config["doors"][0]["address"].rsplit(":", 1)[1])
    try:
        eventually(lambda: gateway.admin("/readyz").status == 200, "not ready")
        lock = sqlite3.connect(file, isolation_level=None)
        lock.execute("begin immediate")
        eventually(lambda: gateway.admin("/readyz").status == 503, "still writable", 60)
        refused(gateway.create("well", fresh()))
        answer = at_door(types.SimpleNamespace(door=door))
        assert answer.status == 503 and answer.headers.get("retry-after") == "1", repr(answer)
        lock.execute("rollback")
        lock.close()
    finally:
        gateway.done()


# --------------------------------------------------------------------------------------- metrics

def says(status, *headers):
    return lambda link, request: link.reply(status, b"<html>no</html>", list(headers))


@contextlib.contextmanager
def watched(world, **more):
    """A gateway of one target, and how its metrics are read."""
    conf = target("otc-vpc", world.other.url, **{"breaker": {"failure_percent": 0}, **more})
    gateway = Gateway(world.binary, {"eye.1": conf})
    try:
        yield gateway, lambda name, labels="": value(gateway, name, 'target="eye.1"' + labels)
    finally:
        world.other.clear()
        gateway.done()


def look(gateway):
    return gateway.call("GET", "/v1/targets/eye.1/flow-logs")


def case_metrics_tell_the_clock(world):
    def ahead(link, request):
        wrong = request.headers["x-sdk-date"][:11] == time.strftime("%Y%m%dT%H", time.gmtime())
        fields = [("Date", email.utils.formatdate(time.time() + 7200, usegmt=True))]
        if wrong:
            return link.reply(401, {"error_code": "APIGW.0301", "error_msg": "clock"}, fields)
        return link.reply(200, {"flow_logs": []}, fields)
    with watched(world) as (gateway, told):
        assert ("sluice_target_clock_skew_seconds", 'target="eye.1"') not in metrics(gateway)
        assert told("sluice_target_clock_applied_seconds") == 0
        world.other.fault = lambda link, request: link.reply(
            200, {"flow_logs": []}, [("Date", email.utils.formatdate(time.time(), usegmt=True))])
        assert look(gateway).status == 200 and abs(told("sluice_target_clock_skew_seconds")) <= 1
        world.other.fault = ahead
        assert look(gateway).status == 200
        assert 7195 <= told("sluice_target_clock_skew_seconds") <= 7205
        assert 7195 <= told("sluice_target_clock_applied_seconds") <= 7205
        assert told("sluice_target_clock_corrections_total") == 1
        assert told("sluice_target_dates_absurd_total") == 0
        world.other.fault = lambda link, request: link.reply(
            200, {"flow_logs": []}, [("Date", "yesterday")])
        eventually(lambda: look(gateway).status == 200 and  # it is looked at once a second
                   told("sluice_target_dates_absurd_total") >= 1, "a wrong date is not counted")


def case_metrics_tell_the_breaker(world):
    states = {"failure_percent": 50, "least_calls": 4, "open_ms": 60000, "window_s": 10}
    with watched(world, breaker=states, retries=0) as (gateway, told):
        def state(word):
            return told("sluice_target_breaker_state", f',state="{word}"')
        assert (state("closed"), state("open"), state("half_open")) == (1, 0, 0)
        world.other.fault = says(502)
        for _ in range(6):
            look(gateway)
        assert (state("closed"), state("open"), state("half_open")) == (0, 1, 0)
        assert told("sluice_target_breaker_opened_total") == 1
        assert told("sluice_target_breaker_refused_total") == 2


def case_metrics_tell_repetitions(world):
    with watched(world) as (gateway, told):
        world.other.fault = says(500)
        for _ in range(7):  # two repetitions each, of which the budget has ten
            look(gateway)
        assert told("sluice_target_retries_total") == 10
        assert told("sluice_target_retries_denied_total") == 2


def case_metrics_tell_the_limits(world):
    with watched(world, max_in_flight=1, queue=1, total_timeout_ms=1500, timeout_ms=1500,
                 retries=0) as (gateway, told):
        world.other.fault = FAULTS["never_answers"]
        calls = [threading.Thread(target=look, args=(gateway,)) for _ in range(2)]
        for call in calls:
            call.start()
        eventually(lambda: told("sluice_target_waiting") == 1, "nobody waits")
        assert told("sluice_target_in_flight") == 1
        refused(look(gateway))
        for call in calls:
            call.join()
        assert told("sluice_target_refused_total", ',reason="full"') == 1
        eventually(lambda: told("sluice_target_in_flight") == 0, "the place is not given back")
        assert told("sluice_target_waiting") == 0
    with watched(world, rate_per_s=1, burst=1, total_timeout_ms=500, timeout_ms=500,
                 retries=0) as (gateway, told):
        look(gateway)
        refused(look(gateway))
        assert told("sluice_target_refused_total", ',reason="late"') == 1


def case_metrics_survive_a_reload(world):
    """What protects a target outlives a reload; one that is no more is told no more."""
    with watched(world, retries=1) as (gateway, told):
        world.other.fault = says(500)
        look(gateway)
        assert told("sluice_target_retries_total") == 1
        gateway.config["targets"]["x" * 64] = {**gateway.config["targets"]["eye.1"], "retries": 0}
        for reloads in (1, 2):
            with open(gateway.file, "w") as file:
                json.dump(gateway.config, file)
            gateway.process.send_signal(signal.SIGHUP)
            eventually(lambda n=reloads: value(gateway, "sluice_reloads_total", 'result="taken"')
                       == n, "no reload")
        assert told("sluice_target_retries_total") == 1
        assert value(gateway, "sluice_target_retries_total", f'target="{"x" * 64}"') == 0
        assert value(gateway, "sluice_cloud_calls_total", f'target="{"x" * 64}"') == 0
        gateway.config["targets"].pop("x" * 64)
        with open(gateway.file, "w") as file:
            json.dump(gateway.config, file)
        gateway.process.send_signal(signal.SIGHUP)
        eventually(lambda: ("sluice_target_retries_total", f'target="{"x" * 64}"') not in
                   metrics(gateway), "what is gone is still told")

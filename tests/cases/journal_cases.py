"""The journal over HTTP: Idempotency-Key, operations, and what happens when the store cannot be
written. The same cases run on SQLite and on PostgreSQL, on which two replicas work."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import types
import uuid

from bodies import NATIVE, but, problem
from cloud import Cloud
from gateway import CLOUD_KEYS, KEYS, PROJECT, Gateway, free_port, target
from postgresql import Postgresql
from seal import knock

MEMCHECK = False
PASSWORD = "store-password-5e1fb20c"
DOOR_SECRET = "door-secret-of-the-journal"
LOGS = "/v1/targets/%s/flow-logs"


@contextlib.contextmanager
def world(binary):
    home = tempfile.TemporaryDirectory(prefix="sluice-journal-")
    cloud, slow, server = Cloud(CLOUD_KEYS), Cloud(CLOUD_KEYS, pending=2), Postgresql(PASSWORD)
    targets = {"net": target("otc-vpc", cloud.url, timeout_ms=9000, total_timeout_ms=20000),
               "memory": {"dialect": "memory", "settle_ms": 0},
               "other": {"dialect": "memory", "settle_ms": 0},
               "memory-slow": {"dialect": "memory", "settle_ms": 1000},
               "router-slow": target("otc-er", slow.url, timeout_ms=9000, total_timeout_ms=20000)}
    slow.delay = 0.5
    string = server.string()
    gateways, door = {}, free_port()
    doors = [{"dialect": "otc-vpc", "address": f"127.0.0.1:{door}", "target": "net",
              "parameters": {"project_id": PROJECT},
              "credentials": [{"caller": "portal", "access_key": "DOORKEY",
                               "secret_key": {"value": DOOR_SECRET}}]}]
    try:
        gateways["sqlite"] = Gateway(binary, targets, doors=doors,
                                     store={"sqlite": f"{home.name}/journal.db"})
        gateways["postgresql"] = Gateway(binary, targets, store={"postgresql": string})
        gateways["replica"] = Gateway(binary, targets, store={"postgresql": string})
        gateways["none"] = Gateway(binary, targets)
        for name in ENGINES:
            comes_true(lambda name=name: gateways[name].admin("/readyz").status == 200, "ready")
        yield types.SimpleNamespace(binary=binary, cloud=cloud, server=server, home=home.name,
                                    door=door,
                                    targets=targets, gateways=gateways, **gateways)
        for name, gateway in gateways.items():
            everything = gateway.output() + b"".join(gateway.heard)
            assert PASSWORD.encode() not in everything, f"{name} tells the store's password"
            assert DOOR_SECRET.encode() not in everything, name
            assert not gateway.secrets_seen(), gateway.secrets_seen()
    finally:
        for gateway in gateways.values():
            gateway.done()
        server.done()
        cloud.stop()
        slow.stop()
        home.cleanup()


ENGINES = ("sqlite", "postgresql")


def each(world, function):
    for name in ENGINES:
        def run(name=name):
            world.cloud.clear()
            function(world, world.gateways[name])
        yield name, run


def comes_true(question, what, seconds=20):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


def key():
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def fresh(**changes):
    return but("net", resource_id=str(uuid.uuid4()), **changes)


def create(gateway, body, headers=None, name="net", **more):
    return gateway.create(name, body, headers=headers or {}, **more)


def first_again(first, again):
    assert (again.status, again.body) == (first.status, first.body), f"{first!r}\n{again!r}"
    for name in ("location", "operation-location", "content-type", "preference-applied"):
        assert again.headers.get(name) == first.headers.get(name), f"{first!r}\n{again!r}"
    assert again.headers.get("idempotent-replayed") == "true", repr(again)
    assert "idempotent-replayed" not in first.headers, repr(first)


def made(gateway, headers=None, name="net", **more):
    answer = create(gateway, fresh(), headers, name, **more)
    assert answer.status == 201, repr(answer)
    return answer


# --------------------------------------------------------------------------------------- keys

def case_same_request(world):
    yield from each(world, same_request)


def same_request(world, gateway):
    headers, body = key(), fresh()
    first = create(gateway, body, headers)
    assert first.status == 201 and first.headers["location"], repr(first)
    text = json.dumps(dict(reversed(list(body.items()))), indent=3)
    for again in (body, text, "\t" + text + "\n"):
        first_again(first, create(gateway, again, headers))
    assert len(world.cloud.writes()) == 1, world.cloud.requests
    assert first.headers["x-request-id"] != create(gateway, body, headers).headers["x-request-id"]


def case_after_a_restart(world):
    yield from each(world, after_a_restart)


def after_a_restart(world, gateway):
    headers, body = key(), fresh()
    first = create(gateway, body, headers)
    for kill in (False, True):
        gateway.restart(kill)
        first_again(first, create(gateway, body, headers))
    assert len(world.cloud.writes()) == 1, world.cloud.requests
    seen = gateway.call("GET", first.headers["operation-location"])
    assert seen.status == 200 and seen.json()["status"] == "succeeded", repr(seen)


def case_the_caller_leaves_while_it_settles(world):
    """What took effect is a success for whoever comes back with the key, wherever the wait for its
    final state was cut short: in a pause, or in the middle of a look."""
    for name, moments in (("memory-slow", (0.1, 0.3)), ("router-slow", (0.3, 1.3, 1.6))):
        for seconds in moments:
            yield f"{name}, after {seconds} s", lambda n=name, s=seconds: leaves(world, n, s)


def leaves(world, name, seconds):
    headers = {**key(), "Prefer": "wait=10"}
    body = but("router" if name == "router-slow" else "net", resource_id=str(uuid.uuid4()))
    send_and_leave(world.sqlite, name, headers, body, seconds)
    comes_back(world.sqlite, name, headers, body)


def send_and_leave(gateway, name, headers, body, seconds):
    fields = {**headers, "Host": "localhost", "Authorization": "Bearer " + KEYS["portal"],
              "Content-Type": "application/json", "Content-Length": len(json.dumps(body))}
    head = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
        sock.sendall(f"POST {LOGS % name} HTTP/1.1\r\n{head}\r\n{json.dumps(body)}".encode())
        time.sleep(seconds)


def comes_back(gateway, name, headers, body):
    """The flow log was made, and that is what is told again."""
    answers = []

    def ended():
        answers.append(create(gateway, body, headers, name))
        return answers[-1].status != 409

    comes_true(ended, "the end of a write whose caller left")
    assert answers[-1].status == 201, repr(answers[-1])
    assert "idempotent-replayed" in answers[-1].headers, repr(answers[-1])
    told = gateway.call("GET", answers[-1].headers["operation-location"]).json()
    assert told["status"] == "succeeded", told


def case_the_caller_leaves_and_the_reply_is_lost(world):
    """Nobody is there to hear it, but it is looked whether the write took effect: whoever comes
    back with the key is told the flow log."""
    world.cloud.clear()

    def lost(link, request):
        world.cloud.fault = None
        time.sleep(0.3)
        world.cloud.systems.answer(request)
        link.reset()

    world.cloud.fault = lost
    gateway, headers, body = world.sqlite, key(), fresh()
    send_and_leave(gateway, "net", headers, body, 0.1)
    comes_back(gateway, "net", headers, body)
    assert len(world.cloud.writes()) == 1, world.cloud.requests


def case_another_replica(world):
    world.cloud.clear()
    headers, body = key(), fresh()
    first = create(world.postgresql, body, headers)
    first_again(first, create(world.replica, body, headers))
    problem(create(world.replica, fresh(), headers), 422, "idempotency_key_reused")
    seen = world.replica.call("GET", first.headers["operation-location"])
    assert seen.status == 200 and seen.json()["flow_log"]["id"] == first.json()["id"], repr(seen)
    assert len(world.cloud.writes()) == 1


def case_two_replicas_at_once(world):
    world.cloud.clear()
    world.cloud.delay = 0.3
    headers, body, answers = key(), fresh(), []
    threads = [threading.Thread(target=lambda g=g: answers.append(create(g, body, headers)))
               for g in (world.postgresql, world.replica) * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.cloud.clear()
    assert sorted({a.status for a in answers}) in ([201, 409], [201]), answers
    assert len({a.body for a in answers if a.status == 201}) == 1, answers
    assert len(world.cloud.systems.networks) >= 1
    rows = [row for row in world.cloud.systems.networks.values()
            if row["resource_id"] == body["resource_id"]]
    assert len(rows) == 1, rows


def case_another_request(world):
    yield from each(world, another_request)


def another_request(world, gateway):
    headers, body = key(), fresh()
    assert create(gateway, body, headers).status == 201
    for other in ({**body, "name": "another"}, {**body, "enabled": True}, fresh()):
        told = problem(create(gateway, other, headers), 422, "idempotency_key_reused")
        assert told["retryable"] is False and "Idempotency-Key" in told["detail"], told
    wish = {**headers, "Prefer": "handling=lenient"}
    problem(create(gateway, body, wish), 422, "idempotency_key_reused")
    assert len(world.cloud.writes()) == 1
    # the scope is caller and route: on another target the key is another one
    assert create(gateway, body, headers, "memory").status == 201


def case_another_change(world):
    yield from each(world, another_change)


def another_change(world, gateway):
    log, headers = made(gateway, name="memory").headers["location"], key()
    change = {"name": "renamed"}
    first = gateway.call("PATCH", log, change, headers={**headers, "If-Match": "*"})
    assert first.status == 200, repr(first)
    first_again(first, gateway.call("PATCH", log, change, headers={**headers, "If-Match": "*"}))
    problem(gateway.call("PATCH", log, change, headers=headers), 422, "idempotency_key_reused")
    problem(gateway.call("PATCH", log + "?replace=true", change,
                         headers={**headers, "If-Match": "*"}), 422, "idempotency_key_reused")


def case_while_the_first_runs(world):
    yield from each(world, while_the_first_runs)


def while_the_first_runs(world, gateway):
    headers, body, answers = key(), fresh(), []
    world.cloud.delay = 1.0
    thread = threading.Thread(target=lambda: answers.append(create(gateway, body, headers)))
    thread.start()
    comes_true(world.cloud.writes, "the cloud sees the first")
    replicas = [gateway] + ([world.replica] if gateway is world.postgresql else [])
    for other in replicas:
        answer = create(other, body, headers)
        told = problem(answer, 409, "operation_in_progress")
        assert int(answer.headers["retry-after"]) >= 1 and told["retryable"] is True, repr(answer)
        problem(create(other, fresh(), headers), 422, "idempotency_key_reused")
        rows = other.call("GET", "/v1/operations?status=running").json()["operations"]
        assert len(rows) == 1 and "http_status" not in rows[0], rows
        assert rows[0]["id"] in told["detail"], told
    thread.join()
    assert answers[0].status == 201, answers
    first_again(answers[0], create(gateway, body, headers))
    assert len(world.cloud.writes()) == 1


BAD_KEYS = {
    "unquoted": [("Idempotency-Key", "8e03978e")], "empty": [("Idempotency-Key", "")],
    "empty string": [("Idempotency-Key", '""')], "open": [("Idempotency-Key", '"abc')],
    "one quote": [("Idempotency-Key", '"')], "two strings": [("Idempotency-Key", '"a", "b"')],
    "bad escape": [("Idempotency-Key", '"a\\n"')], "open escape": [("Idempotency-Key", '"a\\"')],
    "with parameters": [("Idempotency-Key", '"a";b=1')], "token": [("Idempotency-Key", "a")],
    "not ASCII": [("Idempotency-Key", '"\xe4"')], "tab": [("Idempotency-Key", '"a\tb"')],
    "too long": [("Idempotency-Key", '"' + "k" * 256 + '"')],
    "twice": [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"a"')],
    "bytes": [("Idempotency-Key", ":YQ==:")], "number": [("Idempotency-Key", "17")],
}


def raw_create(gateway, fields, name="memory"):
    body = json.dumps(fresh()).encode()
    head = (f"POST {LOGS % name} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer portal-key-8d0c1f5f2a"
            f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n")
    came, _ = gateway.raw(head.encode("latin-1") + body)
    return int(came.split(b" ")[1]), came


def case_keys_that_are_none(world):
    for name, fields in BAD_KEYS.items():
        def run(fields=fields):
            world.cloud.clear()
            for gateway in (world.sqlite, world.none):
                status, came = raw_create(gateway, fields, "net")
                assert status == 400 and b"dempotency-" in came, came
            assert not world.cloud.requests
        yield name, run


def case_keys_that_are_good(world):
    for text in ('"k"', '"' + "k" * 255 + '"', '"a \\"b\\" \\\\ ~"', '  "blanks around"  '):
        status, came = raw_create(world.sqlite, [("idempotency-KEY", text)])
        assert status == 201, came
        assert raw_create(world.sqlite, [("Idempotency-Key", text)])[0] == 422  # it is bound


def case_another_caller(world):
    yield from each(world, another_caller)


def another_caller(world, gateway):
    headers, body = key(), fresh()
    first = create(gateway, body, headers)
    second = create(gateway, body, headers, key="narrow")
    assert first.status == second.status == 201, f"{first!r} {second!r}"
    assert first.json()["id"] != second.json()["id"] and len(world.cloud.writes()) == 2
    where = first.headers["operation-location"]
    assert gateway.call("GET", where).status == 200
    problem(gateway.call("GET", where, key="narrow"), 404, "not_found")
    rows = gateway.call("GET", "/v1/operations", key="narrow").json()["operations"]
    assert where.rsplit("/", 1)[1] not in [row["id"] for row in rows], rows
    problem(create(gateway, body, headers, key="reader"), 403)


def case_what_binds_nothing(world):
    yield from each(world, what_binds_nothing)


def what_binds_nothing(world, gateway):
    headers, body = key(), fresh()
    before = len(gateway.call("GET", "/v1/operations?page_size=200").json()["operations"])
    assert create(gateway, body, headers, query="?dry_run=true").status == 200
    problem(create(gateway, {**body, "nmae": 1}, headers), 422)
    problem(create(gateway, "{", headers), 400)
    problem(create(gateway, {**body, "aggregation_interval": 17}, headers), 422)
    problem(gateway.call("POST", LOGS % "net", "x", headers={**headers, "Content-Type": "a/b"}), 415)
    problem(create(gateway, body, headers, key="nobody"), 401)
    rows = gateway.call("GET", "/v1/operations?page_size=200").json()["operations"]
    assert len(rows) == before and not world.cloud.requests, rows
    assert create(gateway, body, headers).status == 201
    assert len(world.cloud.writes()) == 1


def case_a_refusal_is_kept(world):
    yield from each(world, a_refusal_is_kept)


def a_refusal_is_kept(world, gateway):
    headers, body = key(), fresh()
    world.cloud.fault = lambda link, request: link.reply(
        409, {"code": "VPC.3004", "message": "It is there already."})
    first = create(gateway, body, headers)
    told = problem(first, 409, "conflict")
    assert told["retryable"] is False, told
    world.cloud.fault = None
    first_again(first, create(gateway, body, headers))
    assert len(world.cloud.writes()) == 1
    seen = gateway.call("GET", first.headers["operation-location"]).json()
    assert seen["status"] == "failed" and seen["http_status"] == 409, seen
    assert seen["error"] == told, seen


def case_worth_another_try(world):
    yield from each(world, worth_another_try)


def worth_another_try(world, gateway):
    headers, body = key(), fresh()
    world.cloud.fault = lambda link, request: link.reply(
        429, {"error_code": "APIGW.0308", "error_msg": "slow down"}, [("Retry-After", "1")])
    first = create(gateway, body, headers)
    told = problem(first, (429, 503))
    assert told["retryable"] is True and first.headers["retry-after"], repr(first)
    seen = gateway.call("GET", first.headers["operation-location"]).json()
    assert seen["status"] == "failed", seen
    world.cloud.fault = None
    again = create(gateway, body, headers)
    for _ in range(50):  # the breaker and the retry budget may still hold it back
        if again.status == 201:
            break
        problem(again, 503)
        time.sleep(0.2)
        again = create(gateway, body, headers)
    assert again.status == 201 and "idempotent-replayed" not in again.headers, repr(again)
    first_again(again, create(gateway, body, headers))


def case_deletes(world):
    yield from each(world, deletes)


def deletes(world, gateway):
    log, headers = made(gateway).headers["location"], key()
    first = gateway.call("DELETE", log, headers=headers)
    assert first.status == 204, repr(first)
    first_again(first, gateway.call("DELETE", log, headers=headers))
    assert len([r for r in world.cloud.requests if r.method == "DELETE"]) == 1
    problem(gateway.call("DELETE", log + "0", headers=key()), 404)
    row = gateway.call("GET", first.headers["operation-location"]).json()
    assert row["operation"] == "delete" and row["status"] == "succeeded", row
    assert row["flow_log_id"] == log.rsplit("/", 1)[1] and "flow_log" not in row, row


def case_changes(world):
    yield from each(world, changes)


def changes(world, gateway):
    log, headers = made(gateway, name="memory").headers["location"], key()
    first = gateway.call("PATCH", log, {"name": "renamed", "enabled": False}, headers=headers)
    assert first.status == 200 and first.json()["enabled"] is False, repr(first)
    assert gateway.call("PATCH", log, {"enabled": True}, headers=key()).status == 200
    again = gateway.call("PATCH", log, {"enabled": False, "name": "renamed"}, headers=headers)
    first_again(first, again)
    assert gateway.call("GET", log).json()["enabled"] is True
    missing = gateway.call("PATCH", log + "0", {"name": "x1"}, headers=headers)
    problem(missing, 404, "not_found")  # another path, another key


def case_several_targets(world):
    yield from each(world, several_targets)


def several_targets(world, gateway):
    for policy in ("best_effort", "all"):
        headers, body = key(), fresh()
        request = {**body, "targets": ["memory", "net", "other"], "policy": policy}
        first = gateway.call("POST", "/v1/flow-logs", request, headers=headers)
        assert first.status == 201, repr(first)
        first_again(first, gateway.call("POST", "/v1/flow-logs", request, headers=headers))
        problem(gateway.call("POST", "/v1/flow-logs", {**request, "targets": ["net"]},
                             headers=headers), 422, "idempotency_key_reused")
        row = gateway.call("GET", first.headers["operation-location"]).json()
        assert row["status"] == "succeeded" and row["targets"] == request["targets"], row
        assert row["results"] == first.json()["results"], row
        found = [r for r in world.cloud.systems.networks.values()
                 if r["resource_id"] == body["resource_id"]]
        assert len(found) == 1, found


def case_without_a_store(world):
    told = problem(create(world.none, fresh(), key()), 501, "not_implemented")
    assert "store" in told["detail"] and "journal" in told["detail"], told
    for path in ("/v1/operations", "/v1/operations/" + "0" * 32):
        told = problem(world.none.call("GET", path), 501, "not_implemented")
        assert "store" in told["detail"], told
    answer = create(world.none, fresh())
    assert answer.status == 201 and "operation-location" not in answer.headers, repr(answer)
    assert world.none.admin("/readyz").status == 200
    assert b"sluice_journal" not in world.none.admin("/metrics").body


def case_reads_need_no_key(world):
    answer = world.sqlite.call("GET", LOGS % "memory", headers={"Idempotency-Key": "whatever"})
    assert answer.status == 200 and "operation-location" not in answer.headers, repr(answer)


# --------------------------------------------------------------------------------- operations

def case_operations(world):
    yield from each(world, operations)


def operations(world, gateway):
    first = made(gateway, name="memory")
    log = first.headers["location"]
    pause = 0.01  # the order of what begins in one millisecond is not told
    time.sleep(pause)
    gateway.call("PATCH", log, {"name": "renamed"})
    time.sleep(pause)
    gateway.call("DELETE", log)
    time.sleep(pause)
    problem(gateway.call("DELETE", LOGS % "memory" + "/never-there"), 404)
    rows = gateway.call("GET", "/v1/operations?target=memory&page_size=4").json()["operations"]
    assert [(r["operation"], r["status"]) for r in rows] == [
        ("delete", "failed"), ("delete", "succeeded"), ("update", "succeeded"),
        ("create", "succeeded")], rows
    assert rows[3] == gateway.call("GET", first.headers["operation-location"]).json()
    assert rows[3]["flow_log"] == first.json() and rows[3]["http_status"] == 201, rows[3]
    assert rows[3]["target"] == "memory" and rows[3]["created_at"] <= rows[3]["updated_at"]
    assert rows[0]["error"]["code"] == "not_found", rows[0]
    where = first.headers["operation-location"]
    gateway.restart()
    assert gateway.call("GET", where).json() == rows[3]
    for missing in ("/v1/operations/" + uuid.uuid4().hex, "/v1/operations/x",
                    "/v1/operations/" + "Z" * 32, "/v1/operations/%00"):
        answer = gateway.call("GET", missing)
        problem(answer, 404, "not_found")
    problem(gateway.call("DELETE", where), 405)


def case_writes_at_a_door(world):
    world.cloud.clear()
    method, path, query, body, _ = NATIVE["net"]
    log = {**body["flow_log"], "resource_id": str(uuid.uuid4())}
    text = json.dumps({"flow_log": log}).encode()
    answer = knock(world.door, "sdk-hmac-sha256", "DOORKEY", DOOR_SECRET, method, path, query,
                   {"content-type": "application/json"}, text)
    assert answer.status in (200, 201), repr(answer)
    row = world.sqlite.call("GET", "/v1/operations?page_size=1").json()["operations"][0]
    assert row["operation"] == "create" and row["status"] == "succeeded", row
    assert row["target"] == "net" and row["http_status"] == answer.status, row
    assert row["flow_log_id"] == json.loads(answer.body)["flow_log"]["id"], row
    assert not {"flow_log", "error", "results"} & set(row), row
    assert len(world.cloud.writes()) == 1


def case_nothing_stands_of_several(world):
    yield from each(world, nothing_stands_of_several)


def nothing_stands_of_several(world, gateway):
    for policy in ("best_effort", "all"):
        headers, body = key(), fresh()
        targets = ["net"] if policy == "best_effort" else ["memory", "net"]
        request = {**body, "targets": targets, "policy": policy}
        world.cloud.fault = lambda link, request: link.reply(
            429, {"error_code": "APIGW.0308", "error_msg": "slow down"})
        first = gateway.call("POST", "/v1/flow-logs", request, headers=headers)
        assert first.status == 207, repr(first)
        row = gateway.call("GET", first.headers["operation-location"]).json()
        assert row["status"] == "failed" and row["results"] == first.json()["results"], row
        world.cloud.fault = None
        again = gateway.call("POST", "/v1/flow-logs", request, headers=headers)
        assert "idempotent-replayed" not in again.headers, repr(again)
        for _ in range(50):
            if again.status == 201:
                break
            time.sleep(0.2)
            again = gateway.call("POST", "/v1/flow-logs", request, headers=headers)
        first_again(again, gateway.call("POST", "/v1/flow-logs", request, headers=headers))
        made_now = [log for log in world.cloud.systems.networks.values()
                    if log["resource_id"] == body["resource_id"]]
        assert again.status == 201 and len(made_now) == 1, repr(again)


def case_some_of_several_stand(world):
    yield from each(world, some_of_several_stand)


def some_of_several_stand(world, gateway):
    headers = key()
    request = {**fresh(), "targets": ["memory", "net"]}
    world.cloud.fault = lambda link, request: link.reply(
        409, {"code": "VPC.3004", "message": "It is there already."})
    first = gateway.call("POST", "/v1/flow-logs", request, headers=headers)
    assert first.status == 207, repr(first)
    world.cloud.fault = None
    first_again(first, gateway.call("POST", "/v1/flow-logs", request, headers=headers))
    row = gateway.call("GET", first.headers["operation-location"]).json()
    assert row["status"] == "failed", row


def case_operations_in_pages(world):
    yield from each(world, operations_in_pages)


def walk(gateway, query):
    rows, token = [], None
    while True:
        answer = gateway.call("GET", "/v1/operations?" + query
                              + (f"&page_token={token}" if token else ""))
        assert answer.status == 200, repr(answer)
        page = answer.json()
        rows += page["operations"]
        token = page["next_page_token"]
        if not token:
            return rows


def operations_in_pages(world, gateway):
    ids = []
    for _ in range(7):
        answer = made(gateway, name="other")
        ids.append(answer.headers["operation-location"].rsplit("/", 1)[1])
        time.sleep(0.01)  # the order of what begins in one millisecond is not told
    for size in (1, 3, 7, 200):
        rows = walk(gateway, f"target=other&operation=create&page_size={size}")
        assert [row["id"] for row in rows][:7] == ids[::-1], (size, rows)
        assert len({row["id"] for row in rows}) == len(rows)
    assert walk(gateway, "target=other&status=succeeded&page_size=200")[0]["id"] == ids[-1]
    assert not walk(gateway, "target=nowhere")
    everything = walk(gateway, "page_size=50")
    failed = walk(gateway, "page_size=2&status=failed")
    assert failed == [row for row in everything if row["status"] == "failed"]
    times = [row["created_at"] for row in everything]
    assert times == sorted(times, reverse=True), times


def case_operations_asked_wrongly(world):
    for query in ("status=done", "operation=read", "page_size=0", "page_size=201", "page_size=x",
                  "page_token=x", "page_token=1-2", "page_token=-" + "0" * 32, "colour=red",
                  "status=failed&status=failed", "operation=list", "operation=get"):
        def run(query=query):
            problem(world.sqlite.call("GET", "/v1/operations?" + query), 400, "bad_parameter")
        yield query, run


# ------------------------------------------------------------------- a store that is not there

def refuses_writes(world, gateway):
    world.cloud.clear()
    headers, body = key(), fresh()
    before = gateway.call("GET", LOGS % "net")
    assert before.status == 200, repr(before)
    world.cloud.clear()
    for wanted in (lambda: create(gateway, body, headers), lambda: create(gateway, body),
                   lambda: gateway.call("DELETE", LOGS % "net" + "/" + str(uuid.uuid4())),
                   lambda: gateway.call("PATCH", LOGS % "memory" + "/x", {"name": "y1"})):
        answer = wanted()
        told = problem(answer, 503)
        assert told["retryable"] is True and answer.headers["retry-after"], repr(answer)
        assert "nothing was sent" in told["detail"] or "cannot be" in told["detail"], told
    assert not world.cloud.requests, world.cloud.requests
    assert gateway.call("GET", LOGS % "net").status == 200
    ready = gateway.admin("/readyz")
    assert ready.status == 503 and ready.json()["status"] == "store_not_writable", repr(ready)
    assert ready.json()["detail"], repr(ready)
    assert gateway.admin("/healthz").status == 200
    assert b"\nsluice_journal_writable 0\n" in gateway.admin("/metrics").body
    return headers, body


def recovers(world, gateway, headers, body):
    comes_true(lambda: gateway.admin("/readyz").status == 200, "ready again", 60)
    world.cloud.clear()
    answer = create(gateway, body, headers)
    assert answer.status == 201, repr(answer)
    first_again(answer, create(gateway, body, headers))
    comes_true(lambda: told_store(gateway)[0] == told_store(gateway)[1] > 0, "told")
    for line in gateway.err.read_text().splitlines():
        assert line.startswith("{"), f"not of its log: {line}"


def told_store(gateway):
    """How often its log says that the store failed, and that it is back."""
    text = gateway.err.read_text()
    return text.count("the store cannot be written"), text.count("can be written again")


def not_ready(gateway):
    comes_true(lambda: gateway.admin("/readyz").status == 503, "not ready", 60)
    comes_true(lambda: told_store(gateway)[0] == told_store(gateway)[1] + 1, "told")


def as_nobody(world, folder):
    """How to run sluice as somebody who may not do all that root may."""
    if os.getuid() != 0:
        return world.binary
    os.chown(folder, 65534, 65534)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return types.SimpleNamespace(command=[*command, *world.binary.command],
                                 slow=world.binary.slow, plain=world.binary.plain)


def case_a_read_only_directory(world):
    with tempfile.TemporaryDirectory(prefix="sluice-ro-") as folder:
        os.chmod(folder, 0o755)
        inner = pathlib.Path(folder) / "store"
        inner.mkdir()
        binary = as_nobody(world, inner)
        inner.chmod(0o500)
        gateway = Nobody(binary, world.targets, store={"sqlite": f"{inner}/journal.db"})
        try:
            not_ready(gateway)
            headers, body = refuses_writes(world, gateway)
            problem(gateway.call("GET", "/v1/operations"), 503)
            inner.chmod(0o700)
            recovers(world, gateway, headers, body)
        finally:
            gateway.done()


class Nobody(Gateway):
    """Reads its configuration as another user."""

    def __init__(self, binary, targets, **more):
        old = os.umask(0o022)
        try:
            make = tempfile.TemporaryDirectory

            def open_folder(**names):
                folder = make(**names)
                os.chmod(folder.name, 0o755)
                return folder
            tempfile.TemporaryDirectory = open_folder
            super().__init__(binary, targets, **more)
        finally:
            tempfile.TemporaryDirectory = make
            os.umask(old)


def case_a_full_disk(world):
    if os.getuid() != 0:
        return  # only root can make a file system of its own
    with tempfile.TemporaryDirectory(prefix="sluice-full-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
        try:
            gateway = Gateway(world.binary, world.targets, store={"sqlite": f"{folder}/journal.db"})
            try:
                full_disk(world, gateway, folder)
            finally:
                gateway.done()
        finally:
            subprocess.run(["umount", folder], check=True)


def full_disk(world, gateway, folder):
    comes_true(lambda: gateway.admin("/readyz").status == 200, "ready")
    kept, told = key(), fresh()
    first = create(gateway, told, kept)
    with open(f"{folder}/ballast", "wb", buffering=0) as ballast:
        with contextlib.suppress(OSError):
            while ballast.write(b"x" * 1024):
                pass
    for _ in range(2000):  # the room that the journal had already is used up first
        answer = create(gateway, fresh(), key(), "memory")
        if answer.status == 503:
            break
        assert answer.status == 201, repr(answer)
    not_ready(gateway)
    headers, body = refuses_writes(world, gateway)
    seen = gateway.call("GET", first.headers["operation-location"])
    assert seen.status == 200, repr(seen)  # reads go on
    os.unlink(f"{folder}/ballast")
    recovers(world, gateway, headers, body)
    first_again(first, create(gateway, told, kept))


def case_postgresql_stops(world):
    for how in (signal.SIGQUIT, signal.SIGINT):
        world.server.stop(how)
        not_ready(world.postgresql)
        not_ready(world.replica)
        headers, body = refuses_writes(world, world.postgresql)
        problem(world.replica.call("GET", "/v1/operations"), 503)
        world.server.start()
        recovers(world, world.postgresql, headers, body)
        comes_true(lambda: world.replica.admin("/readyz").status == 200, "the replica, too", 60)


def case_wrong_password(world):
    gateway = Gateway(world.binary, world.targets,
                      store={"postgresql": world.server.string("wrong-" + PASSWORD)})
    try:
        not_ready(gateway)
        refuses_writes(world, gateway)
        everything = gateway.output() + b"".join(gateway.heard)
        assert PASSWORD.encode() not in everything, everything
    finally:
        gateway.done()


def case_one_file_one_process(world):
    gateway = Gateway(world.binary, world.targets,
                      store={"sqlite": world.sqlite.config["store"]["sqlite"]})
    try:
        not_ready(gateway)
        refuses_writes(world, gateway)
        assert create(world.sqlite, fresh(), key()).status == 201
    finally:
        gateway.done()


# ------------------------------------------------------------------------------------ metrics

def case_metrics(world):
    text = world.sqlite.admin("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert int(values["sluice_journal_writable"]) == 1
    assert int(values["sluice_journal_commits_total"]) > 0
    assert int(values["sluice_journal_writes_total"]) >= int(values["sluice_journal_commits_total"])
    assert int(values["sluice_journal_largest_group"]) >= 1
    for name in ("queued", "failures_total", "reads_total", "pruned_total"):
        assert int(values[f"sluice_journal_{name}"]) >= 0, name

"""What callers are told about writes: what is refused before it is recorded, what an operation tells
while it runs and when it is over, keys at doors, and answers that the journal cannot keep."""
import contextlib
import json
import os
import pathlib
import sqlite3
import tempfile
import threading
import time
import types
import uuid

from bodies import NATIVE, but, problem
from cloud import Cloud
from gateway import CLOUD_KEYS, PROJECT, Gateway, free_port, target
from seal import knock

MEMCHECK = False
SECOND = PROJECT[::-1]
DOOR_SECRET = "door-secret-of-the-answers"
CALM = {"breaker": {"failure_percent": 0}, "timeout_ms": 9000, "total_timeout_ms": 20000}


@contextlib.contextmanager
def world(binary):
    home = tempfile.TemporaryDirectory(prefix="sluice-answers-")
    cloud, door = Cloud(CLOUD_KEYS), free_port()
    targets = {"net": target("otc-vpc", cloud.url, **CALM),
               "net2": target("otc-vpc", cloud.url, parameters={"project_id": SECOND}, **CALM),
               "ali": target("alibaba-vpc", cloud.url, **CALM),
               "router": target("otc-er", cloud.url, **CALM),
               "memory": {"dialect": "memory", "settle_ms": 0}}
    doors = [{"dialect": "otc-vpc", "address": f"127.0.0.1:{door}", "target": "net",
              "parameters": {"project_id": PROJECT},
              "credentials": [{"caller": "portal", "access_key": "DOORKEY",
                               "secret_key": {"value": DOOR_SECRET}}]}]
    store = f"{home.name}/journal.db"
    gateway = Gateway(binary, targets, doors=doors, store={"sqlite": store})
    try:
        ready(gateway)
        yield types.SimpleNamespace(binary=binary, cloud=cloud, gateway=gateway, door=door,
                                    store=store, home=home.name)
        assert DOOR_SECRET.encode() not in gateway.output() + b"".join(gateway.heard)
    finally:
        gateway.done()
        cloud.stop()
        home.cleanup()


def comes_true(question, what, seconds=20):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def ready(gateway):
    comes_true(lambda: gateway.admin("/readyz").status == 200, "ready")


def key():
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def fresh(base="net", **changes):
    return but(base, resource_id=str(uuid.uuid4()), **changes)


def everywhere(world, body, headers=None):
    return world.gateway.call("POST", "/v1/flow-logs", body, headers=headers or {})


def operations(world):
    return world.gateway.call("GET", "/v1/operations?page_size=200").json()["operations"]


def look(world, where):
    answer = world.gateway.call("GET", where)
    assert answer.status == 200, repr(answer)
    return answer.json()


def over(world, where):
    comes_true(lambda: look(world, where)["status"] != "running", "the operation's end")
    return look(world, where)


def holding(cloud, when):
    """Requests of which `when` is true take effect and are not answered until the event is set."""
    seen, let = threading.Event(), threading.Event()

    def fault(link, request):
        status, headers, body = cloud.systems.answer(request)
        if when(request):
            seen.set()
            let.wait(20)
        link.reply(status, body, headers)
    cloud.fault = fault
    return seen, let


def in_the_second(request):
    return request.method == "POST" and SECOND in request.path


@contextlib.contextmanager
def meanwhile(function):
    """The function runs beside what follows; it may end by a gateway that was killed."""
    came = []

    def run():
        with contextlib.suppress(OSError):
            came.append(function())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield came
    finally:
        thread.join()


# ------------------------------------------------------------------- refused before it is recorded

def case_all_is_checked_before_it_is_accepted(world):
    world.cloud.clear()
    body, count = {**fresh(), "targets": ["net", "ali"], "policy": "all"}, len(operations(world))
    for wish in ({}, {"Prefer": "respond-async"}):
        answer = everywhere(world, body, {**key(), **wish})
        told = problem(answer, 422)
        assert "error" in told["results"][1] and "operation-location" not in answer.headers, told
    assert not world.cloud.requests, world.cloud.requests
    assert len(operations(world)) == count


def case_what_no_target_takes_binds_nothing(world):
    for policy in ("best_effort", "all"):
        for wish in ({}, {"Prefer": "respond-async"}):
            def run(policy=policy, wish=wish):
                refused_everywhere(world, policy, {**key(), **wish})
            yield f"{policy} {' '.join(wish.values())}", run


def refused_everywhere(world, policy, headers):
    world.cloud.clear()
    count = len(operations(world))
    body = {**fresh(), "targets": ["net", "net2"], "policy": policy}
    answer = everywhere(world, {**body, "aggregation_interval": 17}, headers)
    assert answer.status == (422 if policy == "all" else 207), repr(answer)
    assert all(one["error"]["status"] == 422 for one in answer.json()["results"]), repr(answer)
    assert "operation-location" not in answer.headers and len(operations(world)) == count
    assert not world.cloud.requests, world.cloud.requests
    answer = everywhere(world, body, headers)
    assert answer.status == (202 if "Prefer" in headers else 201), repr(answer)
    assert over(world, answer.headers["operation-location"])["status"] == "succeeded"


def case_one_target_of_several_takes_it(world):
    body = {**fresh(), "targets": ["ali", "net"]}
    answer = everywhere(world, body, key())
    assert answer.status == 207, repr(answer)
    assert [one["outcome"] for one in answer.json()["results"]] == ["failed", "created"]
    assert look(world, answer.headers["operation-location"])["status"] == "failed"


# --------------------------------------------------------------------------- a target that is gone

def case_a_target_is_gone_after_a_crash(world):
    for policy in ("best_effort", "all"):
        def run(policy=policy):
            target_gone(world, policy)
        yield policy, run


def target_gone(world, policy):
    world.cloud.clear()
    headers, body = key(), {**fresh(), "targets": ["net", "net2"], "policy": policy}
    seen, let = holding(world.cloud, in_the_second)
    with meanwhile(lambda: everywhere(world, body, headers)):
        assert seen.wait(10)
        time.sleep(0.2)
        without(world, "net2", kill=True)
        world.cloud.fault = None
        let.set()
    told = over(world, "/v1/operations/" + operations(world)[0]["id"])
    assert told["status"] == "unknown" and told["http_status"] == 207, told
    assert told["targets"] == ["net", "net2"] and len(told["results"]) == 2, told
    first, second = told["results"]
    assert first["outcome"] == "created", told  # and not undone for the sake of what nobody knows
    assert second["target"] == "net2" and second["outcome"] == "unknown", second
    assert "not configured" in second["error"]["detail"] and not second["error"]["retryable"], second
    with_all(world)
    again = everywhere(world, body, headers)
    assert again.headers["idempotent-replayed"] == "true", repr(again)
    assert again.json()["results"] == told["results"], repr(again)


def without(world, name, kill=False):
    config = {**world.gateway.config, "targets": {n: t for n, t in world.gateway.config["targets"].items()
                                                  if n != name}}
    pathlib.Path(world.gateway.file).write_text(json.dumps(config))
    world.gateway.restart(kill)
    ready(world.gateway)


def with_all(world):
    pathlib.Path(world.gateway.file).write_text(json.dumps(world.gateway.config))
    world.gateway.restart()
    ready(world.gateway)


# ---------------------------------------------------------------------- what an operation tells

def case_a_part_tells_its_calls(world):
    world.cloud.clear()
    given = []

    def fault(link, request):
        status, headers, body = world.cloud.systems.answer(request)
        given.extend(value for name, value in headers if name.lower() == "x-request-id")
        link.reply(status, body, headers)
    world.cloud.fault = fault
    answer = world.gateway.create("net", fresh(), headers=key())
    told = look(world, answer.headers["operation-location"])
    assert told["parts"] == [{"target": "net", "status": "succeeded",
                              "flow_log_id": answer.json()["id"], "attempts": 1,
                              "upstream_request_ids": given}] and len(given) == 1, told
    assert "progress" not in told, told
    assert [row for row in operations(world) if row["id"] == told["id"]] == [told]


def case_a_part_tells_its_attempts(world):
    world.cloud.clear()

    def fault(link, request):
        if len(world.cloud.requests) < 3:
            link.reply(429, {"error_code": "APIGW.0308", "error_msg": "slow"},
                       [("X-Request-Id", f"slow-{len(world.cloud.requests)}")])
            return
        link.reply(409, {"code": "VPC.3004", "message": "exists"}, [("X-Request-Id", "refused")])
    world.cloud.fault = fault
    answer = world.gateway.create("net", fresh(), headers=key(), timeout=30)
    problem(answer, 409, "conflict")
    part, = look(world, answer.headers["operation-location"])["parts"]
    assert part == {"target": "net", "status": "failed", "attempts": 3,
                    "upstream_request_ids": ["slow-1", "slow-2", "refused"]}, part


def commits(world):
    text = world.gateway.admin("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return int(values["sluice_journal_writes_total"])


def case_what_is_told_costs_a_plain_write_nothing(world):
    world.cloud.clear()
    before = commits(world)
    for _ in range(5):
        assert world.gateway.create("net", fresh()).status == 201
    assert commits(world) == before + 10, "a begin and an end for each"


def case_several_tell_their_parts_while_they_run(world):
    world.cloud.clear()
    seen, let = holding(world.cloud, in_the_second)
    body = {**fresh(), "targets": ["net", "net2", "ali"]}
    answer = everywhere(world, body, {**key(), "Prefer": "respond-async"})
    first = answer.json()
    assert answer.status == 202 and first["targets"] == body["targets"], repr(answer)
    assert first["status"] == "running" and len(first["parts"]) == 3, first
    assert seen.wait(10)
    where = answer.headers["location"]
    comes_true(lambda: look(world, where)["progress"]["done"] == 2, "the ends of the two others", 5)
    told = look(world, where)
    assert told["progress"] == {"done": 2, "of": 3} and told["targets"] == body["targets"], told
    assert [part["status"] for part in told["parts"]] == ["succeeded", "running", "failed"], told
    assert told["parts"][0]["flow_log_id"] and told["parts"][1]["step"] == "send", told
    again = everywhere(world, body, {**key(), "Prefer": "respond-async"})
    assert again.json()["id"] != first["id"]
    let.set()
    told = over(world, where)
    assert [part["status"] for part in told["parts"]] == ["succeeded", "succeeded", "failed"], told
    assert "progress" not in told and "step" not in str(told["parts"]), told
    assert told["parts"][2]["attempts"] == 0, told


def case_what_is_undone_has_failed(world):
    world.cloud.clear()
    world.cloud.fault = lambda link, request: (
        link.reply(409, {"code": "VPC.3004", "message": "exists"}) if in_the_second(request)
        else (lambda s, h, b: link.reply(s, b, h))(*world.cloud.systems.answer(request)))
    answer = everywhere(world, {**fresh(), "targets": ["net", "net2"], "policy": "all"}, key())
    assert [one["outcome"] for one in answer.json()["results"]] == ["undone", "failed"], repr(answer)
    parts = look(world, answer.headers["operation-location"])["parts"]
    assert [(part["status"], part["attempts"]) for part in parts] == [("failed", 2), ("failed", 1)]


def case_a_long_write_tells_where_it_is(world):
    world.cloud.clear()
    seen, let = holding(world.cloud, lambda request: request.method == "POST")
    headers, body = key(), fresh()
    answer = world.gateway.create("net", body, headers={**headers, "Prefer": "respond-async"})
    where = answer.headers["location"]
    assert seen.wait(10)
    assert look(world, where)["progress"] == {"done": 0, "of": 1}
    comes_true(lambda: "step" in look(world, where)["parts"][0], "the step", 5)
    part, = look(world, where)["parts"]
    assert part == {"target": "net", "status": "running", "step": "send", "attempts": 1}, part
    again = world.gateway.create("net", body, headers={**headers, "Prefer": "respond-async"})
    assert again.status == 202 and again.json() == look(world, where), repr(again)
    let.set()
    told = over(world, where)
    assert told["status"] == "succeeded" and told["parts"][0]["status"] == "succeeded", told


def case_a_patch_that_is_not_possible_leaves_nothing(world):
    world.cloud.clear()
    log, count = world.gateway.create("net", fresh()).headers["location"], len(operations(world))
    headers = key()
    refused = world.gateway.call("PATCH", log, {"traffic_type": "all"}, headers=headers)
    problem(refused, 422)
    assert "operation-location" not in refused.headers, repr(refused)
    assert len(operations(world)) == count and len(world.cloud.writes()) == 1
    done = world.gateway.call("PATCH", log, {"name": "renamed"}, headers=headers)
    assert done.status == 200 and done.headers["operation-location"], repr(done)
    answer = world.gateway.call("PATCH", log, {"traffic_type": "all"},
                                headers={**key(), "Prefer": "respond-async"})
    told = over(world, answer.headers["location"])  # who was told of it finds it
    assert told["status"] == "failed" and told["error"]["status"] == 422, told


# --------------------------------------------------------------- what the journal does not take

def case_an_answer_too_large_to_keep(world):
    world.cloud.clear()
    names = {f"n{i}": target("otc-vpc", world.cloud.url, parameters={"project_id": f"{i}" * 32},
                             reply_bytes=8 << 20, **CALM) for i in range(1, 5)}

    def fault(link, request):
        status, headers, body = world.cloud.systems.answer(request)
        if request.method == "POST":
            body["flow_log"] = dict(body["flow_log"], extra="y" * 3000000)
        link.reply(status, body, headers)
    world.cloud.fault = fault
    gateway = Gateway(world.binary, names, store={"sqlite": f"{world.home}/large.db"},
                      limits={"request_bytes": 200 << 20})
    try:
        ready(gateway)
        body, headers = {**fresh(), "targets": list(names)}, key()
        first = gateway.call("POST", "/v1/flow-logs", body, headers=headers, timeout=60)
        assert first.status == 201 and len(first.body) > 8 << 20, (first.status, len(first.body))
        told = gateway.call("GET", first.headers["operation-location"]).json()
        assert told["status"] == "succeeded" and told["http_status"] == 201, str(told)[:500]
        ids = [one["id"] for one in first.json()["results"]]
        assert [one["id"] for one in told["results"]] == ids, told
        again = gateway.call("POST", "/v1/flow-logs", body, headers=headers)
        assert again.status == 201 and again.headers["idempotent-replayed"] == "true", repr(again)
        assert [one["id"] for one in again.json()["results"]] == ids, repr(again)
        assert "larger than the journal keeps" in again.json()["detail"], repr(again)
    finally:
        gateway.done()


def case_a_key_is_told_while_the_store_cannot_be_written(world):
    world.cloud.clear()
    path = f"{world.home}/busy.db"
    gateway = Gateway(world.binary, {"net": target("otc-vpc", world.cloud.url, **CALM)},
                      store={"sqlite": path})
    other = sqlite3.connect(path, isolation_level=None)
    try:
        ready(gateway)
        headers, body = key(), fresh()
        first = gateway.create("net", body, headers=headers)
        other.execute("begin immediate")
        comes_true(lambda: gateway.admin("/readyz").status == 503, "not ready")
        again = gateway.create("net", body, headers=headers)
        assert (again.status, again.body) == (first.status, first.body), repr(again)
        assert again.headers["idempotent-replayed"] == "true", repr(again)
        problem(gateway.create("net", fresh(), headers=headers), 422, "idempotency_key_reused")
        refused = gateway.create("net", fresh(), headers=key())
        told = problem(refused, 503)
        assert "nothing was sent" in told["detail"] and "locked" in told["detail"], told
        assert told["retryable"] is True and refused.headers["retry-after"], repr(refused)
        problem(gateway.create("net", fresh()), 503)
        other.execute("rollback")
        ready(gateway)
        assert len(world.cloud.writes()) == 1
    finally:
        other.close()
        gateway.done()


# ------------------------------------------------------------------------------- keys at a door

def native(resource, **changes):
    return {"flow_log": {**NATIVE["net"][3]["flow_log"], "resource_id": resource, **changes}}


def at_the_door(world, method, path, body, headers):
    text = json.dumps(body).encode() if body else b""
    return knock(world.door, "sdk-hmac-sha256", "DOORKEY", DOOR_SECRET, method,
                 f"/v1/{PROJECT}/fl/flow_logs{path}", {},
                 {"content-type": "application/json", **{n.lower(): v for n, v in headers.items()}}, text)


def again_at_the_door(first, again):
    assert (again.status, again.body) == (first.status, first.body), f"{first!r}\n{again!r}"
    assert again.headers.get("content-type") == first.headers.get("content-type")
    assert again.headers["idempotent-replayed"] == "true", repr(again)
    assert "idempotent-replayed" not in first.headers, repr(first)


def case_a_key_at_a_door(world):
    world.cloud.clear()
    headers, body = key(), native(str(uuid.uuid4()))
    first = at_the_door(world, "POST", "", body, headers)
    assert first.status in (200, 201), repr(first)
    again_at_the_door(first, at_the_door(world, "POST", "", body, headers))
    assert len(world.cloud.writes()) == 1
    other = at_the_door(world, "POST", "", native(str(uuid.uuid4())), headers)
    assert other.status in (400, 409) and b"sent with this" in other.body, repr(other)
    # the same key elsewhere is another one
    log = json.loads(first.body)["flow_log"]["id"]
    rename = {"flow_log": {"name": "renamed"}}
    changed = at_the_door(world, "PUT", f"/{log}", rename, headers)
    assert changed.status == 200, repr(changed)
    again_at_the_door(changed, at_the_door(world, "PUT", f"/{log}", rename, headers))
    gone = at_the_door(world, "DELETE", f"/{log}", None, headers)
    assert gone.status == 204, repr(gone)
    again_at_the_door(gone, at_the_door(world, "DELETE", f"/{log}", None, headers))
    assert at_the_door(world, "DELETE", f"/{uuid.uuid4()}", None, headers).status == 404
    assert world.gateway.create("net", fresh(), headers=headers).status == 201


def case_a_key_at_a_door_that_is_none(world):
    world.cloud.clear()
    for text in ("unquoted", '""', '"a", "b"'):
        answer = at_the_door(world, "POST", "", native(str(uuid.uuid4())), {"Idempotency-Key": text})
        assert answer.status == 400 and b"Idempotency-Key" in answer.body, repr(answer)
    assert not world.cloud.writes()


def case_a_key_at_a_door_is_running(world):
    world.cloud.clear()
    seen, let = holding(world.cloud, lambda request: request.method == "POST")
    headers, body = key(), native(str(uuid.uuid4()))
    with meanwhile(lambda: at_the_door(world, "POST", "", body, headers)) as came:
        assert seen.wait(10)
        second = at_the_door(world, "POST", "", body, headers)
        assert second.status == 503 and b"still under way" in second.body, repr(second)
        assert int(second.headers["retry-after"]) >= 1, repr(second)
        let.set()
    again_at_the_door(came[0], at_the_door(world, "POST", "", body, headers))


def case_a_key_at_a_door_after_a_crash(world):
    world.cloud.clear()
    seen, let = holding(world.cloud, lambda request: request.method == "POST")
    headers, body = key(), native(str(uuid.uuid4()))
    with meanwhile(lambda: at_the_door(world, "POST", "", body, headers)):
        assert seen.wait(10)
        world.cloud.fault = None
        world.gateway.restart(kill=True)
        let.set()
    ready(world.gateway)
    told = over(world, "/v1/operations/" + operations(world)[0]["id"])
    assert told["status"] == "succeeded", told
    for _ in range(2):
        again = at_the_door(world, "POST", "", body, headers)
        assert again.status in (200, 201), repr(again)
        assert json.loads(again.body)["flow_log"]["id"] == told["flow_log_id"], repr(again)
        assert json.loads(again.body)["flow_log"]["resource_id"] == body["flow_log"]["resource_id"]
    assert len(world.cloud.writes()) == 1


def case_an_unknown_end_at_a_door(world):
    world.cloud.clear()
    seen, let = holding(world.cloud, lambda request: request.method == "POST")
    headers, body = key(), native(str(uuid.uuid4()))
    with meanwhile(lambda: at_the_door(world, "POST", "", body, headers)):
        assert seen.wait(10)
        world.cloud.fault = lambda link, request: link.reply(403, {"code": "VPC.2201", "message": "no"})
        world.gateway.restart(kill=True)
        let.set()
    ready(world.gateway)
    told = over(world, "/v1/operations/" + operations(world)[0]["id"])
    assert told["status"] == "unknown", told
    world.cloud.fault = None
    answer = at_the_door(world, "POST", "", body, headers)
    assert answer.status >= 400 and b"look whether the flow log is there" in answer.body, repr(answer)
    assert len(world.cloud.writes()) == 1


# ------------------------------------------------------------------------------- the journal's file

def case_the_journal_is_its_owners(world):
    path = pathlib.Path(world.home) / "modes.db"
    before = os.umask(0o022)
    gateway = None
    try:
        gateway = Gateway(world.binary, {"memory": {"dialect": "memory"}}, store={"sqlite": str(path)})
        ready(gateway)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.glob("modes.db*")}
        assert len(modes) == 4 and set(modes.values()) == {0o600}, modes
        assert b"chmod" not in gateway.err.read_bytes()
        path.chmod(0o644)
        gateway.restart()
        ready(gateway)
        assert b"modes.db has mode 0644" in gateway.err.read_bytes(), gateway.err.read_text()
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
        if gateway:
            gateway.done()

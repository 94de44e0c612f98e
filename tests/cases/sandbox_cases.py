"""The gateway against the sandbox: two processes of the real binary, real signatures on both
sides, no fake in between."""
import contextlib
import copy
import itertools
import json
import tempfile
import types

from bodies import CANONICAL, DIALECTS, problem
from gateway import KEYS, ONCE, ROOT, Gateway, Process, environment, free_port, target

MEMCHECK = True
SCHEMES = {"otc-vpc": "sdk-hmac-sha256", "otc-er": "sdk-hmac-sha256",
           "alibaba-vpc": "acs3-hmac-sha256", "aws-ec2": "aws4-hmac-sha256"}
DIALECTS = {**DIALECTS, "ec2": "aws-ec2"}
CANONICAL = {**CANONICAL, "ec2": {
    "name": "edge-reject", "resource_type": "vpc", "resource_id": "vpc-00112233445566778",
    "traffic_type": "reject", "destination": {"type": "s3", "arn": "arn:aws:s3:::flow-bucket"},
    "aggregation_interval": 600}}
MORE = {"ec2": {"parameters": {"region": "eu-central-1"}}}


def credentials(dialect, secret="sandbox-secret", key="sandbox"):
    return {"scheme": SCHEMES[dialect], "access_key": {"value": key},
            "secret_key": {"value": secret}}


def start_sandbox(binary, folder, doors):
    admin = free_port(doors + 1)
    return Process(binary, ["sandbox", "--port", str(admin + 1), "--mappings",
                            str(ROOT / "mappings")], folder, environment(), "sandbox"), admin + 1


@contextlib.contextmanager
def world(binary):
    dialects = sorted(path.stem for path in (ROOT / "mappings").glob("*.json")
                      if path.name != "schema.json")
    with tempfile.TemporaryDirectory(prefix="sluice-sandbox-") as folder:
        sandbox, first = start_sandbox(binary, folder, len(dialects))
        targets = {}
        for name, dialect in DIALECTS.items():
            url = f"http://127.0.0.1:{first + dialects.index(dialect)}"
            always = MORE.get(name, {})
            more = {"timeout_ms": 9000, "total_timeout_ms": 20000, **always}
            for transport in ("own", "curl"):
                targets[f"{name}-{transport}"] = target(
                    dialect, url, transport=transport, credentials=credentials(dialect), **more)
            targets[f"{name}-once"] = target(dialect, url, credentials=credentials(dialect), **more,
                                             **ONCE)
            targets[f"{name}-hasty"] = target(
                dialect, url, credentials=credentials(dialect), timeout_ms=300, total_timeout_ms=300,
                **always)
            targets[f"{name}-wrong"] = target(
                dialect, url, credentials=credentials(dialect, secret="not-the-secret"), **more)
            targets[f"{name}-stranger"] = target(
                dialect, url, credentials=credentials(dialect, key="nobody"), **more)
        targets["memory"] = {"dialect": "memory", "settle_ms": 0, "timeout_ms": 700}
        targets["lazy"] = {"dialect": "memory", "settle_ms": 300}
        targets["few"] = {"dialect": "memory", "settle_ms": 0, "quota": 2}
        gateway = Gateway(binary, targets)
        try:
            yield types.SimpleNamespace(gateway=gateway, sandbox=sandbox, first=first)
        finally:
            gateway.done()
            sandbox.stop()


def case_create_wait_and_get(world):
    for base in DIALECTS:
        for transport in ("own", "curl"):
            yield f"{base}-{transport}", lambda n=f"{base}-{transport}", b=base: whole_way(world, n, b)


def whole_way(world, name, base):
    body = {**CANONICAL[base], "name": f"whole-way-{name}"}
    if "description" in body:
        body["description"] = f"by {name}"
    # the memory cloud takes the same content once
    body["resource_id"] = body["resource_id"][:-2] + ("a1" if name.endswith("own") else "b2")
    answer = world.gateway.create(name, body, headers={"Prefer": "wait=10"}, timeout=60)
    assert answer.status == 201, repr(answer)
    created = answer.json()
    assert created["status"] == "active" and created["loss"] == [], created
    read = world.gateway.get(name, created["id"])
    assert read.status == 200, repr(read)
    seen = read.json()
    for member in ("name", "description", "resource_type", "resource_id"):
        assert seen[member] == body.get(member), f"{member}: {seen}"
    for member, value in body["destination"].items():
        assert seen["destination"][member] == value, f"{member}: {seen}"
    again = problem(world.gateway.create(name, body), 409, "conflict")
    assert again["upstream"]["code"], again


def case_wrong_keys(world):
    for base in DIALECTS:
        for kind in ("wrong", "stranger"):
            def part(base=base, kind=kind):
                answer = world.gateway.create(f"{base}-{kind}", CANONICAL[base])
                told = problem(answer, (502, 503), "upstream_credentials_refused")
                assert told["upstream"]["code"], told
                assert told["retryable"] is False, told
            yield f"{base}-{kind}", part


def case_nothing_there(world):
    for base, key in (("net", "0b0e7c1a-0000-4000-8000-000000000000"), ("ali", "fl-none"),
                      ("router", "0b0e7c1a-0000-4000-8000-000000000000"),
                      ("ec2", "fl-0123456789abcdef0")):
        yield base, lambda b=base, k=key: problem(world.gateway.get(f"{b}-own", k), 404, "not_found")


# ------------------------------------------------------------------------- faults on request

SIDES = [*DIALECTS, "memory"]  # through each door, and a memory target without one
FRESH = itertools.count(0x1000)


def faults(world, side, method, order=None):
    """The admin listener of the process whose memory cloud it is."""
    port = world.gateway.admin_port if side == "memory" else world.first - 1
    return world.gateway.call(method, "/sandbox/faults", order, key=None, port=port)


def order(world, side, fault, operation="create", **more):
    answer = faults(world, side, "POST",
                    {"target": DIALECTS.get(side, side), "operation": operation, "fault": fault, **more})
    assert answer.status == 201, repr(answer)


def nothing_is_left(world, side):
    assert faults(world, side, "GET").json() == {"faults": []}, faults(world, side, "GET")


def fresh(side):
    """A body that no case has sent before."""
    base = "ali" if side == "memory" else side
    body = copy.deepcopy(CANONICAL[base])
    body["name"] = f"fault-{next(FRESH):x}"
    body["resource_id"] = body["resource_id"][:-4] + body["name"][-4:]
    return body


def create(world, side, body, way="own"):
    return world.gateway.create(side if side == "memory" else f"{side}-{way}", body, timeout=60)


def by_side(function):
    """One case for each side."""
    def case(world):
        for side in SIDES:
            yield side, lambda s=side: (function(world, s), nothing_is_left(world, s))
    return case


def was_done(world, side, body):
    problem(create(world, side, body), 409, "conflict")


def was_not_done(world, side, body):
    answer = create(world, side, body)
    assert answer.status == 201, repr(answer)


def case_life(world):
    """Change, switch, list and delete, each waited for."""
    for side in SIDES:
        yield side, lambda s=side: live(world, s)


def live(world, side):
    name, wait = (side if side == "memory" else side + "-own"), {"Prefer": "wait=10"}
    answer = world.gateway.create(name, fresh(side), headers=wait)
    assert answer.status == 201, repr(answer)
    path = answer.headers["location"]

    def patch(**changes):
        answer = world.gateway.call("PATCH", path, changes, headers=wait)
        assert answer.status == 200, repr(answer)
        seen = world.gateway.call("GET", path).json()
        for member, value in changes.items():
            assert seen[member] == value, f"{member}: {seen}"
        return seen["status"]

    assert patch(name="renamed") == "active"
    if side != "ec2":  # has no switch
        assert patch(enabled=False) == "disabled"
        assert patch(enabled=True) == "active"
    listed = world.gateway.call("GET", f"/v1/targets/{name}/flow-logs").json()["flow_logs"]
    assert [log["name"] for log in listed if path.endswith(log["id"])] == ["renamed"], listed
    answer = world.gateway.call("DELETE", path, headers=wait)
    assert answer.status in (200, 204), repr(answer)
    problem(world.gateway.call("GET", path), 404, "not_found")


@by_side
def case_slow(world, side):
    order(world, side, "slow", delay_ms=400)
    answer = create(world, side, fresh(side))
    assert answer.status == 201 and answer.took >= 0.38, f"{answer.took}: {answer!r}"


@by_side
def case_slower_than_patience(world, side):
    order(world, side, "slow", delay_ms=1500)
    body = fresh(side)
    answer = create(world, side, body, way="hasty")
    told = problem(answer, 504, "upstream_timeout")
    assert told["retryable"] is False and answer.took < 1.4, f"{answer.took}: {told}"
    was_done(world, side, body)


def is_there_once(world, side, body, answer):
    """However many attempts there were: one flow log, and its id is the answer's."""
    assert answer.status == 201, repr(answer)
    listed = world.gateway.call("GET", f"/v1/targets/{side}-own/flow-logs").json()["flow_logs"]
    there = [log["id"] for log in listed if log["name"] == body["name"]]
    assert there == [answer.json()["id"]], f"{there}: {answer!r}"


def unknown_end(world, side, body, answer, done):
    """Behind a cloud the gateway looks at what happened. A memory target is not repeated."""
    if side != "memory":
        return is_there_once(world, side, body, answer)
    told = problem(answer, 502, "upstream_connection_broken")
    assert told["retryable"] is False, told
    return done(world, side, body)


@by_side
def case_lost_reply(world, side):
    order(world, side, "lost_reply")
    body = fresh(side)
    unknown_end(world, side, body, create(world, side, body), was_done)


@by_side
def case_cut_reply(world, side):
    order(world, side, "cut_reply")
    body = fresh(side)
    unknown_end(world, side, body, create(world, side, body), was_done)


@by_side
def case_reset(world, side):
    order(world, side, "reset")
    body = fresh(side)
    unknown_end(world, side, body, create(world, side, body), was_not_done)


def case_one_attempt(world):
    """Where nothing is repeated it is still looked at: done, or without effect."""
    for side in DIALECTS:
        for fault in ("lost_reply", "cut_reply", "reset"):
            yield f"{side} {fault}", lambda s=side, f=fault: one_attempt(world, s, f)


def one_attempt(world, side, fault):
    order(world, side, fault)
    body = fresh(side)
    answer = create(world, side, body, "once")
    if fault != "reset":
        return is_there_once(world, side, body, answer)
    told = problem(answer, 502, "upstream_connection_broken")
    assert told["retryable"] is True and "had no effect" in told["detail"], told
    return was_not_done(world, side, body)


@by_side
def case_throttled(world, side):
    order(world, side, "throttled", retry_after_s=7)
    body = fresh(side)
    answer = create(world, side, body, "once")
    told = problem(answer, 429, "throttled")
    assert told["retryable"] is True and answer.headers["retry-after"] == "7", repr(answer)
    was_not_done(world, side, body)


def case_throttled_and_repeated(world):
    for side in DIALECTS:
        def part(side=side):
            order(world, side, "throttled", retry_after_s=1)
            body = fresh(side)
            answer = create(world, side, body)
            assert answer.took >= 0.98, f"{answer.took}: {answer!r}"
            is_there_once(world, side, body, answer)
        yield side, part


def case_errors(world):
    """Each code comes back as what it is, in the dialect's own words."""
    codes = {"conflict": 409, "quota_exceeded": 409, "resource_not_found": 422,
             "upstream_denied": 502, "throttled": 429, "upstream_unavailable": 503}
    for side in SIDES:
        for code, status in codes.items():
            if (side, code) in (("net", "quota_exceeded"), ("ec2", "resource_not_found")):
                continue  # no code that means only this is documented there
            def part(side=side, code=code, status=status):
                order(world, side, "error", code=code)
                body = fresh(side)
                told = problem(create(world, side, body, "once"), status, code)
                assert side == "memory" or told["upstream"]["code"], told
                was_not_done(world, side, body)
            yield f"{side} {code}", part


@by_side
def case_how_often(world, side):
    order(world, side, "error", code="conflict", after=1, count=2)
    seen = [create(world, side, fresh(side)).status for _ in range(4)]
    assert seen == [201, 409, 409, 201], seen


@by_side
def case_only_the_operation(world, side):
    order(world, side, "error", operation="delete", code="conflict")
    answer = create(world, side, fresh(side))
    assert answer.status == 201, repr(answer)
    assert len(faults(world, side, "GET").json()["faults"]) == 1
    assert faults(world, side, "DELETE").json() == {"cleared": 1}


def case_a_switch_that_fails(world):
    for side in ("router", "ali"):
        yield side, lambda s=side: switch_fails(world, s)


def switch_fails(world, side):
    """`enabled: false` at creation is a create and a switch."""
    order(world, side, "error", operation="disable", code="upstream_denied")
    told = problem(create(world, side, {**fresh(side), "enabled": False}), 502, "upstream_denied")
    assert told["flow_log_id"] and told["flow_log"]["enabled"] is True, told
    assert "stands enabled" in told["detail"] and told["retryable"] is False, told
    nothing_is_left(world, side)


def case_orders_that_are_refused(world):
    for label, body, status, code in (
            ("a real cloud", {"target": "net-own", "fault": "reset"}, 422, "invalid_flow_log"),
            ("nobody", {"target": "nobody", "fault": "reset"}, 404, "not_found"),
            ("no such fault", {"target": "memory", "fault": "flood"}, 422, "invalid_flow_log"),
            ("no JSON", "{", 400, "bad_json")):
        yield label, lambda b=body, s=status, c=code: problem(
            faults(world, "memory", "POST", b), s, c)


def case_quota(world):
    for status in (201, 201, 409):
        answer = world.gateway.create("few", fresh("memory"))
        assert answer.status == status, repr(answer)
    assert answer.json()["code"] == "quota_exceeded", repr(answer)


def case_all_or_nothing(world):
    """What is still being created is waited for, and then undone."""
    order(world, "memory", "error", code="quota_exceeded")
    body = {**fresh("memory"), "targets": ["lazy", "memory"], "policy": "all"}
    answer = world.gateway.call("POST", "/v1/flow-logs", body)
    assert answer.status == 207, repr(answer)
    ends = {one["target"]: one["outcome"] for one in answer.json()["results"]}
    assert ends == {"lazy": "undone", "memory": "failed"}, repr(answer)
    left = world.gateway.call("GET", "/v1/targets/lazy/flow-logs").json()
    assert left["flow_logs"] == [], left


def case_the_banner(world):
    """Every door with its clients; the default secret is shown here, and nowhere else."""
    said = world.sandbox.err.read_text().partition('{"event":"ready"')[0]
    for path in (ROOT / "mappings").glob("*.json"):
        if path.name == "schema.json":
            continue
        table = json.loads(path.read_text())
        assert f"  {table['dialect']} " in said and table["title"] in said, said
        for client in table.get("clients", []):
            assert client["name"] in said, f"{client['name']}: {said}"
    assert "sandbox-secret" in said and f"http://127.0.0.1:{world.first}" in said, said
    for name in ("{url}", "{address}", "{access_key}", "{secret_key}"):
        assert name not in said, said
    assert f"http://127.0.0.1:{world.first - 1}/sandbox/faults" in said, said


def case_secrets_are_not_told(world):
    banner, ready, rest = world.sandbox.err.read_bytes().partition(b'{"event":"ready"')
    assert ready and banner
    seen = (rest + world.sandbox.out.read_bytes() + world.gateway.output()
            + b"".join(world.gateway.heard))
    for text in ("sandbox-secret", "not-the-secret", KEYS["portal"]):
        assert text.encode() not in seen, f"{text} was told"

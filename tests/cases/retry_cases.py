"""What follows an attempt that failed, seen from outside: the table of cloud/retry.h, deadlines,
hints, clocks, the breaker and the limits. The clouds are the sandbox's doors behind a server that
spoils what passes; in the end there is exactly one flow log, or exactly none."""
import contextlib
import email.utils
import itertools
import json
import re
import tempfile
import threading
import time
import types
import urllib.parse
from datetime import datetime, timezone

from bodies import CANONICAL, EC2, problem
from cloud import Cloud
from gateway import ROOT, Gateway, Process, environment, free_port, target
from relay import Relay

DIALECTS = {"net": ("otc-vpc", "sdk-hmac-sha256", None),
            "ali": ("alibaba-vpc", "acs3-hmac-sha256", None),
            "ec2": ("aws-ec2", "aws4-hmac-sha256", {"region": "eu-central-1"})}
BODIES = {**CANONICAL, "ec2": EC2}
TOKEN = {"ec2"}  # a create carries a native idempotency token, and is repeated without a look
TRANSPORTS = ("own", "curl")
FRESH = itertools.count(0x2000)
SPREAD = 9  # targets for the rows of the tables, so that no budget of repetitions runs out
TIMEOUT, TOTAL = 1.0, 4.0  # of the targets "-short"


def action(request):
    """create, list, or what else it is."""
    if "x-acs-action" in request.headers:
        word = request.headers["x-acs-action"]
    elif request.body.startswith(b"Action="):
        word = dict(urllib.parse.parse_qsl(request.body.decode()))["Action"]
    else:
        return {"POST": "create", "GET": "look"}.get(request.method, request.method.lower())
    return {"CreateFlowLog": "create", "CreateFlowLogs": "create", "DescribeFlowLogs": "look",
            "DeleteFlowLog": "delete", "DeleteFlowLogs": "delete"}.get(word, word)


class Spoiler:
    """A fault of the cloud: the requests of one kind meet the steps in turn, others pass."""

    def __init__(self, cloud, kind, *steps):
        self.cloud, self.kind, self.steps, self.last = cloud, kind, list(steps[:-1]), steps[-1]
        self.lock = threading.Lock()

    def __call__(self, link, request):
        if self.kind not in (action(request), "*"):
            return self.cloud.good(link, request)
        with self.lock:
            step = self.steps.pop(0) if self.steps else self.last
        return step(self.cloud, link, request)


class SpoiltCloud(Cloud):
    def good(self, link, request):
        status, headers, body = self.systems.answer(request)
        if status == 204:
            return link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        return link.reply(status, body, headers)

    def times(self, kind):
        return [r for r in self.requests if action(r) == kind]

    def spoil(self, kind, *steps):
        self.clear()
        self.fault = Spoiler(self, kind, *steps)


# ------------------------------------------------------------------------------------- steps

def good(cloud, link, request):
    cloud.good(link, request)


def reset(cloud, link, request):
    link.reset()


def hang(cloud, link, request):
    link.hold()


def lost(cloud, link, request):
    """It acts, and the reply is lost."""
    cloud.systems.answer(request)
    link.reset()


def unreadable(cloud, link, request):
    cloud.systems.answer(request)
    link.reply(200, b"<html>")


def acts_and_says(status):
    def step(cloud, link, request):
        cloud.systems.answer(request)
        link.reply(status, b"<html>Bad gateway</html>", [("Content-Type", "text/html")])
    return step


def says(status, *headers, body=b"<html>no</html>"):
    return lambda cloud, link, request: link.reply(status, body, list(headers))


def throttled(seconds):
    return says(429, ("Retry-After", str(seconds)))


# ------------------------------------------------------------------------------------- world

@contextlib.contextmanager
def world(binary):
    dialects = sorted(path.stem for path in (ROOT / "mappings").glob("*.json")
                      if path.name != "schema.json")
    admin = free_port(len(dialects) + 1)
    clouds, targets = {}, {}
    with tempfile.TemporaryDirectory(prefix="sluice-retry-") as folder:
        sandbox = Process(binary, ["sandbox", "--port", str(admin + 1), "--mappings",
                                   str(ROOT / "mappings")], folder, environment(), "sandbox")
        for name, (dialect, scheme, parameters) in DIALECTS.items():
            cloud = clouds[name] = SpoiltCloud()
            cloud.systems = Relay(admin + 1 + dialects.index(dialect))
            more = {"credentials": {"scheme": scheme, "access_key": {"value": "sandbox"},
                                    "secret_key": {"value": "sandbox-secret"}},
                    "breaker": {"failure_percent": 0},
                    **({"parameters": parameters} if parameters else {})}
            for transport in TRANSPORTS:
                for number in ("", *range(SPREAD)):
                    targets[f"{name}-{transport}{number}"] = target(
                        dialect, cloud.url, transport=transport, **{
                            **more, "timeout_ms": 9000, "total_timeout_ms": 25000})
            targets[f"{name}-short"] = target(dialect, cloud.url, **{
                **more, "timeout_ms": int(TIMEOUT * 1000), "total_timeout_ms": int(TOTAL * 1000)})
            targets[f"{name}-skewed"] = target(dialect, cloud.url, **more)
        targets["aliased"] = {**targets["net-own"],
                              "resources": {"prod": {key: BODIES["net"][key] for key in (
                                  "resource_type", "resource_id")}},
                              "destinations": {"store": BODIES["net"]["destination"]}}
        guarded(targets, clouds["net"], more={"credentials": targets["net-own"]["credentials"]})
        gateway = Gateway(binary, targets)
        try:
            yield types.SimpleNamespace(gateway=gateway, clouds=clouds, sandbox=sandbox,
                                        binary=binary, admin=admin)
        finally:
            gateway.done()
            sandbox.stop()
            for cloud in clouds.values():
                cloud.stop()
                cloud.systems.close()


def guarded(targets, cloud, more):
    off = {"failure_percent": 0}
    targets["breaks"] = target("otc-vpc", cloud.url, retries=0, breaker={
        "least_calls": 4, "window_s": 10, "open_ms": 400}, **more)
    targets["narrow"] = target("otc-vpc", cloud.url, max_in_flight=1, queue=0, breaker=off, **more)
    targets["queued"] = target("otc-vpc", cloud.url, max_in_flight=1, queue=8, breaker=off, **more)
    targets["paced"] = target("otc-vpc", cloud.url, rate_per_s=5, burst=1, breaker=off, **more)
    targets["tokens"] = target("otc-vpc", cloud.url, max_in_flight=1, queue=0, credentials={
        "scheme": "keystone-password", "endpoint": cloud.url, "user": "u", "domain": "d",
        "password": {"value": "token-password-1"}, "project": "p"})
    targets["dead"] = target("otc-vpc", f"http://127.0.0.1:{free_port()}", breaker=off, **more)


def fresh(base):
    body = {**BODIES[base], "name": f"retry-{next(FRESH):x}"}
    body["resource_id"] = body["resource_id"][:-4] + body["name"][-4:]
    return body


def there(world, base, body):
    """The ids of the flow logs of this name, when the cloud is well."""
    world.clouds[base].fault = None
    answer = world.gateway.call("GET", f"/v1/targets/{base}-own/flow-logs?name={body['name']}")
    assert answer.status == 200, repr(answer)
    return [log["id"] for log in answer.json()["flow_logs"]]


def tokens(base, requests):
    if base not in TOKEN:
        return set()
    return {dict(urllib.parse.parse_qsl(r.body.decode()))["ClientToken"] for r in requests}


# --------------------------------------------------------------------------- the table: writes

# steps; creates without and with a token; whether it is looked without and with one; status;
# at least so many seconds
WRITES = {
    "reset, and nothing was done": ((reset, good), (2, 2), (True, False), 201, 0),
    "the reply is lost": ((lost, good), (1, 2), (True, True), 201, 0),
    "the reply is unreadable": ((unreadable, good), (1, 2), (True, True), 201, 0),
    "503 of a proxy": ((says(503), good), (2, 2), (True, False), 201, 0),
    "503 of a proxy, and it was done": ((acts_and_says(503), good), (1, 2), (True, True), 201, 0),
    "502, and it was done": ((acts_and_says(502), good), (1, 2), (True, True), 201, 0),
    "504, and it was done": ((acts_and_says(504), good), (1, 2), (True, True), 201, 0),
    "500, and nothing was done": ((says(500), good), (2, 2), (True, False), 201, 0),
    "429 of a proxy": ((throttled(1), good), (2, 2), (True, False), 201, 1),
    "429 for a day": ((throttled(86400),), (1, 1), (True, False), 429, 0),
    "401": ((says(401),), (1, 1), (False, False), 502, 0),
    "403": ((says(403),), (1, 1), (False, False), 502, 0),
    "400": ((says(400),), (1, 1), (False, False), 502, 0),
    "501": ((says(501),), (1, 1), (False, False), 502, 0),
    "reset each time": ((reset,), (3, 3), (True, True), 502, 0),
    "500, then lost": ((says(500), lost, good), (2, 3), (True, True), 201, 0),
}


def case_writes(world):
    for number, (label, row) in enumerate(WRITES.items()):
        for base in DIALECTS:
            for transport in TRANSPORTS if base == "net" else TRANSPORTS[:1]:
                yield (f"{base}-{transport}: {label}",
                       lambda b=base, t=f"{transport}{number // 3}", row=row: write(
                           world, b, t, *row))


def write(world, base, transport, steps, creates, looks, status, least_s):
    cloud, body, which = world.clouds[base], fresh(base), int(base in TOKEN)
    cloud.spoil("create", *steps)
    answer = world.gateway.create(f"{base}-{transport}", body, timeout=60)
    sent, looked = cloud.times("create"), cloud.times("look")
    assert answer.status == status, repr(answer)
    assert len(sent) == creates[which], f"{len(sent)} creates: {answer!r}"
    assert bool(looked) == looks[which], f"{len(looked)} looks: {answer!r}"
    assert len(tokens(base, sent)) <= 1, "the token changed"
    assert answer.took >= least_s, f"{answer.took:.2f} s"
    ids = there(world, base, body)
    assert ids == ([answer.json()["id"]] if status == 201 else []), f"{ids}: {answer!r}"
    if status == 429:
        assert answer.headers["retry-after"] == "86400", repr(answer)


def case_signed_anew(world):
    """Each attempt has a signature of its own."""
    for base in DIALECTS:
        def part(base=base):
            cloud = world.clouds[base]
            cloud.spoil("look", says(503), says(503), good)
            answer = world.gateway.call("GET", f"/v1/targets/{base}-own/flow-logs", timeout=60)
            assert answer.status == 200, repr(answer)
            seen = {r.headers["x-acs-signature-nonce"] for r in cloud.requests} \
                if base == "ali" else {1, 2, 3}
            assert len(cloud.requests) == 3 and len(seen) == 3, cloud.requests
        yield base, part


def case_the_clouds_own_throttling(world):
    """A row of the table knows the answer: nothing was done, so it is repeated without a look."""
    for base, (dialect, _, _) in DIALECTS.items():
        def part(base=base, dialect=dialect):
            order = world.gateway.call("POST", "/sandbox/faults", {
                "target": dialect, "operation": "create", "fault": "throttled",
                "retry_after_s": 1}, key=None, port=world.admin)
            assert order.status == 201, repr(order)
            body, cloud = fresh(base), world.clouds[base]
            cloud.clear()
            answer = world.gateway.create(f"{base}-own", body, timeout=60)
            assert answer.status == 201 and answer.took >= 0.98, f"{answer.took}: {answer!r}"
            assert len(cloud.times("create")) == 2 and not cloud.times("look"), cloud.requests
            assert there(world, base, body) == [answer.json()["id"]]
        yield base, part


def case_delete(world):
    """A delete whose reply is lost has taken effect; one that never arrived is sent again."""
    for base in DIALECTS:
        for label, steps, sent in (("lost", (lost, good), 1), ("reset", (reset, good), 2)):
            def part(base=base, steps=steps, sent=sent):
                body, cloud = fresh(base), world.clouds[base]
                cloud.clear()
                log = world.gateway.create(f"{base}-own", body).json()["id"]
                cloud.spoil("delete", *steps)
                answer = world.gateway.call("DELETE", f"/v1/targets/{base}-own/flow-logs/{log}",
                                            headers={"Prefer": "wait=10"}, timeout=60)
                assert answer.status in (202, 204), repr(answer)
                assert len(cloud.times("delete")) == sent, len(cloud.times("delete"))
                assert not there(world, base, body)
            yield f"{base}: {label}", part


CHANGES = {"net": "put", "ali": "ModifyFlowLogAttribute", "ec2": "CreateTags"}


def case_change(world):
    """A change whose reply is lost holds; one that never arrived is sent again."""
    for base, kind in CHANGES.items():
        for label, steps, sent in (("lost", (lost, good), 1), ("reset", (reset, good), 2)):
            def part(base=base, kind=kind, steps=steps, sent=sent):
                body, cloud = fresh(base), world.clouds[base]
                cloud.clear()
                log = world.gateway.create(f"{base}-own", body,
                                           headers={"Prefer": "wait=10"}).json()["id"]
                cloud.spoil(kind, *steps)
                answer = world.gateway.call(
                    "PATCH", f"/v1/targets/{base}-own/flow-logs/{log}",
                    {"name": body["name"] + "-b"}, timeout=60, headers={"Prefer": "wait=10"})
                assert answer.status == 200, repr(answer)
                assert answer.json()["name"] == body["name"] + "-b", repr(answer)
                assert len(cloud.times(kind)) == sent, [action(r) for r in cloud.requests]
                assert there(world, base, {"name": body["name"] + "-b"}) == [log]
            yield f"{base}: {label}", part


def case_several_could_be_it(world):
    """Two flow logs fit: nobody can say which one it is, so nothing is guessed or repeated."""
    cloud, body = world.clouds["net"], fresh("net")

    def twice(cloud, link, request):
        status, headers, reply = cloud.systems.answer(request)
        rows = json.loads(reply)["flow_logs"]
        rows += [{**row, "id": row["id"][:-4] + "abcd"} for row in rows
                 if row["name"] == body["name"]]
        link.reply(status, {"flow_logs": rows}, headers)

    cloud.clear()
    cloud.fault = lambda link, request: {"create": lost, "look": twice}[action(request)](
        cloud, link, request)
    told = problem(world.gateway.create("net-own", body), 502, "upstream_connection_broken")
    assert told["retryable"] is False and "several" in told["detail"], told
    assert len(cloud.times("create")) == 1, cloud.requests
    assert len(there(world, "net", body)) == 1


def case_behind_aliases(world):
    """What is looked for is what the aliases stand for, not whatever has the name."""
    cloud, body = world.clouds["net"], fresh("net")
    cloud.clear()
    other = world.gateway.create("net-own", body)
    assert other.status == 201, repr(other)
    cloud.spoil("create", lost, good)
    answer = world.gateway.create("aliased", {
        "name": body["name"], "traffic_type": body["traffic_type"], "resource_alias": "prod",
        "destination": {"alias": "store"}})
    assert answer.status == 201 and answer.json()["id"] != other.json()["id"], repr(answer)
    assert answer.json()["resource_id"] == BODIES["net"]["resource_id"], repr(answer)
    assert len(cloud.times("create")) == 1 and len(there(world, "net", body)) == 2


def case_nothing_was_sent(world):
    answer = world.gateway.create("dead", fresh("net"))
    told = problem(answer, 503, "upstream_unreachable")
    assert told["retryable"] is True, told
    calls = [line["cloud"]["calls"] for line in world.gateway.access_lines()
             if line.get("id") == answer.headers["x-request-id"] or
             answer.headers["x-request-id"] in json.dumps(line)]
    assert calls == [3], calls


def case_it_cannot_be_looked_at(world):
    """Neither the create nor the look is answered: the end is not known, and that is said."""
    for base in DIALECTS:
        def part(base=base):
            cloud = world.clouds[base]
            cloud.spoil("*", reset)
            answer = world.gateway.create(f"{base}-short", fresh(base), timeout=60)
            told = problem(answer, 502, "upstream_connection_broken")
            assert told["retryable"] is False and "may have taken effect" in told["detail"], told
            assert len(cloud.times("create")) == (3 if base in TOKEN else 1), cloud.requests
            cloud.clear()
        yield base, part


# ---------------------------------------------------------------------------- the table: reads

READS = {"reset": ((reset, good), 2, 200), "503": ((says(503), good), 2, 200),
         "500": ((says(500), good), 2, 200), "429": ((throttled(1), good), 2, 200),
         "unreadable": ((says(200), good), 2, 200), "503 each time": ((says(503),), 3, 503),
         "401": ((says(401),), 1, 502), "400": ((says(400),), 1, 502),
         "429 for a day": ((throttled(86400),), 1, 429)}


def case_reads(world):
    for number, (label, row) in enumerate(READS.items()):
        for base in DIALECTS:
            for transport in TRANSPORTS if base == "net" else TRANSPORTS[:1]:
                yield (f"{base}-{transport}: {label}",
                       lambda b=base, t=f"{transport}{6 + number // 3}", row=row: read(
                           world, b, t, *row))


def read(world, base, transport, steps, calls, status):
    cloud = world.clouds[base]
    cloud.spoil("look", *steps)
    answer = world.gateway.call("GET", f"/v1/targets/{base}-{transport}/flow-logs", timeout=60)
    assert answer.status == status, repr(answer)
    assert len(cloud.requests) == calls, f"{len(cloud.requests)} calls"
    cloud.clear()


# ------------------------------------------------------------------------------------ deadline

def case_deadline(world):
    """All attempts and looks together end with total_timeout_ms."""
    for base in DIALECTS:
        for label, kind, steps in (("nothing answers", "*", (hang,)), ("no look", "look", (hang,)),
                                   ("no create", "create", (hang,))):
            def part(base=base, kind=kind, steps=steps):
                cloud, body = world.clouds[base], fresh(base)
                cloud.spoil(kind, *steps)
                if kind == "look":
                    answer = world.gateway.call("GET", f"/v1/targets/{base}-short/flow-logs")
                else:
                    answer = world.gateway.create(f"{base}-short", body)
                problem(answer, 504, "upstream_timeout")
                assert answer.took < TOTAL + 0.25 * world.binary.slow, f"{answer.took:.2f} s"
                assert not there(world, base, body)
            yield f"{base}: {label}", part


# --------------------------------------------------------------------------------------- clock

def signed_at(request):
    text = request.headers.get("x-sdk-date") or request.headers.get("x-amz-date") \
        or request.headers["x-acs-date"]
    text = re.sub(r"[-:]", "", text)
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()


REFUSED = {
    "net": (401, b'{"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication '
                 b'information: date", "request_id": "r"}'),
    "ali": (400, b'{"Code": "InvalidTimeStamp.Expired", "Message": "expired", "RequestId": "R"}'),
    "ec2": (400, b"<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has "
                 b"expired.</Message></Error></Errors><RequestID>r</RequestID></Response>"),
}
NOTHING = {
    "net": b'{"flow_logs": []}',
    "ali": b'{"RequestId": "R", "Success": "true", "PageNumber": "1", "PageSize": "20", '
           b'"TotalCount": "0", "FlowLogs": {"FlowLog": []}}',
    "ec2": b'<DescribeFlowLogsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
           b"<requestId>r</requestId><flowLogSet/></DescribeFlowLogsResponse>",
}


def case_clock(world):
    for base in DIALECTS:
        yield base, lambda b=base: clock(world, b)


def clock(world, base):
    """A cloud whose clock is an hour ahead, then one that refuses whatever the time."""
    cloud, ahead = world.clouds[base], 3600.0
    path = f"/v1/targets/{base}-skewed/flow-logs"

    def strict(link, request):
        now = time.time() + ahead
        date = [("Date", email.utils.formatdate(now, usegmt=True)),
                ("Content-Type", "text/xml" if base == "ec2" else "application/json")]
        if abs(signed_at(request) - now) > 300:
            link.reply(REFUSED[base][0], REFUSED[base][1], date)
        else:
            link.reply(200, NOTHING[base], date)

    cloud.clear()
    cloud.fault = strict
    answer = world.gateway.call("GET", path)
    assert answer.status == 200 and len(cloud.requests) == 2, f"{len(cloud.requests)}: {answer!r}"
    assert world.gateway.call("GET", path).status == 200 and len(cloud.requests) == 3, "it is kept"
    cloud.clear()
    cloud.fault = lambda link, request: link.reply(*REFUSED[base], [(
        "Date", email.utils.formatdate(time.time() + 7200, usegmt=True))])
    problem(world.gateway.call("GET", path), (502, 503), "upstream_credentials_refused")
    assert len(cloud.requests) <= 2 if base == "net" else len(cloud.requests) <= 3, "corrected once"
    cloud.clear()


def case_a_token_is_renewed_once(world):
    """A 401 is never repeated but with a new token, and that once. The place at the target, of
    which there is one, is free in between and afterwards."""
    cloud, path = world.clouds["net"], "/v1/targets/tokens/flow-logs"
    good_tokens, given = {"t2"}, []

    def keystone(link, request):
        if request.path.endswith("/auth/tokens"):
            given.append(f"t{len(given) + 1}")
            expires = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 86400))
            return link.reply(201, {"token": {"expires_at": expires}},
                              [("X-Subject-Token", given[-1])])
        if request.headers.get("x-auth-token") in good_tokens:
            return link.reply(200, NOTHING["net"])
        return link.reply(401, {"error_code": "APIGW.0301", "error_msg": "no", "request_id": "r"})

    cloud.clear()
    cloud.fault = keystone
    for _ in range(3):
        answer = world.gateway.call("GET", path)
        assert answer.status == 200, repr(answer)
    assert given == ["t1", "t2"] and len(cloud.requests) == 6, (given, len(cloud.requests))
    good_tokens.clear()
    problem(world.gateway.call("GET", path), 502, "upstream_credentials_refused")
    assert given == ["t1", "t2", "t3"] and len(cloud.requests) == 9, (given, len(cloud.requests))
    cloud.clear()


# -------------------------------------------------------------------------- breaker and limits

def case_breaker(world):
    """It opens on failures, refuses without a call, and closes again after a probe."""
    cloud, path = world.clouds["net"], "/v1/targets/breaks/flow-logs"
    cloud.spoil("*", reset)
    for _ in range(4):
        problem(world.gateway.call("GET", path), 502, "upstream_connection_broken")
    before = len(cloud.requests)
    answer = world.gateway.call("GET", path)
    told = problem(answer, 503, "unavailable")
    assert len(cloud.requests) == before, "something was sent"
    assert int(answer.headers["retry-after"]) >= 1 and told["retryable"] is True, repr(answer)
    time.sleep(1.2)
    problem(world.gateway.call("GET", path), 502)  # the probe fails: it stays open
    problem(world.gateway.call("GET", path), 503, "unavailable")
    cloud.clear()
    end = time.monotonic() + 10
    while world.gateway.call("GET", path).status != 200:
        assert time.monotonic() < end, "it did not close"
        time.sleep(0.1)
    for _ in range(5):
        assert world.gateway.call("GET", path).status == 200


def at_once(world, name, count):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(world.gateway.call(
        "GET", f"/v1/targets/{name}/flow-logs", timeout=60))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def slowly(cloud, link, request):
    time.sleep(0.3)
    cloud.good(link, request)


def case_queue_is_full(world):
    world.clouds["net"].spoil("*", slowly)
    answers = at_once(world, "narrow", 3)
    assert sorted(a.status for a in answers) == [200, 503, 503], answers
    for answer in answers:
        if answer.status == 503:
            told = problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1 and told["retryable"] is True, told
    assert len(world.clouds["net"].requests) == 1
    world.clouds["net"].clear()


def case_queue_is_served(world):
    world.clouds["net"].spoil("*", slowly)
    began = time.monotonic()
    answers = at_once(world, "queued", 4)
    assert [a.status for a in answers] == [200] * 4, answers
    assert time.monotonic() - began >= 4 * 0.3, "two were under way at the same time"
    world.clouds["net"].clear()


def case_every_place_is_used(world):
    """As many calls are under way as the target takes, whichever workers their callers are at."""
    cloud, places, most = world.clouds["net"], 8, 0
    cloud.spoil("*", hang)
    gateway = Gateway(world.binary, {"net": target("otc-vpc", cloud.url, max_in_flight=places,
                                                   retries=0)}, workers=places)
    try:
        threads = [threading.Thread(target=lambda: gateway.call(
            "GET", "/v1/targets/net/flow-logs", timeout=60)) for _ in range(places)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + TIMEOUT
        while most < places and time.monotonic() < end:
            time.sleep(0.02)
            most = len(cloud.requests)
        for thread in threads:
            thread.join()
    finally:
        gateway.done()
    cloud.clear()
    assert most == places, f"{most} of {places} calls were under way"


def case_rate(world):
    world.clouds["net"].clear()
    began = time.monotonic()
    answers = at_once(world, "paced", 6)
    assert [a.status for a in answers] == [200] * 6, answers
    assert time.monotonic() - began >= 0.9, "five a second after the first"


def case_others_are_not_held_up(world):
    """Thirty requests hang on one cloud; another is served as always."""
    def p99():
        took = sorted(world.gateway.call("GET", "/v1/targets/ali-own/flow-logs").took
                      for _ in range(60))
        return took[58]
    world.clouds["ali"].clear()
    alone = p99()
    world.clouds["net"].spoil("*", hang)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(world.gateway.call(
        "GET", "/v1/targets/net-short/flow-logs", timeout=60))) for _ in range(30)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    beside = p99()
    for thread in threads:
        thread.join()
    world.clouds["net"].clear()
    print(f"        p99 alone {alone * 1e3:.1f} ms, beside a dead cloud {beside * 1e3:.1f} ms")
    assert {a.status for a in answers} == {504}, answers
    assert beside < TIMEOUT, f"{beside:.2f} s"

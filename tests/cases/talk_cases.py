"""The main conversation: create and read on all three systems, over both transports, with the
native request asserted to the last member; dry runs, loss, waiting; what the gateway tells about
itself."""
import contextlib
import json
import re
import time
import types
import urllib.parse

from bodies import CANONICAL, DIALECTS, NATIVE, but, problem
from cloud import Cloud
from gateway import ALI_KEY, ALI_TOKEN, CLOUD_KEYS, OTC_KEY, Gateway, target

MEMCHECK = True


@contextlib.contextmanager
def world(binary):
    cloud, slow = Cloud(CLOUD_KEYS), Cloud(CLOUD_KEYS, pending=2)
    long = {"timeout_ms": 8000, "total_timeout_ms": 20000, "connect_timeout_ms": 3000}
    targets = {"memory": {"dialect": "memory"}}
    for name, dialect in DIALECTS.items():
        targets[name] = target(dialect, cloud.url, **long)
        targets[name + "-curl"] = target(dialect, cloud.url, transport="curl", **long)
        targets[name + "-slow"] = target(dialect, slow.url, **long)
    targets["net"]["resources"] = {
        "prod": {"resource_type": "vpc", "resource_id": CANONICAL["net"]["resource_id"]}}
    targets["net"]["destinations"] = {"security": CANONICAL["net"]["destination"]}
    targets["prefixed"] = target("otc-vpc", cloud.url + "/gate/way", **long)
    gateway = Gateway(binary, targets)
    try:
        yield types.SimpleNamespace(gateway=gateway, cloud=cloud, slow=slow, binary=binary)
    finally:
        gateway.done()
        cloud.stop()
        slow.stop()


def check_native(request, name, transport):
    method, path, query, body, action = NATIVE[name]
    assert (request.method, request.path) == (method, path), request.raw
    assert request.query == query, f"query {request.query}, expected {query}"
    assert request.version == "HTTP/1.1"
    if body is None:
        assert request.body == b"", request.raw
        assert request.headers["x-acs-action"] == action
        assert request.headers["x-acs-version"] == "2016-04-28"
        assert request.headers["x-acs-security-token"] == ALI_TOKEN
        assert "application/json" in request.headers["accept"]
        assert f"Credential={ALI_KEY}," in request.headers["authorization"]
    else:
        assert request.json() == body, request.raw
        assert request.headers["content-type"] == "application/json"
        assert f"Access={OTC_KEY}," in request.headers["authorization"]
    names = [field for field, _ in request.fields]
    for once in ("host", "content-length", "authorization"):
        assert names.count(once) == 1, f"{once} is there {names.count(once)} times"
    for never in ("expect", "transfer-encoding", "cookie", "traceparent-x"):
        assert never not in names, names


def check_created(answer, name, base):
    sent = CANONICAL[base]
    assert answer.status == 201, repr(answer)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    for member, value in sent.items():
        if isinstance(value, dict):
            shown = {k: v for k, v in body[member].items() if v is not None}
            assert shown == value, f"{member}: {body}"
        else:
            assert body[member] == value, f"{member}: {body}"
    assert body["target"] == name and body["id"] and body["loss"] == [], body
    assert body["status"] in ("active", "creating"), body
    assert answer.headers["location"] == f"/v1/targets/{name}/flow-logs/{body['id']}"
    assert answer.headers["x-request-id"]
    return body


def case_create_and_get(world):
    for base in DIALECTS:
        for transport in ("", "-curl"):
            yield base + transport, lambda b=base, t=transport: create_and_get(world, b, t)


def create_and_get(world, base, transport):
    name = base + transport
    world.cloud.clear()
    created = check_created(world.gateway.create(name, CANONICAL[base]), name, base)
    check_native(world.cloud.requests[0], base, transport)
    assert len(world.cloud.writes()) == 1
    answer = world.gateway.get(name, created["id"])
    assert answer.status == 200, repr(answer)
    body = answer.json()
    assert body["id"] == created["id"] and body["status"] == "active", body
    assert body["name"] == CANONICAL[base]["name"] and body["loss"] == [], body
    if body.get("created_at") is not None:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["created_at"]), body
    interval = {"net": (None, 600), "router": (600,), "ali": (600,)}[base]
    assert body["aggregation_interval"] in interval, body
    assert world.cloud.bad_signatures == [], world.cloud.bad_signatures


def case_every_signature_was_right(world):
    assert world.cloud.bad_signatures == [] and world.slow.bad_signatures == []


def case_connections_are_kept(world):
    world.cloud.clear()
    before = world.cloud.connections
    for _ in range(20):
        assert world.gateway.create("net", CANONICAL["net"]).status == 201
    assert len(world.cloud.writes()) == 20
    # each worker may open one of its own
    assert world.cloud.connections - before <= 4, world.cloud.connections - before


def case_endpoint_with_a_path(world):
    world.cloud.clear()
    world.gateway.create("prefixed", CANONICAL["net"])
    assert world.cloud.requests[0].path == "/gate/way" + NATIVE["net"][1]
    assert world.cloud.bad_signatures == []


def case_get_what_is_not_there(world):
    for base, key in (("net", "0b0e7c1a-0000-4000-8000-000000000000"), ("ali", "fl-none"),
                      ("router", "0b0e7c1a-0000-4000-8000-000000000000")):
        yield base, lambda b=base, k=key: problem(world.gateway.get(b, k), 404, "not_found")


def case_alias(world):
    world.cloud.clear()
    body = but("net", remove=("resource_type", "resource_id"), resource_alias="prod")
    body["destination"] = {"alias": "security"}
    answer = world.gateway.create("net", body)
    assert answer.status == 201, repr(answer)
    check_native(world.cloud.requests[0], "net", "")
    body["destination"] = {"alias": "nobody"}
    told = problem(world.gateway.create("net", body), 422)
    assert [e["pointer"] for e in told["errors"]] == ["/destination/alias"], told


def case_defaults_of_a_null(world):
    """Null in a create request says nothing, as absent does."""
    world.cloud.clear()
    answer = world.gateway.create("ali", but("ali", description=None, tags=None))
    assert answer.status == 201, repr(answer)
    assert "Description" not in world.cloud.requests[0].query


def case_index_is_carried(world):
    world.cloud.clear()
    answer = world.gateway.create("net", but("net", index=True))
    assert answer.status == 201, repr(answer)
    assert world.cloud.requests[0].json()["flow_log"]["index_enabled"] is True
    assert answer.json()["index"] is True


def case_words_and_units(world):
    tables = {
        "net": {("resource_type", "interface"): ("resource_type", "port"),
                ("resource_type", "subnet"): ("resource_type", "network"),
                ("traffic_type", "all"): ("traffic_type", "all"),
                ("traffic_type", "accept"): ("traffic_type", "accept")},
        "ali": {("traffic_type", "accept"): ("TrafficType", "Allow"),
                ("traffic_type", "all"): ("TrafficType", "All"),
                ("aggregation_interval", 60): ("AggregationInterval", "1"),
                ("aggregation_interval", 300): ("AggregationInterval", "5"),
                ("tags", (("team", "net"),)): ("Tag.1.Key", "team")},
    }
    for base, rows in tables.items():
        for (member, value), (native, word) in rows.items():
            def part(b=base, m=member, v=value, n=native, w=word):
                world.cloud.clear()
                body = but(b)
                body[m] = dict(v) if isinstance(v, tuple) else v
                answer = world.gateway.create(b, body)
                assert answer.status == 201, repr(answer)
                request = world.cloud.requests[0]
                place = request.query if b == "ali" else request.json()["flow_log"]
                assert place[n] == w, place
                assert answer.json()[m] == body[m], answer.json()
            yield f"{base} {member}={value}", part


def case_ali_kinds_of_resource(world):
    for kind, native, key in (("interface", "NetworkInterface", "eni-m5e8vhz2t21sel1n"),
                              ("subnet", "VSwitch", "vsw-m5e8vhz2t21sel1nq")):
        def part(kind=kind, native=native, key=key):
            world.cloud.clear()
            answer = world.gateway.create("ali", but("ali", resource_type=kind, resource_id=key))
            assert answer.status == 201, repr(answer)
            query = world.cloud.requests[0].query
            assert (query["ResourceType"], query["ResourceId"]) == (native, key)
        yield kind, part


# ------------------------------------------------------------------------------------ dry runs

def case_dry_run(world):
    for base in DIALECTS:
        yield base, lambda b=base: dry_run(world, b)


def dry_run(world, base):
    world.cloud.clear()
    answer = world.gateway.create(base, CANONICAL[base], "?dry_run=true")
    assert answer.status == 200, repr(answer)
    body = answer.json()
    assert body["dry_run"] is True and body["loss"] == [], body
    method, path, query, native, _ = NATIVE[base]
    shown, url = body["request"], urllib.parse.urlsplit(body["request"]["url"])
    assert shown["method"] == method
    assert (f"{url.scheme}://{url.netloc}", url.path) == (world.cloud.url, path), shown
    assert dict(urllib.parse.parse_qsl(url.query)) == query
    assert shown["body"] == native, shown
    assert not [h for h in shown["headers"] if h.lower() in ("authorization",
                                                             "x-acs-security-token")], shown
    assert world.cloud.requests == [], "a dry run sent something"


def case_dry_run_of_what_cannot_be(world):
    world.cloud.clear()
    told = problem(world.gateway.create("ali", but("ali", aggregation_interval=90),
                                        "?dry_run=true"), 422)
    assert [e["pointer"] for e in told["errors"]] == ["/aggregation_interval"], told
    assert world.cloud.requests == []


def case_dry_run_false_sends(world):
    world.cloud.clear()
    assert world.gateway.create("net", CANONICAL["net"], "?dry_run=false").status == 201
    assert len(world.cloud.requests) == 1


# ---------------------------------------------------------------------------------------- loss

def case_lenient(world):
    rows = [
        ("router", "a traffic filter", dict(traffic_type="reject"), "/traffic_type", "reject"),
        ("router", "an interval", dict(aggregation_interval=60), "/aggregation_interval", 60),
        ("ali", "a log index", dict(index=True), "/index", True),
        ("net", "an interval", dict(aggregation_interval=60), "/aggregation_interval", 60),
        ("net", "tags", dict(tags={"team": "net"}), "/tags", {"team": "net"}),
    ]
    for base, label, change, pointer, value in rows:
        yield f"{label} on {base}", (
            lambda b=base, c=change, p=pointer, v=value: lenient(world, b, c, p, v))


def lenient(world, base, change, pointer, value):
    world.cloud.clear()
    refused = problem(world.gateway.create(base, but(base, **change)), 422, "unsupported_by_target")
    assert [e["pointer"] for e in refused["errors"]] == [pointer], refused
    assert len(refused["errors"][0]["detail"]) > 10, refused
    assert world.cloud.requests == [], "something was sent although it was refused"

    answer = world.gateway.create(base, but(base, **change),
                                  headers={"Prefer": "handling=lenient"})
    assert answer.status == 201, repr(answer)
    loss = answer.json()["loss"]
    assert [(entry["pointer"], entry["value"], entry["direction"]) for entry in loss] == [
        (pointer, value, "request")], loss
    assert loss[0]["reason"]
    assert "handling=lenient" in answer.headers.get("preference-applied", ""), repr(answer)
    assert len(world.cloud.writes()) == 1
    method, path, query, body, _ = NATIVE[base]
    request = world.cloud.requests[0]
    assert (request.path, request.query) == (path, query), request.raw
    assert body is None or request.json() == body, request.raw


def case_strict_is_the_default_word(world):
    told = world.gateway.create("router", but("router", traffic_type="accept"),
                                headers={"Prefer": "handling=strict"})
    problem(told, 422, "unsupported_by_target")


def case_a_wish_the_cloud_grants_anyway_is_no_loss(world):
    answer = world.gateway.create("router", but("router", traffic_type="all"))
    assert answer.status == 201 and answer.json()["loss"] == [], repr(answer)


def case_native_members_pass(world):
    world.cloud.clear()
    answer = world.gateway.create("ali", but("ali", native={"ResourceGroupId": "rg-acfmx"}))
    assert answer.status == 201, repr(answer)
    assert world.cloud.requests[0].query["ResourceGroupId"] == "rg-acfmx"
    told = problem(world.gateway.create("ali", but("ali", native={"TrafficType": "All"})), 422)
    assert told["errors"][0]["pointer"] == "/native/TrafficType", told


# ------------------------------------------------------------------------------------- waiting

def case_wait(world):
    for base in DIALECTS:
        yield base, lambda b=base: wait(world, b)


def wait(world, base):
    world.slow.clear()
    answer = world.gateway.create(base + "-slow", CANONICAL[base], headers={"Prefer": "wait=20"},
                                  timeout=60)
    assert answer.status == 201, repr(answer)
    assert answer.json()["status"] == "active", answer.json()
    assert len(world.slow.writes()) == 1
    if base == "ali":
        assert len(world.slow.requests) >= 2, "nobody looked"


def case_wait_that_is_too_short(world):
    world.slow.clear()
    world.slow.systems.pending = 1000
    try:
        began = time.monotonic()
        answer = world.gateway.create("router-slow", CANONICAL["router"],
                                      headers={"Prefer": "wait=1"})
        took = time.monotonic() - began
    finally:
        world.slow.systems.pending = 2
    assert answer.status == 201, repr(answer)
    assert answer.json()["status"] == "creating", answer.json()
    assert took < 3 * world.binary.slow + 1, took


def case_without_wait_it_does_not_wait(world):
    answer = world.gateway.create("router-slow", CANONICAL["router"])
    assert answer.status == 201 and answer.json()["status"] == "creating", repr(answer)


# ------------------------------------------------------------------------------- memory target

def case_memory_cloud(world):
    answer = world.gateway.create("memory", CANONICAL["net"])
    assert answer.status == 201, repr(answer)
    again = world.gateway.get("memory", answer.json()["id"])
    assert again.status == 200 and again.json()["name"] == "edge-reject", repr(again)


# ------------------------------------------------------------------ what it tells about itself

def case_targets(world):
    listed = world.gateway.call("GET", "/v1/targets").json()["targets"]
    names = {t["name"]: t["dialect"] for t in listed}
    assert names["net"] == "otc-vpc" and names["ali-curl"] == "alibaba-vpc", names
    one = world.gateway.call("GET", "/v1/targets/router").json()
    assert one["name"] == "router" and one["dialect"] == "otc-er", one
    few = world.gateway.call("GET", "/v1/targets", key="narrow").json()["targets"]
    assert [t["name"] for t in few] == ["net"], few


def case_head(world):
    answer = world.gateway.call("HEAD", "/v1/targets")
    assert answer.status == 200 and answer.body == b"" and int(
        answer.headers["content-length"]) > 0, repr(answer)


def routes(world):
    document = world.gateway.call("GET", "/openapi.json", key=None)
    assert document.status == 200, repr(document)
    return document.json()


def any_dialect(world):
    return world.gateway.call("GET", "/v1/dialects").json()["dialects"][0]["dialect"]


def case_openapi(world):
    """What openapi.json lists is served, and nothing else: every path with every method."""
    document = routes(world)
    assert document["openapi"].startswith("3.1"), document["openapi"]
    verbs = ("get", "head", "put", "post", "delete", "patch", "options", "trace")
    for path, item in document["paths"].items():
        served = {verb for verb in verbs if verb in item}
        served |= {"head"} if "get" in served else set()
        real = re.sub(r"\{target\}", "net", path).replace("{dialect}", "otc-vpc")
        real = re.sub(r"\{(id|operation)\}", "x", real)
        real = real.replace("{dialect}", any_dialect(world))
        for verb in verbs:
            def part(verb=verb, real=real, served=served):
                answer = world.gateway.call(verb.upper(), real, b"{" if verb in (
                    "post", "put", "patch") else None)
                if verb in served:
                    assert answer.status not in (404, 405) or real.endswith("/x"), repr(answer)
                    return
                assert answer.status == 405, repr(answer)
                allow = {word.strip().lower() for word in answer.headers["allow"].split(",")}
                assert allow == served, f"Allow {allow}, served {served}"
            yield f"{verb.upper()} {path}", part


def case_openapi_refers_to_what_it_has(world):
    document = routes(world)
    text = json.dumps(document)
    for pointer in set(re.findall(r'"\$ref": "#([^"]+)"', text)):
        place = document
        for step in pointer.strip("/").split("/"):
            assert step in place, f"#{pointer} leads nowhere"
            place = place[step]


def case_health(world):
    assert world.gateway.admin("/healthz").status == 200
    assert world.gateway.admin("/readyz").status == 200
    problem(world.gateway.admin("/nothing"), 404)


def case_admin_is_not_on_the_callers_side(world):
    for path in ("/healthz", "/readyz", "/metrics"):
        problem(world.gateway.call("GET", path), 404)


def metrics(world):
    """The exposition, read strictly: {name{labels}: value}."""
    answer = world.gateway.admin("/metrics")
    assert answer.status == 200, repr(answer)
    assert answer.headers["content-type"].startswith("text/plain"), repr(answer)
    values, types_ = {}, {}
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    sample = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{%s(?:,%s)*,?\})? (\S+)" % (label, label))
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types_, f"two TYPE lines for {name}"
            types_[name] = kind
        elif line.startswith("#") or not line:
            continue
        else:
            found = sample.fullmatch(line)
            assert found, f"not a sample: {line}"
            base = re.sub(r"_(bucket|sum|count)$", "", found.group(1))
            assert found.group(1) in types_ or base in types_, f"no TYPE for {found.group(1)}"
            key = found.group(1) + (found.group(2) or "")
            assert key not in values, f"twice: {key}"
            values[key] = float(found.group(3))
    assert values
    return values


def case_metrics(world):
    before = metrics(world)
    for _ in range(3):
        world.gateway.create("net", CANONICAL["net"])
    problem(world.gateway.create("net", b"{"), 400)
    after = metrics(world)
    grown = {key: after[key] - before.get(key, 0) for key in after
             if after[key] != before.get(key, 0)}
    assert any(value >= 4 for value in grown.values()), grown
    for key, value in before.items():
        if "_total" in key or "_bucket" in key or "_count" in key:
            assert after[key] >= value, f"{key} went back"


def case_access_line(world):
    world.cloud.clear()
    answer = world.gateway.create("net", CANONICAL["net"])
    line, end = None, time.monotonic() + 5 * world.binary.slow
    while not line and time.monotonic() < end:
        time.sleep(0.05)
        line = next((entry for entry in world.gateway.access_lines()
                     if answer.headers["x-request-id"] in entry.values()), None)
    assert line, "no access line with the request's id"
    values = list(line.values())
    for told in ("POST", 201, "net", "portal"):
        assert told in values, f"{told} is not in {line}"
    assert any("/v1/targets/net/flow-logs" in str(value) for value in values), line


def case_every_output_line_is_json(world):
    for path in (world.gateway.out, world.gateway.err):
        for text in path.read_text().splitlines():
            if not text.startswith("=="):  # valgrind's own
                json.loads(text)


def case_request_id_and_trace(world):
    world.cloud.clear()
    ids = {world.gateway.create("net", CANONICAL["net"]).headers["x-request-id"]
           for _ in range(5)}
    assert len(ids) == 5, ids


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENTS = {  # W3C Trace Context: what goes on to the cloud, None where it is to be ignored
    f"00-{TRACE}-00f067aa0ba902b7-01": TRACE,
    f"00-{TRACE}-00f067aa0ba902b7-00": TRACE,
    f"00-{TRACE.upper()}-00f067aa0ba902b7-01": None,
    f"00-{'0' * 32}-00f067aa0ba902b7-01": None,
    f"00-{TRACE}-{'0' * 16}-01": None,
    f"ff-{TRACE}-00f067aa0ba902b7-01": None,
    f"00-{TRACE}-00f067aa0ba902b7-01-x": None,
    f"00-{TRACE}-00f067aa0ba902b-017": None,
    "nonsense": None,
}


def case_trace_is_continued(world):
    for sent, trace in TRACEPARENTS.items():
        yield sent, lambda s=sent, t=trace: check_trace(world, s, t)


def check_trace(world, sent, trace):
    world.cloud.clear()
    answer = world.gateway.create("net", CANONICAL["net"], headers={"traceparent": sent})
    assert answer.status == 201, repr(answer)
    got = world.cloud.requests[-1].headers.get("traceparent")
    if trace is None:
        assert got is None, got
        return
    version, trace_id, parent, flags = got.split("-")
    assert (version, trace_id, flags) == ("00", trace, sent[-2:]), got
    assert len(parent) == 16 and parent != sent.split("-")[2], got

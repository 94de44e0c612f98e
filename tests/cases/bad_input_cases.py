"""What callers do wrong: every mistake is told, with its place, and nothing is sent."""
import contextlib
import json
import types

from bodies import CANONICAL, DIALECTS, but, problem
from cloud import Cloud
from gateway import CLOUD_KEYS, Gateway, target

MEMCHECK = True


@contextlib.contextmanager
def world(binary):
    cloud = Cloud(CLOUD_KEYS)
    targets = {name: target(dialect, cloud.url, timeout_ms=8000, total_timeout_ms=20000)
               for name, dialect in DIALECTS.items()}
    gateway = Gateway(binary, targets)
    try:
        yield types.SimpleNamespace(gateway=gateway, cloud=cloud)
    finally:
        gateway.done()
        cloud.stop()


def refuse(world, name, body, status, code, pointers=None, words=(), **more):
    """The request is refused so; the cloud sees nothing of it."""
    world.cloud.clear()
    told = problem(world.gateway.create(name, body, **more), status, code)
    if pointers is not None:
        seen = sorted(error["pointer"] for error in told.get("errors", []))
        assert seen == sorted(pointers), f"expected {sorted(pointers)}, seen {told}"
        for error in told["errors"]:
            assert error["code"] and error["detail"], told
    text = json.dumps(told)
    for word in words:
        assert word in text, f"{word!r} is not in {text}"
    assert told["retryable"] is False, told
    assert world.cloud.requests == [], "something was sent"
    return told


def case_json(world):
    rows = {
        "nothing": b"", "half": b'{"name": "a', "two values": b"{}{}", "comment": b"{/**/}",
        "trailing comma": b'{"name": "ab",}', "single quotes": b"{'name': 'ab'}",
        "NaN": b'{"aggregation_interval": NaN}', "leading zero": b'{"aggregation_interval": 060}',
        "byte order mark": b'\xef\xbb\xbf{"name": "ab"}', "invalid UTF-8": b'{"name": "\xff"}',
        "overlong UTF-8": b'{"name": "\xc0\xaf"}', "lone surrogate": b'{"name": "\\ud800"}',
        "escaped NUL": b'{"name": "a\\u0000b"}', "raw NUL": b'{"name": "a\0b"}',
        "raw newline in text": b'{"name": "a\nb"}', "too deep": b'{"native":' * 400 + b"1" + b"}" * 400,
    }
    for label, body in rows.items():
        yield label, lambda b=body: refuse(world, "net", b, 400, "bad_json")


def case_not_an_object(world):
    for text in (b"[]", b"null", b'"text"', b"3"):
        yield text.decode(), lambda t=text: refuse(world, "net", t, (400, 422), None)


def case_duplicates(world):
    body = (b'{"name": "ab", "name": "cd", "resource_type": "vpc", "resource_type": "vpc", '
            b'"destination": {"type": "lts", "type": "lts"}}')
    told = refuse(world, "net", body, 400, "bad_json")
    pointers = {error["pointer"] for error in told["errors"]}
    assert {"/name", "/resource_type", "/destination/type"} <= pointers, told


def case_all_mistakes_at_once(world):
    body = {"nmae": "edge", "name": 7, "description": ["x"], "resource_type": "vps",
            "resource_id": True, "traffic_type": "rejct",
            "destination": {"type": "lts", "gruop": "x", "group": 1, "stream": None},
            "aggregation_interval": "600", "index": "yes", "tags": {"a": 1}}
    told = refuse(world, "net", body, 422, "invalid_flow_log")
    pointers = {error["pointer"] for error in told["errors"]}
    wanted = {"/nmae", "/name", "/description", "/resource_type", "/resource_id", "/traffic_type",
              "/destination/gruop", "/destination/group", "/aggregation_interval", "/index",
              "/tags/a"}
    assert wanted <= pointers, f"not told: {wanted - pointers}"


def case_nearest_names(world):
    for given, near, place in (("nmae", "name", ""), ("trafic_type", "traffic_type", ""),
                               ("resource_tpye", "resource_type", ""),
                               ("gruop", "group", "destination")):
        def part(given=given, near=near, place=place):
            body = but("net")
            (body[place] if place else body)[given] = "x"
            pointer = f"/{place}/{given}" if place else f"/{given}"
            told = refuse(world, "net", body, 422, "invalid_flow_log", [pointer])
            assert near in told["errors"][0]["detail"], told
        yield given, part


def case_types(world):
    rows = [("/name", dict(name=5)), ("/name", dict(name=True)), ("/description", dict(description={})),
            ("/resource_id", dict(resource_id=["a"])), ("/index", dict(index=1)),
            ("/enabled", dict(enabled="true")), ("/destination", dict(destination="lts")),
            ("/aggregation_interval", dict(aggregation_interval=600.5)),
            ("/aggregation_interval", dict(aggregation_interval="600")),
            ("/tags", dict(tags=["a"])), ("/tags/a", dict(tags={"a": None})),
            ("/native", dict(native=[]))]
    for pointer, change in rows:
        base = "ali" if "tags" in change else "net"  # which has no tags at all
        yield f"{change}", lambda p=pointer, c=change, b=base: refuse(
            world, b, but(b, **c), 422, "invalid_flow_log", [p])


def case_words(world):
    for pointer, change in (("/resource_type", dict(resource_type="port")),
                            ("/traffic_type", dict(traffic_type="Drop")),
                            ("/traffic_type", dict(traffic_type="")),
                            ("/destination/type", dict(destination={"type": "kafka"}))):
        yield f"{change}", lambda p=pointer, c=change: refuse(
            world, "net", but("net", **c), 422, "invalid_flow_log", [p])


def case_values(world):
    rows = [("/name", dict(name="a")), ("/name", dict(name="1abc")), ("/name", dict(name="a" * 65)),
            ("/name", dict(name="a b")), ("/name", dict(name="näme")),
            ("/resource_id", dict(resource_id="")),
            ("/aggregation_interval", dict(aggregation_interval=0)),
            ("/aggregation_interval", dict(aggregation_interval=-60))]
    for pointer, change in rows:
        yield f"{change}", lambda p=pointer, c=change: refuse(
            world, "ali", but("ali", **c), 422, None, [p])


def case_missing(world):
    refuse(world, "net", {}, 422, "invalid_flow_log")
    told = refuse(world, "net", but("net", remove=("resource_id", "destination")), 422,
                  "invalid_flow_log")
    pointers = {error["pointer"] for error in told["errors"]}
    assert len(pointers) == 2, told


def case_read_only_members(world):
    for member in ("id", "status", "created_at", "updated_at", "delivery", "target", "loss"):
        yield member, lambda m=member: refuse(
            world, "net", {**but("net"), m: "x"}, 422, "invalid_flow_log", ["/" + m])


def case_unsupported(world):
    rows = [
        ("ali", dict(aggregation_interval=90), ["/aggregation_interval"]),
        ("ali", dict(aggregation_interval=3600), ["/aggregation_interval"]),
        ("router", dict(traffic_type="reject"), ["/traffic_type"]),
        ("ali", dict(index=True), ["/index"]),
        ("ali", dict(index=True, resource_type="router_attachment"), ["/index", "/resource_type"]),
        ("net", dict(tags={"a": "b"}), ["/tags"]),
        ("net", dict(aggregation_interval=60), ["/aggregation_interval"]),
        ("router", dict(resource_type="vpc"), ["/resource_type"]),
        ("net", dict(destination={"type": "sls"}), ["/destination/type"]),
        ("ali", dict(destination={"type": "lts"}), ["/destination/type"]),
    ]
    for name, change, pointers in rows:
        yield f"{change} on {name}", lambda n=name, c=change, p=pointers: refuse(
            world, n, but(n, **c), 422, ("unsupported_by_target", "invalid_flow_log"), p)


def case_several_unsupported_at_once(world):
    refuse(world, "router", but("router", traffic_type="accept", aggregation_interval=60,
                                tags={"a": "b"}, index=True), 422, "unsupported_by_target",
           ["/traffic_type", "/aggregation_interval", "/tags", "/index"])


def case_the_targets_own_limits(world):
    rows = [("net", dict(resource_id="vpc-1"), "/resource_id"),
            ("net", dict(description="<b>"), "/description"),
            ("net", dict(destination={"group": "flow-project"}), "/destination/group"),
            ("ali", dict(description="http://x"), "/description"),
            ("ali", dict(destination={"group": "Flow_Project"}), "/destination/group")]
    for name, change, pointer in rows:
        yield f"{change} on {name}", lambda n=name, c=change, p=pointer: refuse(
            world, n, but(n, **c), 422, None, [p])


def case_keys(world):
    def without(key, headers=None):
        world.cloud.clear()
        answer = world.gateway.create("net", CANONICAL["net"], key=key, headers=headers)
        problem(answer, 401, "unauthenticated")
        assert answer.headers.get("www-authenticate", "").startswith("Bearer"), repr(answer)
        assert world.cloud.requests == []

    yield "none", lambda: without(None)
    yield "wrong", lambda: without("no-such-key")
    yield "empty", lambda: without(None, {"Authorization": "Bearer "})
    yield "basic", lambda: without(None, {"Authorization": "Basic cG9ydGFsOng="})
    yield "almost", lambda: without("portal-key-8d0c1f5f2")
    yield "longer", lambda: without("portal-key-8d0c1f5f2aa")


def case_two_keys(world):
    request = (b"GET /v1/targets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer portal-key-8d0c1f5f2a"
               b"\r\nAuthorization: Bearer portal-key-8d0c1f5f2a\r\nConnection: close\r\n\r\n")
    came, _ = world.gateway.raw(request)
    assert came.split(b" ")[1] in (b"400", b"401"), came


def case_rights(world):
    refuse(world, "net", CANONICAL["net"], 403, "forbidden", key="reader")
    refuse(world, "ali", CANONICAL["ali"], (403, 404), None, key="narrow")
    answer = world.gateway.get("ali", "fl-1", key="narrow")
    problem(answer, (403, 404))


def case_refusals_come_in_the_right_order(world):
    """A stranger learns nothing: neither which targets there are nor whether a body is valid."""
    for path in ("/v1/targets/net/flow-logs", "/v1/targets/none/flow-logs"):
        problem(world.gateway.call("POST", path, b"{", key=None), 401)


def case_unknown_target(world):
    refuse(world, "nowhere", CANONICAL["net"], 404, "not_found")
    problem(world.gateway.get("nowhere", "x"), 404, "not_found")


def case_paths(world):
    for path in ("/", "/v1", "/v2/targets", "/v1/targets/", "/v1/targets/net/flow-logs/",
                 "/v1/targets/net/flow-logs/a/b", "/v1/targets//flow-logs"):
        yield path, lambda p=path: problem(world.gateway.call("GET", p), (404, 405))


def case_method(world):
    for method, path, allow in (("PUT", "/v1/targets/net/flow-logs", "POST"),
                                ("POST", "/v1/targets", "GET"),
                                ("TRACE", "/v1/targets", "GET"),
                                ("BREW", "/openapi.json", "GET")):
        def part(method=method, path=path, allow=allow):
            answer = world.gateway.call(method, path)
            problem(answer, 405, "method_not_allowed")
            assert allow in answer.headers["allow"].split(", "), repr(answer)
        yield f"{method} {path}", part


def case_media_type(world):
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded",
                 "application/json-seq", "", "application/jsonx"):
        yield kind or "empty", lambda k=kind: refuse(
            world, "net", json.dumps(CANONICAL["net"]), 415, "unsupported_media_type",
            headers={"Content-Type": k})


def case_media_type_parameters(world):
    answer = world.gateway.create("net", json.dumps(CANONICAL["net"]),
                                  headers={"Content-Type": "application/JSON; charset=utf-8"})
    assert answer.status == 201, repr(answer)


def case_content_encoding(world):
    refuse(world, "net", json.dumps(CANONICAL["net"]), 415, None,
           headers={"Content-Encoding": "gzip"})


def case_query_parameters(world):
    for query in ("?dry_run=maybe", "?dryrun=true", "?dry_run=true&dry_run=false", "?dry_run=%zz"):
        yield query, lambda q=query: refuse(world, "net", CANONICAL["net"], 400, None, query=q)


def case_preferences(world):
    """RFC 7240 §2: what is not understood is ignored; what is understood must make sense."""
    answer = world.gateway.create("net", CANONICAL["net"], headers={"Prefer": "foo=bar, x; y=z"})
    assert answer.status == 201, repr(answer)


def case_too_large(world):
    big = json.dumps(but("net", description="x" * 70000))
    told = problem(world.gateway.create("net", big), 413, "too_large")
    assert told["retryable"] is False
    assert world.gateway.create("net", CANONICAL["net"]).status == 201


# ---------------------------------------------------- values stay values, or are refused

NASTY = ["a\r\nX-Injected: 1", "a\nb", "a\0b", "a&Action=DeleteFlowLog", "a=b&c=d", 'a"b', "a'b",
         "a\\b", "../../etc", "a%2e%2e%2f", "%0d%0a", "a b+c", "a;b,c", "{id}", "${HOME}", "a#b?c",
         "grüße 東京 \U0001f600", "\u202eabc", "<script>"]


def case_values_stay_values(world):
    for member in ("description", "resource_id", "group", "tag"):
        for text in NASTY:
            yield f"{member} {text!r}", lambda m=member, t=text: nasty(world, m, t)


def nasty(world, member, text):
    world.cloud.clear()
    body = but("ali")
    if member == "group":
        body["destination"]["group"] = text
    elif member == "tag":
        body["tags"] = {text: text}
    else:
        body[member] = text
    answer = world.gateway.create("ali", body)
    if answer.status != 201:
        problem(answer, (400, 422))
        assert world.cloud.requests == [], "refused, but something was sent"
        return
    assert len(world.cloud.requests) == 1
    request = world.cloud.requests[0]
    names = {"description": "Description", "resource_id": "ResourceId", "group": "ProjectName",
             "tag": "Tag.1.Value"}
    assert request.query[names[member]] == text, request.raw
    plain = {"RegionId", "FlowLogName", "Description", "ResourceType", "ResourceId", "TrafficType",
             "ProjectName", "LogStoreName", "AggregationInterval", "Tag.1.Key", "Tag.1.Value"}
    assert set(request.query) <= plain, request.raw
    assert request.path == "/" and "x-injected" not in request.headers, request.raw
    assert world.cloud.bad_signatures == [], world.cloud.bad_signatures


def case_ids_stay_one_segment(world):
    """An id from a caller's path is one segment of the cloud's path, or refused."""
    for text in ("a%2Fb", "..%2F..%2Fv1", "%2e%2e", "a%0d%0aX-A:%201", "a%00b",
                 "a%3Fb%3Dc", "a%23b", "a%25b", "%e6%9d%b1", "a&b=c", "a;b"):
        def part(text=text):
            world.cloud.clear()
            answer = world.gateway.get("net", text)
            assert answer.status in (400, 404, 422, 502), repr(answer)
            for request in world.cloud.requests:
                assert request.path.count("/") == 5 and request.query_text == "", request.raw
                assert ".." not in request.path.split("/"), request.raw
                assert "x-a" not in request.headers, request.raw
        yield text, part

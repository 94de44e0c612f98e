"""The whole life of flow logs over REST, on every dialect: two processes of the real binary, one
plays the clouds (a door for each dialect, each over a memory cloud of its own), the other is the
gateway."""
import contextlib
import copy
import json
import time
import types

from bodies import CANONICAL, EC2, problem
from gateway import PROJECT, ROUTER, Gateway, free_port, target

MEMCHECK = False
KEY, SECRET = "cloudkey", "cloud-secret-for-lives"
CLOUDS = {
    "net": ("otc-vpc", "sdk-hmac-sha256", {"project_id": PROJECT}),
    "router": ("otc-er", "sdk-hmac-sha256", {"project_id": PROJECT, "er_id": ROUTER}),
    "ali": ("alibaba-vpc", "acs3-hmac-sha256", {"region": "cn-qingdao"}),
    "old": ("alibaba-vpc", "rpc-hmac-sha1", {"region": "cn-qingdao"}),
    "ec2": ("aws-ec2", "aws4-hmac-sha256", {"region": "eu-central-1"}),
}
BODIES = {**CANONICAL, "old": CANONICAL["ali"], "ec2": EC2}
BODIES["memory"] = CANONICAL["net"]
SWITCH = [name for name in (*CLOUDS, "memory") if name != "ec2"]
DESCRIBED = SWITCH


def body(name, number, **changes):
    """A flow log of this cloud whose resource is its own, so that none is a duplicate."""
    one = copy.deepcopy(BODIES[name])
    one["resource_id"] = one["resource_id"][:-6] + f"{number:06x}"
    one["name"] = f"log-{number}"
    one.update(changes)
    return {member: value for member, value in one.items() if value is not ...}


@contextlib.contextmanager
def world(binary):
    ports, targets, doors = {}, {}, []
    for name, (dialect, scheme, parameters) in CLOUDS.items():
        ports[name] = free_port()
        doors.append({"dialect": dialect, "address": f"127.0.0.1:{ports[name]}",
                      "target": f"cloud-{name}", "parameters": parameters,
                      "credentials": [{"caller": "portal", "access_key": KEY,
                                       "secret_key": {"value": SECRET}}]})
        targets[name] = target(dialect, f"http://127.0.0.1:{ports[name]}", timeout_ms=9000,
                               total_timeout_ms=20000, parameters=parameters,
                               credentials={"scheme": scheme, "access_key": {"value": KEY},
                                            "secret_key": {"value": SECRET}})
    targets["old"]["reply"] = "xml"
    targets["memory"] = {"dialect": "memory", "settle_ms": 50}
    targets["closed"] = target("otc-vpc", "http://127.0.0.1:1")
    for name in targets:
        if name in BODIES:
            targets[name]["resources"] = {"prod": {
                "resource_type": BODIES[name]["resource_type"],
                "resource_id": BODIES[name]["resource_id"]}}
            targets[name]["destinations"] = {"store": BODIES[name]["destination"]}
    clouds = Gateway(binary, {f"cloud-{name}": {"dialect": "memory", "settle_ms": 150}
                              for name in CLOUDS}, doors=doors)
    gateway = Gateway(binary, targets)
    try:
        yield types.SimpleNamespace(gateway=gateway, clouds=clouds)
    finally:
        gateway.done()
        clouds.done()


def logs(name, rest=""):
    return f"/v1/targets/{name}/flow-logs{rest}"


def made(world, name, number, wait=True, **changes):
    answer = world.gateway.create(name, body(name, number, **changes), timeout=60,
                                  headers={"Prefer": "wait=10"} if wait else {})
    assert answer.status == 201, repr(answer)
    return answer.json()["id"]


def patch(world, name, log, change, headers=None, query=""):
    return world.gateway.call("PATCH", logs(name, f"/{log}{query}"), change, timeout=60,
                              headers={"Content-Type": "application/merge-patch+json",
                                       "Prefer": "wait=10", **(headers or {})})


def remove(world, name, log, headers=None):
    return world.gateway.call("DELETE", logs(name, f"/{log}"), timeout=60,
                              headers={"Prefer": "wait=10", **(headers or {})})


def gone(world, name, log):
    answer = remove(world, name, log)
    assert answer.status == 204, repr(answer)


def each(function, names=(*CLOUDS, "memory")):
    for name in names:
        yield name, lambda name=name: function(name)


# ------------------------------------------------------------------------------- one flow log

def case_whole_life(world):
    yield from each(lambda name: whole_life(world, name))


def whole_life(world, name):
    log = made(world, name, 1)
    seen = world.gateway.get(name, log)
    assert seen.status == 200 and seen.json()["status"] == "active", repr(seen)
    assert seen.json()["enabled"] is True and seen.json()["name"] == "log-1", repr(seen)
    answer = patch(world, name, log, {"name": "renamed-1"}, {"If-Match": seen.headers["etag"]})
    assert answer.status == 200 and answer.json()["name"] == "renamed-1", repr(answer)
    now = world.gateway.get(name, log)
    assert now.json()["name"] == "renamed-1" and now.json()["enabled"] is True, repr(now)
    assert now.headers["etag"] != seen.headers["etag"]
    problem(patch(world, name, log, {"name": "again-1"}, {"If-Match": seen.headers["etag"]}), 412,
            "precondition_failed")
    problem(patch(world, name, log, {"name": "again-1"}, {"If-Match": ""}), 412, "precondition_failed")
    answer = remove(world, name, log)
    assert answer.status == 204 and not answer.body, repr(answer)
    problem(world.gateway.get(name, log), 404, "not_found")
    assert remove(world, name, log).status == 204, "a repeat of our own delete succeeds"
    problem(remove(world, name, log[:-4] + "abcd"), 404, "not_found")


def case_switch(world):
    yield from each(lambda name: switch(world, name), SWITCH)


def switch(world, name):
    log = made(world, name, 2)
    for wish in (False, True, False):
        answer = patch(world, name, log, {"enabled": wish})
        assert answer.status == 200 and answer.json()["enabled"] is wish, repr(answer)
        now = world.gateway.get(name, log).json()
        assert now["enabled"] is wish and now["status"] == ("active" if wish else "disabled"), now
    answer = patch(world, name, log, {"enabled": True, "name": "both-2"})
    assert answer.status == 200, repr(answer)
    now = world.gateway.get(name, log).json()
    assert now["enabled"] is True and now["name"] == "both-2", now
    gone(world, name, log)


def case_no_switch(world):
    log = made(world, "ec2", 3)
    problem(patch(world, "ec2", log, {"enabled": False}), 422, "unsupported_by_target")
    answer = patch(world, "ec2", log, {"enabled": True})
    assert answer.status == 200, repr(answer)
    gone(world, "ec2", log)


def case_rename_alone_switches_nothing(world):
    yield from each(lambda name: rename_disabled(world, name), SWITCH)


def rename_disabled(world, name):
    log = made(world, name, 4)
    assert patch(world, name, log, {"enabled": False}).status == 200
    assert patch(world, name, log, {"name": "still-off"}).status == 200
    now = world.gateway.get(name, log).json()
    assert now["enabled"] is False and now["name"] == "still-off", now
    gone(world, name, log)


def case_made_switched_off(world):
    yield from each(lambda name: made_switched_off(world, name), SWITCH)


def made_switched_off(world, name):
    log = made(world, name, 5, enabled=False)
    now = world.gateway.get(name, log).json()
    assert now["enabled"] is False and now["status"] == "disabled", now
    gone(world, name, log)


def case_nothing_to_change(world):
    yield from each(lambda name: nothing_to_change(world, name))


def nothing_to_change(world, name):
    log = made(world, name, 6)
    time.sleep(0.1)
    lines = len(world.clouds.access_lines())
    for change in ({}, {"name": "log-6"}, {"enabled": True}):
        answer = patch(world, name, log, change)
        assert answer.status == 200 and answer.json()["name"] == "log-6", repr(answer)
    if name != "memory":
        time.sleep(0.1)
        written = [line["operation"] for line in world.clouds.access_lines()[lines:]]
        assert set(written) == {"get"}, written
    gone(world, name, log)


def case_description_is_cleared(world):
    for name, status in (("net", 200), ("router", 200), ("memory", 200), ("ali", 422)):
        yield name, lambda name=name, status=status: description(world, name, status)


def description(world, name, status):
    log = made(world, name, 7)
    answer = patch(world, name, log, {"description": None})
    assert answer.status == status, repr(answer)
    now = world.gateway.get(name, log).json().get("description")
    assert (not now) == (status == 200), now
    gone(world, name, log)


def case_what_holds_is_no_change(world):
    for name in (*CLOUDS, "memory"):
        yield name, lambda n=name: asked_again(world, n)
    yield "what the cloud does anyway", lambda: done_anyway(world)


def asked_again(world, name):
    log = made(world, name, 60)
    calls = len(world.clouds.access_lines())
    answer = patch(world, name, log, body(name, 60))
    assert answer.status == 200 and "etag" in answer.headers, repr(answer)
    asked = [line["operation"] for line in world.clouds.access_lines()[calls:]]
    assert set(asked) <= {"get", "list"}, asked
    gone(world, name, log)


def done_anyway(world):
    log = made(world, "router", 61)
    answer = patch(world, "router", log, {"traffic_type": "all", "name": "renamed"})
    assert answer.status == 200 and answer.json()["name"] == "renamed", repr(answer)
    answer = patch(world, "router", log, {"traffic_type": "all"})
    assert answer.status == 200, repr(answer)
    problem(patch(world, "router", log, {"traffic_type": "reject"}), 422)
    told = problem(patch(world, "router", log, {"destination": None}), 422)
    assert "immutable" in told["errors"][0]["detail"], told
    gone(world, "router", log)


def case_what_is_lost_of_a_change(world):
    """Lenient: what a cloud cannot change is told, and the rest is done, if only a switch or nothing."""
    for name, change, status in (("router", {"tags": {"a": "b"}}, "active"), ("net", {"tags": {"a": "b"}}, "active"),
                                 ("ali", {"tags": {"a": "b"}}, "active"), ("ec2", {"description": "x"}, "active"),
                                 ("router", {"tags": {"a": "b"}, "enabled": False}, "disabled"),
                                 ("ali", {"tags": {"a": "b"}, "enabled": False}, "disabled")):
        yield f"{name}: {json.dumps(change)}", lambda n=name, c=change, s=status: lost(world, n, c, s)


def lost(world, name, change, status):
    log = made(world, name, 62)
    for query in ("?dry_run=true", ""):
        answer = patch(world, name, log, change, {"Prefer": "handling=lenient, wait=10"}, query)
        assert answer.status == 200, repr(answer)
        told = [loss["pointer"] for loss in answer.json()["loss"]]
        assert told == ["/" + next(iter(change))], told
    assert answer.json()["status"] == status, repr(answer)
    gone(world, name, log)


def case_bad_patches(world):
    log = made(world, "net", 8)
    for change, status, pointer in (
            ({"resource_id": "05c4052d-8d14-488f-aa00-19fea5a25fff"}, 422, "/resource_id"),
            ({"traffic_type": "all"}, 422, "/traffic_type"),
            ({"status": "active"}, 422, "/status"), ({"id": "x"}, 422, "/id"),
            ({"nmae": "x"}, 422, "/nmae"), ({"name": 7}, 422, "/name"), ([], 422, ""),
            ({"aggregation_interval": 60}, 422, "/aggregation_interval")):
        def part(change=change, status=status, pointer=pointer):
            told = problem(patch(world, "net", log, change), status)
            assert pointer in [error["pointer"] for error in told["errors"]], told
        yield json.dumps(change), part
    yield "immutable is said", lambda: immutable(world, log)
    yield "gone", lambda: problem(patch(world, "net", PROJECT, {"name": "x1"}), 404)
    yield "no JSON", lambda: problem(patch(world, "net", log, "{"), 400)
    yield "text", lambda: problem(patch(world, "net", log, "x", {"Content-Type": "text/plain"}), 415)
    yield "reader", lambda: problem(world.gateway.call(
        "PATCH", logs("net", f"/{log}"), {"name": "x1"}, key="reader"), 403)


def immutable(world, log):
    told = problem(patch(world, "net", log, {"traffic_type": "all"}), 422)
    assert "immutable" in json.dumps(told), told


def case_dry_runs_send_nothing(world):
    yield from each(lambda name: dry_run(world, name), [*CLOUDS])


def dry_run(world, name):
    log = made(world, name, 9)
    time.sleep(0.1)
    lines = len(world.clouds.access_lines())
    answer = patch(world, name, log, {"name": "not-sent"}, query="?dry_run=true")
    assert answer.status == 200 and answer.json()["requests"], repr(answer)
    assert "not-sent" in json.dumps(answer.json()["requests"]), repr(answer)
    answer = world.gateway.call("DELETE", logs(name, f"/{log}?dry_run=true"))
    assert answer.status == 200 and answer.json()["request"], repr(answer)
    time.sleep(0.1)
    assert len(world.clouds.access_lines()) == lines
    gone(world, name, log)


def case_replaced_when_the_caller_says_so(world):
    yield from each(lambda name: replaced(world, name), ["net", "ec2"])


def replaced(world, name):
    log = made(world, name, 10)
    change = {"traffic_type": "all"}
    problem(patch(world, name, log, change), 422, "unsupported_by_target")
    answer = patch(world, name, log, change, query="?replace=true")
    assert answer.status == 200, repr(answer)
    now = answer.json()
    assert now["id"] != log and now["replaced"] == log and now["traffic_type"] == "all", now
    assert answer.headers["location"].endswith(now["id"]), answer.headers
    problem(world.gateway.get(name, log), 404)
    assert world.gateway.get(name, now["id"]).json()["name"] == "log-10"
    gone(world, name, now["id"])


def case_transitional_status_at_once(world):
    answer = world.gateway.create("ali", body("ali", 11))
    assert answer.status == 201 and answer.json()["status"] == "creating", repr(answer)
    log = answer.json()["id"]
    answer = patch(world, "ali", log, {"name": "queued"})  # waits for the end of the creation first
    assert answer.status == 200, repr(answer)
    answer = world.gateway.call("DELETE", logs("ali", f"/{log}"))
    assert answer.status in (202, 204), repr(answer)


# -------------------------------------------------------------------------------------- lists

def pages(world, name, query, key="portal"):
    rows, token, count = [], None, 0
    while True:
        more = f"&page_token={token}" if token else ""
        answer = world.gateway.call("GET", logs(name, f"?{query}{more}"), key=key, timeout=60)
        assert answer.status == 200, repr(answer)
        told = answer.json()
        assert set(told) == {"flow_logs", "next_page_token", "loss"}, told.keys()
        rows += told["flow_logs"]
        count += 1
        token = told["next_page_token"]
        if token is None:
            return rows, count
        assert count < 100


def case_lists(world):
    yield from each(lambda name: lists(world, name))


def lists(world, name):
    drop_all(world, name)
    ids = [made(world, name, 0x100 + i, wait=False) for i in range(13)]
    for size in (1, 5, 6, 13, 100):
        rows, count = pages(world, name, f"page_size={size}")
        assert sorted(row["id"] for row in rows) == sorted(ids), (size, len(rows), count)
        assert all(row["target"] == name for row in rows)
    rows, _ = pages(world, name, "name=log-257")
    assert [row["name"] for row in rows] == ["log-257"], rows
    rows, _ = pages(world, name, f"resource_type={BODIES[name]['resource_type']}&page_size=4")
    assert len(rows) == 13, len(rows)
    rows, _ = pages(world, name, "status=failed")
    assert rows == []
    for log in ids:
        gone(world, name, log)
    assert pages(world, name, "page_size=5")[0] == []


def case_bad_lists(world):
    ids = [made(world, "net", 0x200 + i) for i in range(3)]
    first = world.gateway.call("GET", logs("net", "?page_size=1")).json()["next_page_token"]
    middle = first[:40] + ("0" if first[40] != "0" else "1") + first[41:]
    for label, path, key in (
            ("edited", logs("net", f"?page_size=1&page_token={middle}"), "portal"),
            ("cut", logs("net", f"?page_size=1&page_token={first[:-2]}"), "portal"),
            ("nonsense", logs("net", "?page_token=zz"), "portal"),
            ("another caller's", logs("net", f"?page_size=1&page_token={first}"), "reader"),
            ("another target's", logs("router", f"?page_size=1&page_token={first}"), "portal"),
            ("other filters", logs("net", f"?name=a1&page_token={first}"), "portal"),
            ("another size", logs("net", f"?page_size=2&page_token={first}"), "portal"),
            ("size 0", logs("net", "?page_size=0"), "portal"),
            ("size 1001", logs("net", "?page_size=1001"), "portal"),
            ("unknown filter", logs("net", "?nmae=x"), "portal"),
            ("unknown word", logs("net", "?traffic_type=some"), "portal"),
            ("twice", logs("net", "?name=a1&name=b2"), "portal")):
        yield label, lambda path=path, key=key: problem(
            world.gateway.call("GET", path, key=key), 400, "bad_parameter")
    yield "known names are told", lambda: named(world)
    for log in ids:
        remove(world, "net", log)


def named(world):
    told = problem(world.gateway.call("GET", logs("net", "?nmae=x")), 400)
    assert "name" in told["detail"] and "resource_id" in told["detail"], told


# ---------------------------------------------------------------------------- several targets

def several(number, targets, **more):
    return {"name": f"log-{number}", "resource_alias": "prod", "destination": {"alias": "store"},
            "targets": targets, **more}


def everywhere(world, request, headers=None, query=""):
    return world.gateway.call("POST", f"/v1/flow-logs{query}", request, timeout=60,
                              headers={"Prefer": "handling=lenient, wait=10", **(headers or {})})


def drop_all(world, *names):
    for name in names:
        for row in pages(world, name, "page_size=100")[0]:
            remove(world, name, row["id"])


def case_several_targets(world):
    drop_all(world, "net", "ali", "ec2", "memory")
    answer = everywhere(world, several(1, ["net", "ali", "ec2", "memory"], traffic_type="reject"))
    assert answer.status == 201, repr(answer)
    results = answer.json()["results"]
    assert [one["outcome"] for one in results] == ["created"] * 4, results
    assert results[1]["flow_log"]["destination"]["group"] == "flow-project", results[1]
    merged = world.gateway.call("GET", "/v1/flow-logs?targets=net,ali,ec2,memory&page_size=100").json()
    assert sorted(row["id"] for row in merged["flow_logs"]) == sorted(
        one["id"] for one in results), merged
    assert merged["errors"] == [] and merged["next_page_token"] is None, merged
    drop_all(world, "net", "ali", "ec2", "memory")


def case_best_effort_tells_each_end(world):
    drop_all(world, "net")
    answer = everywhere(world, several(2, ["closed", "net"], traffic_type="reject"))
    assert answer.status == 207, repr(answer)
    closed, net = answer.json()["results"]
    assert closed["outcome"] == "failed" and closed["error"]["status"] == 422, closed
    assert net["outcome"] == "created" and net["id"], net
    drop_all(world, "net")


def case_all_or_nothing(world):
    drop_all(world, "net", "ali")
    made(world, "ali", 0)  # in the way of the second: the same content
    clash = BODIES["ali"]["resource_id"]
    remove_me = made(world, "ali", 3, resource_id=clash)
    answer = everywhere(world, several(4, ["net", "ali"], traffic_type="reject", policy="all"))
    assert answer.status == 207, repr(answer)
    net, ali = answer.json()["results"]
    assert net["outcome"] == "undone" and net["id"], net
    assert ali["outcome"] == "failed" and ali["error"]["code"] == "conflict", ali
    problem(world.gateway.get("net", net["id"]), 404)
    assert world.gateway.get("ali", remove_me).status == 200
    drop_all(world, "net", "ali")


def case_all_is_checked_before_anything_is_sent(world):
    drop_all(world, "net")
    lines = len(world.clouds.access_lines())
    request = several(5, ["net", "router"], traffic_type="reject", policy="all")
    answer = everywhere(world, request, {"Prefer": "handling=strict"})
    told = problem(answer, 422)
    assert "error" in told["results"][1] and "error" not in told["results"][0], told
    time.sleep(0.1)
    assert len(world.clouds.access_lines()) == lines


def case_several_dry(world):
    answer = everywhere(world, several(6, ["net", "ali"], traffic_type="all"), query="?dry_run=true")
    assert answer.status == 200, repr(answer)
    assert [len(one["requests"]) for one in answer.json()["results"]] == [1, 1], answer.json()


def case_bad_several(world):
    good = several(7, ["net"], traffic_type="all")
    for label, change, pointer in (
            ("no targets", {"targets": ...}, "/targets"), ("none", {"targets": []}, "/targets"),
            ("a number", {"targets": [7]}, "/targets/0"),
            ("unknown", {"targets": ["net", "nowhere"]}, "/targets/1"),
            ("twice", {"targets": ["net", "net"]}, "/targets/1"),
            ("policy", {"policy": "some"}, "/policy"), ("unknown member", {"nmae": "x"}, "/nmae")):
        def part(change=change, pointer=pointer):
            request = {k: v for k, v in {**good, **change}.items() if v is not ...}
            told = problem(everywhere(world, request), 422)
            assert pointer in [error["pointer"] for error in told["errors"]], told
        yield label, part


def case_unknown_alias_names_those_there_are(world):
    request = {**body("net", 1, resource_type=..., resource_id=...), "resource_alias": "test",
               "destination": {"alias": "elsewhere"}}
    told = problem(world.gateway.create("net", request), 422)
    words = {error["pointer"]: error["detail"] for error in told["errors"]}
    assert "prod" in words["/resource_alias"] and "store" in words["/destination/alias"], words


def case_merged_lists_tell_who_failed(world):
    answer = world.gateway.call("GET", "/v1/flow-logs?page_size=50")
    assert answer.status == 200, repr(answer)
    assert [error["target"] for error in answer.json()["errors"]] == ["closed"], answer.json()
    error = answer.json()["errors"][0]
    assert error["status"] == 503 and error["code"] == "upstream_unreachable", error
    assert error["retryable"] is True, error


def case_merged_lists_in_pages(world):
    ids = set()
    for name in ("net", "ali", "memory"):
        drop_all(world, name)
        ids |= {made(world, name, 0x300 + i) for i in range(7)}
    for size in (1, 2, 4, 100):
        seen = merged(world.gateway, size, "&targets=ali,memory,net")
        assert sorted(seen) == sorted(ids), (size, len(seen), len(ids))
    problem(world.gateway.call("GET", "/v1/flow-logs?targets=net,nowhere"), 400)
    drop_all(world, "net", "ali", "memory")


def merged(gateway, size, which=""):
    """The ids of all pages, none of which is longer than was asked for."""
    seen, token = [], None
    for _ in range(200):
        more = f"&page_token={token}" if token else ""
        answer = gateway.call("GET", f"/v1/flow-logs?page_size={size}{which}{more}")
        assert answer.status == 200, repr(answer)
        page = [row["id"] for row in answer.json()["flow_logs"]]
        assert len(page) <= size, (size, len(page))
        seen += page
        token = answer.json()["next_page_token"]
        if not token:
            return seen
    raise AssertionError(f"a list without an end: {len(seen)} flow logs")


def case_a_list_of_many_targets(world):
    names = [f"a-memory-cloud-with-a-long-name-{number:03}" for number in range(70)]
    many = Gateway(world.gateway.binary, {name: {"dialect": "memory", "settle_ms": 0} for name in names})
    try:
        ids = [many.create(name, body("memory", number)).json()["id"]
               for number in range(3) for name in names]
        for size in (7, 100):
            assert sorted(merged(many, size)) == sorted(ids), size
    finally:
        many.done()



"""Doors of every dialect onto every dialect: long lists in each one's own pages, over real HTTP with
real signatures. One process plays the clouds, another is the gateway between. How the clouds' own
clients live behind these doors is in tests/clients."""
import contextlib
import json
import re
import types
import urllib.parse

from gateway import PROJECT, ROUTER, Gateway, free_port
from seal import knock

COUNT = 1000
SECRET = "door-secret-77aa5b1f"
UUID = "05c4052d-8d14-488f-aa00-19fea5a2%04d"
LTS = {"type": "lts", "group": UUID % 1, "stream": UUID % 2}

SIDES = {
    "alibaba-vpc": {"scheme": "acs3-hmac-sha256", "parameters": {"region": "cn-qingdao"},
                    "resource": ("vpc", "vpc-m5e8vhz2t21se%04d"),
                    "destination": {"type": "sls", "group": "flow-project", "stream": "flow-store"}},
    "otc-vpc": {"scheme": "sdk-hmac-sha256", "parameters": {"project_id": PROJECT},
                "resource": ("vpc", UUID), "destination": LTS},
    "otc-er": {"scheme": "sdk-hmac-sha256", "parameters": {"project_id": PROJECT, "er_id": ROUTER},
               "resource": ("router_attachment", UUID), "destination": LTS},
    "aws-ec2": {"scheme": "aws4-hmac-sha256", "parameters": {"region": "eu-central-1"},
                "resource": ("vpc", "vpc-0a1b2c3d4e5f6%04d"),
                "destination": {"type": "cloudwatch", "group": "flow-group",
                                "role": "arn:aws:iam::123456789012:role/flow-logs"}},
}


def aliases(dialect):
    kind, resource = SIDES[dialect]["resource"]
    return {"resources": {"edge": {"resource_type": kind, "resource_id": resource % 7}},
            "destinations": {"security": SIDES[dialect]["destination"]}}


def keys(caller):
    return [{"caller": caller, "access_key": "DOORKEY", "secret_key": {"value": SECRET}}]


def fill(clouds, dialect):
    kind, resource = SIDES[dialect]["resource"]
    for number in range(COUNT):
        answer = clouds.create(dialect, {
            "name": f"log-{number}", "resource_type": kind, "resource_id": resource % number,
            **({} if dialect == "otc-er" else {"traffic_type": "all"}),
            "destination": SIDES[dialect]["destination"]})
        assert answer.status == 201, repr(answer)


@contextlib.contextmanager
def world(binary):
    names, first = list(SIDES), free_port(len(SIDES) * (len(SIDES) + 1))
    cloud = {name: first + at for at, name in enumerate(names)}
    ports = {(d, t): first + len(names) + at
             for at, (d, t) in enumerate((d, t) for d in names for t in names)}
    clouds = Gateway(binary, {name: {"dialect": "memory", "settle_ms": 0, "quota": 10000} for name in names},
                     doors=[{"dialect": name, "target": name, "address": f"127.0.0.1:{port}",
                             "credentials": keys("portal")} for name, port in cloud.items()])
    gateway = Gateway(binary, {
        name: {"dialect": name, "endpoint": f"http://127.0.0.1:{cloud[name]}",
               "parameters": SIDES[name]["parameters"], **aliases(name),
               "credentials": {"scheme": SIDES[name]["scheme"], "access_key": {"value": "DOORKEY"},
                               "secret_key": {"value": SECRET}}} for name in names},
        doors=[{"dialect": d, "target": t, "address": f"127.0.0.1:{port}", **aliases(d),
                "parameters": SIDES[d]["parameters"], "credentials": keys("portal")}
               for (d, t), port in ports.items()])
    try:
        for name in names:
            fill(clouds, name)
        yield types.SimpleNamespace(gateway=gateway, ports=ports)
    finally:
        gateway.done()
        clouds.done()


# ---------------------------------------------------------------------- how each dialect's list is read

def ask(world, door, target, **parameters):
    """One call of the list."""
    side, form = SIDES[door], b""
    method, path, fields = "GET", "/", {}
    if door == "otc-vpc":
        path = f"/v1/{PROJECT}/fl/flow_logs"
    elif door == "otc-er":
        path = f"/v3/{PROJECT}/enterprise-router/{ROUTER}/flow-logs"
    elif door == "alibaba-vpc":
        method, fields = "POST", {"x-acs-action": "DescribeFlowLogs"}
        parameters["RegionId"] = "cn-qingdao"
    else:
        method, fields = "POST", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        form = urllib.parse.urlencode({"Action": "DescribeFlowLogs", "Version": "2016-11-15",
                                       **parameters}).encode()
        parameters = {}
    return knock(world.ports[door, target], side["scheme"], "DOORKEY", SECRET, method, path,
                 parameters, fields, form)


def rows(door, answer):
    """The resources on the page, and the answer as a document."""
    assert answer.status == 200, repr(answer)
    if door == "aws-ec2":
        text = answer.body.decode()
        found = re.findall(r"<flowLogId>([^<]*)</flowLogId>", text)
        return found, re.search(r"<nextToken>([^<]*)</nextToken>", text)
    document = json.loads(answer.body)
    if door == "alibaba-vpc":
        return [row["FlowLogId"] for row in document["FlowLogs"]["FlowLog"]], document
    return [row["id"] for row in document["flow_logs"]], document


def pages(world, door, target):
    """All pages, as a client of the dialect asks for one after the other."""
    seen, more = [], {}
    size = {"alibaba-vpc": {"PageSize": 50}, "aws-ec2": {"MaxResults": 100}}.get(door, {"limit": 100})
    while True:
        page, document = rows(door, ask(world, door, target, **size, **more))
        assert len(page) <= max(size.values()), len(page)
        seen += page
        if door == "aws-ec2":
            if not document:
                return seen
            more = {"NextToken": document.group(1)}
        elif door == "alibaba-vpc":
            assert int(document["TotalCount"]) == COUNT, document["TotalCount"]
            if len(seen) >= COUNT or not page:
                return seen
            more = {"PageNumber": int(document["PageNumber"]) + 1}
        elif door == "otc-er" and "next_marker" not in document["page_info"]:
            return seen
        elif door == "otc-vpc" and len(page) < 100:
            return seen
        else:
            more = {"marker": page[-1]}
            if door == "otc-er":
                assert document["page_info"]["next_marker"] == page[-1], document["page_info"]


def each_pair(world, check):
    for door in SIDES:
        for target in SIDES:
            yield f"{door} onto {target}", lambda d=door, t=target: check(world, d, t)


def case_pages_are_complete(world):
    yield from each_pair(world, in_pages)


def in_pages(world, door, target):
    seen = pages(world, door, target)
    assert len(seen) == COUNT and len(set(seen)) == COUNT, (len(seen), len(set(seen)))


def case_a_list_is_told_at_once(world):
    yield from each_pair(world, at_once)


def at_once(world, door, target):
    seen, _ = rows(door, ask(world, door, target))
    assert len(seen) == COUNT and len(set(seen)) == COUNT, (len(seen), len(set(seen)))


def case_a_resource_is_found_by_its_name_here(world):
    for door, name in (("alibaba-vpc", "ResourceId"), ("otc-vpc", "resource_id")):
        for target in SIDES:
            yield f"{door} onto {target}", lambda d=door, t=target, n=name: one(world, d, t, n)


def one(world, door, target, name):
    answer = ask(world, door, target, **{name: SIDES[door]["resource"][1] % 7})
    assert len(rows(door, answer)[0]) == 1, repr(answer)
    assert (SIDES[door]["resource"][1] % 7).encode() in answer.body, repr(answer)
    if door != target:
        assert SIDES[target]["resource"][1][:8].encode() not in answer.body or door[:3] == target[:3]


def case_a_marker_that_is_not_there(world):
    for target in ("alibaba-vpc", "otc-er", "aws-ec2"):
        yield target, lambda t=target: nothing_after(world, t)


def nothing_after(world, target):
    answer = ask(world, "otc-vpc", target, limit=10, marker=UUID % 9999)
    assert rows("otc-vpc", answer)[0] == [], repr(answer)


def case_tokens_are_ours(world):
    for target in SIDES:
        yield target, lambda t=target: only_ours(world, t)


def only_ours(world, target):
    _, found = rows("aws-ec2", ask(world, "aws-ec2", target, MaxResults=5))
    token = found.group(1)
    assert len(rows("aws-ec2", ask(world, "aws-ec2", target, NextToken=token))[0]) > 0
    other = "otc-er" if target != "otc-er" else "otc-vpc"
    edited = token[:-1] + ("0" if token[-1] != "0" else "1")
    for at, bad in ((target, edited), (other, token), (target, "guessed")):
        answer = ask(world, "aws-ec2", at, MaxResults=5, NextToken=bad)
        assert answer.status == 400 and b"<Code>" in answer.body, repr(answer)

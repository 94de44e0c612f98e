"""Bodies of create requests and of patches, good and bad, for the comparison of what the gateway
accepts with what the JSON Schema that it serves says. They are drawn from the canonical members and
from edges that some table may have, not from the schema: a mistake in it cannot hide here."""
import copy
import random

UUID = "05c4052d-8d14-488f-aa00-19fea5a25fde"
TEXTS = [
    "", "a", "ab", "edge-reject", "Edge.Reject_9", "9lives", "-a", "a-", "_ab", "a b", "a/b", "a:b",
    "a<b", "a>b", "a\tb", "a\nb", "ab\n", "a\x7fb", "a\x85b", "a\x9fb", "a\u00a0b", "\u00e9t\u00e9",
    "a\U0001f600", "http://x", "https://x", "HTTP://x", "aliyun-x", "acs:x", "aws:x",
    "a" * 24, "a" * 63, "a" * 64, "a" * 65, "a" * 128, "a" * 129, "a" * 255, "a" * 256, "a" * 257,
    "\u00e9" * 255, "\u00e9" * 256, "\U0001f600" * 256, "\U0001f600" * 257, "x" * 1024, "x" * 1025,
    UUID, UUID.upper(), UUID[:-1], UUID + "0", UUID.replace("-", ""), UUID.replace("-", "_"),
    "b2782e6708b8475c993e6064bc456bf8", "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2",
    "n-1", "r-", "net-1", "a/b/c", "vpc-m5e8vhz2t21sel1nq", "vsw-1", "eni-", "eni", "subnet-0a1b2c3d", "vpc-0a1b2c3d4e5f60718",
    "eni-0a1b2c3d", "tgw-attach-0a1b2c3d", "flow-project", "flow_store", "Flow", "ab_", "arn:aws:s3:::bucket",
    "arn:aws:s3:::bucket/prefix/", "arn:aws:iam::123456789012:role/flow",
]
WORDS = {
    "resource_type": ["interface", "subnet", "vpc", "router_attachment", "router", "VPC", "port"],
    "traffic_type": ["all", "accept", "reject", "ALL", "drop"],
    "type": ["lts", "sls", "cloudwatch", "s3", "firehose", "storage_account", "cls", "LTS"],
}
INTEGERS = [0, 1, -1, 59, 60, 61, 120, 300, 600, 601, 3600, 2**31, 2**63 - 1, 1.5]
OTHERS = [None, True, False, [], {}, ["a"], {"a": "b"}, 7]
TAGS = [
    {}, {"a": "b"}, {"a": ""}, {"": "b"}, {"a": None}, {"a": 1}, {"a": ["b"]}, {"a\nb": "c"}, {"a": "b\tc"},
    {"aliyun": "x"}, {"k": "acs:x"}, {"http://k": "v"}, {"aws:x": "y"}, {"Name": "x"},
    {"k" * 127: "v"}, {"k" * 128: "v"}, {"k" * 129: "v"}, {"k": "v" * 128}, {"k": "v" * 129},
    {"k": "v" * 256}, {"k": "v" * 257}, {"\u00e9" * 128: "\u00e9" * 128},
    *({f"k{i}": "v" for i in range(n)} for n in (19, 20, 21, 45, 49, 50, 51, 100, 101)),
]
TEXT_MEMBERS = ["name", "description", "resource_id", "parent_id"]
DESTINATION = ["group", "stream", "arn", "id", "role"]
UNKNOWN = ["nme", "Name", "id", "target", "status", "created_at", "updated_at", "delivery", "loss", ""]


def native_members(table):
    """Members of `native` that rows, templates and schemes of the table use, and some that nobody
    uses; of nested places the way to them too."""
    names = {"Unknown", "x-y", "Tag.1", "Tag.0.Key", "Tag.1.Key", "Tag.1.", "Tag.1000.Key",
             "Tag.1001.Key", "Tag.01.Key", "Tag.7.Other", "Tags", "Tag"}
    for row in table["fields"]:
        steps = row.get("n", "").split("/")[1:]
        names.update(steps)
        if len(steps) == 2:
            yield {steps[0]: {"Unknown": 1}}
            yield {steps[0]: {steps[1]: {}}}
    for scheme in table["transport"].get("signing", []):
        names.update(scheme.get("own", []), scheme.get("query", {}))
    for one in table["transport"].get("refuse", []):
        names.update((one["parameter"].replace("*", "2"), one["parameter"].replace("*", "")))
        for value in (*one.get("unless", []), True, False, "true", "false", 0):
            yield {one["parameter"].replace("*", "2"): value}
    for operation in table["operations"].values():
        for step in operation["steps"]:
            names.update(step.get("query", {}))
    for name in sorted(names - {""}):
        for value in ("x", 1, None, {}, {"a": 1}, ["a"]):
            yield {name: value}


def put(body, member, value):
    changed = copy.deepcopy(body)
    into = changed
    *outer, last = member.split("/")
    for name in outer:
        if not isinstance(into.get(name), dict):
            into[name] = {}
        into = into[name]
    into[last] = value
    return changed


def without(body, member):
    changed = copy.deepcopy(body)
    into = changed
    *outer, last = member.split("/")
    for name in outer:
        into = into.get(name)
        if not isinstance(into, dict):
            return changed
    into.pop(last, None)
    return changed


def values(table, aliases):
    """(member, value) for every member: whatever any table may treat in a way of its own."""
    for member in TEXT_MEMBERS + [f"destination/{name}" for name in DESTINATION]:
        for value in TEXTS + OTHERS:
            yield member, value
    for member in ("resource_type", "traffic_type", "destination/type"):
        for value in WORDS[member.split("/")[-1]] + ["", *OTHERS]:
            yield member, value
    for value in INTEGERS + OTHERS + ["600"]:
        yield "aggregation_interval", value
    for member in ("index", "enabled"):
        for value in [*OTHERS, "true", 0, 1]:
            yield member, value
    for value in TAGS + OTHERS:
        yield "tags", value
    for value in aliases["resources"] + ["nobody", "", *OTHERS]:
        yield "resource_alias", value
    for value in aliases["destinations"] + ["nobody", "", *OTHERS]:
        yield "destination/alias", value
    for value in native_members(table):
        yield "native", value
    for value in [*OTHERS, {"a": {"b": 0.10}}]:
        yield "native", value
    for name in UNKNOWN:
        yield name, "x"
        yield f"destination/{name}", "x"
    for value in OTHERS + ["x"]:
        yield "destination", value


def bodies(good, table, aliases, seed, mixed):
    """The good ones, each changed in one way, and `mixed` with several changes at once."""
    draw = random.Random(seed)
    changes = list(values(table, aliases))
    members = sorted({member for member, _ in changes})
    yield from copy.deepcopy(good)
    yield from [{}, [], None, "x", 7]
    for body in good:
        for member in members:
            if member in ("native", ""):
                continue
            yield without(body, member)
            yield put(body, member, None)
    for number, (member, value) in enumerate(changes):
        yield put(good[number % len(good)], member, value)
        yield put(draw.choice(good), member, value)
    for _ in range(mixed):
        body = copy.deepcopy(draw.choice(good))
        for _ in range(draw.randint(2, 5)):
            member, value = draw.choice(changes)
            body = without(body, member) if draw.random() < 0.2 else put(body, member, value)
        yield body


def patches(table):
    """Merge patches that name one member, or nothing at all. Not among them is what says nothing of a
    member (an empty object, a null alias, a parameter that means nothing): alone it is refused,
    beside others it is let through."""
    nothing = [one["parameter"] for one in table["transport"].get("refuse", []) if "unless" in one]
    yield from [{}, [], None, "x", 7]
    for member, value in values(table, {"resources": [], "destinations": []}):
        last = member.split("/")[-1]
        if value == {} or (value is None and last in ("resource_alias", "alias", "destination")):
            continue
        if member == "native" and isinstance(value, dict) and set(value) & set(nothing):
            continue
        yield put({}, member, value)

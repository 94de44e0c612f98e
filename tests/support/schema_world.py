"""A gateway with a target of every kind that a JSON Schema has to describe: each dialect of
mappings/, the clouds of the unit tests' tables (which have what the real ones have not), the memory
cloud; with and without aliases, and with aliases that the cloud would refuse."""
import json
import pathlib
import shutil
import tempfile

import drawn_bodies
from bodies import ATTACHMENT, CANONICAL, GROUP, STREAM, VPC
from gateway import ROOT, ROUTER, Gateway, target

NOWHERE = "http://127.0.0.1:1"
SCHEMES = {"key-a": "sdk-hmac-sha256", "key-b": "acs3-hmac-sha256", "old": "rpc-hmac-sha1",
           "new": "acs3-hmac-sha256"}
LTS = {"type": "lts", "group": GROUP, "stream": STREAM}
ROUTERS = {"att": {"resource_type": "router_attachment", "resource_id": ATTACHMENT},
           "whole": {"resource_type": "router_attachment", "resource_id": ATTACHMENT, "parent_id": ROUTER},
           "else": {"resource_type": "router_attachment", "resource_id": ATTACHMENT, "parent_id": VPC}}
KEYS = {"access_key": {"value": "AK"}, "secret_key": {"value": "not-a-secret"}}

AWS = {"name": "edge-reject", "resource_type": "vpc", "resource_id": "vpc-0a1b2c3d4e5f60718", "traffic_type": "reject",
       "destination": {"type": "s3", "arn": "arn:aws:s3:::bucket"}}
NIMBUS = {"name": "nimbus-log", "resource_type": "vpc", "resource_id": "n-1", "parent_id": "net-1",
          "destination": {"type": "cloudwatch", "group": "outer", "stream": "inner"}}
CIRRUS = {"name": "cirrus-log", "resource_type": "vpc", "resource_id": "1",
          "destination": {"type": "cls", "id": VPC}}


def imaginary(dialect, **more):
    scheme = "sdk-hmac-sha256" if dialect == "nimbus" else "rpc-hmac-sha1"
    parameters = {"account": "a1"} if dialect == "nimbus" else {"zone": "z-1"}
    return {"dialect": dialect, "endpoint": NOWHERE, "parameters": parameters,
            "credentials": {"scheme": scheme, **KEYS}, **more}


def stratus(cirrus):
    """A cloud with what the others lack: a name that is kept as a tag, members that one kind of
    resource has not, a default and a need under a condition."""
    table = json.loads(json.dumps(cirrus).replace("cirrus", "stratus"))
    table.pop("cases", None)
    rows = table["fields"]
    rows[:] = [row for row in rows if row.get("c") not in ("/name", "/aggregation_interval", "/index")]
    for direction, n, codec in (("request", "/Tag", "indexed"), ("reply", "/Tags/Tag", "kv_list")):
        rows.append({"c": "/name", "n": n, "codec": codec, "key": "Key", "value": "Value", "one": "Name",
                     "direction": direction, "mutable": direction == "request"})
    rows += [
        {"c": "/aggregation_interval", "n": "/Period", "codec": "scale", "factor": 60, "default": 60,
         "default_if": {"/resource_type": ["subnet", "vpc"]}, "required": True},
        {"c": "/index", "n": "/Index", "codec": "enum", "enum": "switch",
         "required_if": {"/name": "*", "/aggregation_interval": [60, 120]}},
    ]
    table["cannot"] += [
        {"c": "/index", "when": {"/name": None}, "unless": [False], "reason": "only what has a name"},
        {"c": "/resource_type", "words": ["interface"], "when": {"/aggregation_interval": 600},
         "reason": "not so slow"},
        {"c": "/tags", "when": {"/resource_type": "interface"}, "reason": "interfaces have no tags"},
    ]
    return table


def aliased(resources, destinations):
    return {"resources": resources, "destinations": destinations}


def targets():
    """name -> (configuration, good bodies)"""
    net, router, ali = (CANONICAL[name] for name in ("net", "router", "ali"))
    opened = target("otc-er", NOWHERE, **aliased(ROUTERS, {"sec": LTS}))
    del opened["parameters"]["er_id"]
    return {
        "bare": (target("otc-vpc", NOWHERE), [net]),
        "net": (target("otc-vpc", NOWHERE, **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": VPC},
             "bad": {"resource_type": "router", "resource_id": VPC}},
            {"sec": LTS, "half": {"type": "lts", "group": GROUP}})), [net]),
        "router": (target("otc-er", NOWHERE, **aliased(ROUTERS, {"sec": LTS})), [router]),
        "opened": (opened, [{**router, "parent_id": ROUTER}]),
        "ali": (target("alibaba-vpc", NOWHERE, **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": "vpc-1"},
             "bad": {"resource_type": "vpc", "resource_id": "1"}},
            {"sec": ali["destination"]})), [ali, {**ali, "tags": {"a": "b"}}]),
        "aws": ({"dialect": "aws-ec2", "endpoint": NOWHERE, "parameters": {"region": "eu-central-1"},
                 "credentials": {"scheme": "aws4-hmac-sha256", **KEYS}, **aliased(
                     {"prod": {"resource_type": "vpc", "resource_id": "vpc-1"},
                      "hub": {"resource_type": "router_attachment", "resource_id": "tgw-attach-1"}},
                     {"bucket": AWS["destination"], "bad": {"type": "lts"},
                      "watch": {"type": "cloudwatch", "group": "g", "role": "arn:aws:iam::1:role/r"}})},
                [AWS, {**AWS, "destination": {"type": "cloudwatch", "group": "g", "role": "arn:r"}}]),
        "nimbus": (imaginary("nimbus", **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": "n-1"},
             "whole": {"resource_type": "vpc", "resource_id": "n-1", "parent_id": "net-1"}},
            {"logs": NIMBUS["destination"], "bucket": {"type": "s3", "arn": "arn:x"},
             "bad": {"type": "s3"}})),
            [NIMBUS, {**NIMBUS, "destination": {"type": "s3", "arn": "arn:x"}}]),
        "cirrus": (imaginary("cirrus", **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": "1"}},
            {"topic": CIRRUS["destination"]})), [CIRRUS, {**CIRRUS, "tags": {"a": "b"}}]),
        "stratus": (imaginary("stratus", **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": "1"},
             "port": {"resource_type": "interface", "resource_id": "1"}},
            {"topic": CIRRUS["destination"]})), [{**CIRRUS, "index": True}, {**CIRRUS, "tags": {"a": "b"}, "index": True}]),
        "mem": ({"dialect": "memory", **aliased(
            {"prod": {"resource_type": "vpc", "resource_id": "1"}}, {"sec": LTS})}, [net, ali]),
    }


def with_aliases(good, conf):
    """The good bodies, and each said by every alias."""
    yield from good
    for body in good:
        for alias in conf.get("resources", {}):
            changed = {k: v for k, v in body.items() if k not in ("resource_type", "resource_id")}
            yield {**changed, "resource_alias": alias}
        for alias in conf.get("destinations", {}):
            yield {**body, "destination": {"alias": alias}}


class World:
    def __init__(self, binary):
        self.home = tempfile.TemporaryDirectory(prefix="sluice-schema-")
        folder = pathlib.Path(self.home.name)
        self.tables = {"memory": {"fields": [], "transport": {}, "operations": {}}}
        for path in sorted([*(ROOT / "mappings").glob("*.json"),
                            *(ROOT / "tests/unit/mapping/data").glob("*.json")]):
            if path.name != "schema.json":
                self.take_table(json.loads(path.read_text()), folder)
        self.take_table(stratus(self.tables["cirrus"]), folder)
        shutil.copy(ROOT / "mappings/schema.json", folder)
        self.targets = targets()
        self.gateway = Gateway(binary, {name: conf for name, (conf, _) in self.targets.items()},
                               mappings=str(folder))

    def take_table(self, table, folder):
        for scheme in table["transport"]["signing"]:
            scheme["scheme"] = SCHEMES.get(scheme["scheme"], scheme["scheme"])
        self.tables[table["dialect"]] = table
        (folder / f"{table['dialect']}.json").write_text(json.dumps(table))

    def schema(self, name, query=""):
        answer = self.gateway.call("GET", f"/v1/targets/{name}/schema{query}")
        assert answer.status == 200, answer
        return answer.json()

    def bodies(self, name, mixed=600, seed=1):
        conf, good = self.targets[name]
        aliases = {kind: sorted(conf.get(kind, {})) for kind in ("resources", "destinations")}
        return list(drawn_bodies.bodies(list(with_aliases(good, conf)),
                                        self.tables[conf["dialect"]], aliases, seed, mixed))

    def patches(self, name):
        return list(drawn_bodies.patches(self.tables[self.targets[name][0]["dialect"]]))

    def takes(self, name, body, change=False):
        """The gateway's own verdict, and its reasons."""
        method, path = ("PATCH", "/x-1") if change else ("POST", "")
        answer = self.gateway.call(method, f"/v1/targets/{name}/flow-logs{path}?dry_run=true",
                                   json.dumps(body))
        assert answer.status in (200, 422), (answer, body)
        return answer.status == 200, answer.json().get("errors")

    def done(self):
        try:
            self.gateway.done()
        finally:
            self.home.cleanup()

"""Callers that live with the gateway: each makes, changes, and deletes flow logs of its own, repeats
what was answered "try again", and knows at the end what the clouds must have."""
import copy
import http.client
import itertools
import json
import random
import socket
import ssl
import struct
import threading
import time
import uuid

from bodies import CANONICAL, EC2
from gateway import KEYS, PROJECT, SECRETS, Answer
from seal import knock

TARGETS = ("net", "net2", "router", "ali", "old", "ec2", "memory")
BODIES = {**CANONICAL, "net2": CANONICAL["net"], "old": CANONICAL["ali"], "ec2": EC2,
          "memory": CANONICAL["net"]}
DOOR_KEY, DOOR_SECRET = "SOAKDOORKEY", "soak-door-secret-41c7"
MOST = 12         # flow logs of one caller
PATIENCE = 40     # seconds until a write is definite, an operation over
NUMBERS = itertools.count(1)
MERGE = {"Content-Type": "application/merge-patch+json"}


class Wrong(Exception):
    """Something that must not be."""


class Log:
    """A flow log as its caller knows it."""

    def __init__(self, target, resource, told):
        self.target, self.resource, self.id, self.name = target, resource, told["id"], told["name"]

    @property
    def path(self):
        return f"/v1/targets/{self.target}/flow-logs/{self.id}"


class Line:
    """A caller's connection to the gateway, kept or not, with TLS or without."""

    def __init__(self, port, ca=None):
        self.port, self.context = port, ssl.create_default_context(cafile=ca) if ca else None
        self.connection = None

    def ask(self, method, path, body, fields, keep):
        connection = self.connection or self._open()
        self.connection = None
        try:
            connection.request(method, path, body=body, headers=fields)
            reply = connection.getresponse()
            answer = Answer(reply.status, reply.getheaders(), reply.read())
        except BaseException:
            connection.close()
            raise
        if keep and connection.sock:
            self.connection = connection
        else:
            connection.close()
        return answer

    def _open(self):
        if self.context:
            return http.client.HTTPSConnection("localhost", self.port, timeout=60,
                                               context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Caller(threading.Thread):
    """Does one thing after the other, drawn by KINDS, until `life.over` is set."""

    def __init__(self, life, number):
        super().__init__(daemon=True)
        self.life, self.number = life, number
        self.dice = random.Random(f"{life.seed}-{number}")
        self.line = Line(*life.line(number))
        self.logs, self.gone, self.perhaps, self.last = [], [], set(), None
        self.door_open = True

    def run(self):
        names, weights = zip(*KINDS.items())
        while not self.life.over.is_set():
            kind, began = self.dice.choices(names, weights)[0], time.monotonic()
            try:
                KIND[kind](self)
            except (Wrong, OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self.life.wrong(f"caller {self.number}, {kind}: {type(error).__name__}: {error}")
                self.line.close()
            pause = self.dice.expovariate(1 / self.life.pause) - (time.monotonic() - began)
            self.life.over.wait(max(0, pause))
        self.line.close()

    # ------------------------------------------------------------------------- asking

    def ask(self, kind, method, path, body=None, headers=None, key="portal"):
        fields = {"Authorization": f"Bearer {KEYS[key]}", **(headers or {})}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        return self.told(kind, self.line.ask(method, path, body, fields, self.dice.random() < 0.8))

    def told(self, kind, answer):
        self.life.count(kind, answer.status)
        everything = repr(answer.fields).encode() + answer.body
        seen = [text for text in (*SECRETS, DOOR_SECRET) if text.encode() in everything]
        if seen or answer.status in (500, 501):
            raise Wrong(f"{seen} {answer!r}")
        if answer.status > 500:
            self.life.heard(kind, answer)
        return answer

    def write(self, kind, method, path, body=None, headers=None):
        """Repeated with its key until the answer is definite; the last answer."""
        fields = {"Idempotency-Key": f'"{uuid.uuid4()}"', "Prefer": "wait=10", **(headers or {})}
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.ask(kind, method, path, body, fields)
            if answer.status < 400 or not answer.json()["retryable"]:
                break
            if time.monotonic() > end:
                raise Wrong(f"not definite after {PATIENCE} s: {answer!r}")
            time.sleep(min(float(answer.headers.get("retry-after", 0.2)), 1))
        self.last = (method, path, body, fields, answer)
        return answer

    def body(self, target):
        number, body = next(NUMBERS), copy.deepcopy(BODIES[target])
        body["resource_id"] = body["resource_id"][:-6] + f"{number:06x}"
        body["name"] = f"log-{number}"
        return body

    def own(self, *targets):
        """One of its flow logs, on one of these targets."""
        fit = [log for log in self.logs if not targets or log.target in targets]
        return self.dice.choice(fit) if fit else None

    # --------------------------------------------------------------------- what became of it

    def find(self, target, resource):
        """The flow logs of this resource, looked for as a caller would who does not know; None when
        it cannot be told."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.ask("find", "GET", f"/v1/targets/{target}/flow-logs?page_size=50"
                              f"&resource_id={resource}")
            rows = answer.json()["flow_logs"] if answer.status == 200 else [{}]
            if all(row.get("status") in ("active", None) and row.get("id") for row in rows):
                return [Log(target, resource, row) for row in rows]
            time.sleep(0.2)
        return None

    def look_again(self, target, resource):
        """Its end is not known: what is there now is its own."""
        self.logs = [log for log in self.logs if (log.target, log.resource) != (target, resource)]
        found = self.find(target, resource)
        if found is None:
            self.perhaps.add((target, resource))
        else:
            self.logs += found
            self.gone += [] if found else [(target, resource)]

    def made(self, target, resource, answer):
        if answer.status == 201:
            self.logs.append(Log(target, resource, answer.json()))
        elif answer.status < 500:
            raise Wrong(f"create on {target}: {answer!r}")
        else:
            self.look_again(target, resource)

    def removed(self, log, answer):
        if answer.status == 204:
            self.logs.remove(log)
            self.gone.append((log.target, log.resource))
        elif answer.status < 500:
            raise Wrong(f"delete of {log.path}: {answer!r}")
        else:
            self.look_again(log.target, log.resource)


KINDS, KIND = {}, {}


def kind(share):
    def keep(function):
        KINDS[function.__name__], KIND[function.__name__] = share, function
        return function
    return keep


# ------------------------------------------------------------------------------------ the life

@kind(20)
def create(me):
    if len(me.logs) >= MOST:
        return delete(me)
    target = me.dice.choice(TARGETS)
    body = me.body(target)
    answer = me.write("create", "POST", f"/v1/targets/{target}/flow-logs", body)
    return me.made(target, body["resource_id"], answer)


@kind(8)
def repeat(me):
    """The same key and the same request: the same answer."""
    if not me.last:
        return
    method, path, body, fields, first = me.last
    answer = me.ask("repeat", method, path, body, fields)
    if "idempotent-replayed" in answer.headers:
        # the answer of an operation that was handed on is its end
        if first.status != 202 and (answer.status, answer.body) != (first.status, first.body):
            raise Wrong(f"{answer!r} in place of {first!r}")
    elif answer.status < 500:
        raise Wrong(f"not a replay: {answer!r}")


@kind(2)
def key_of_another(me):
    if me.last and me.last[0] != "DELETE":
        method, path, _, fields, _ = me.last
        answer = me.ask("key_of_another", method, path, {"name": "another"}, fields)
        if answer.status < 400:
            raise Wrong(repr(answer))


@kind(18)
def get(me):
    log = me.own()
    if not log:
        return
    answer = me.ask("get", "GET", log.path)
    if answer.status == 404 or answer.status == 200 and answer.json()["name"] != log.name:
        raise Wrong(f"{log.path} should be {log.name}: {answer!r}")


@kind(6)
def list_pages(me):
    path, token, seen = f"/v1/targets/{me.dice.choice(TARGETS)}/flow-logs?page_size=20", None, 0
    while seen < 5:
        answer = me.ask("list", "GET", path + (f"&page_token={token}" if token else ""))
        token = answer.json().get("next_page_token")
        seen += 1
        if answer.status in (400, 404):
            raise Wrong(repr(answer))
        if not token:
            return


@kind(2)
def list_all_targets(me):
    me.ask("list_all", "GET", "/v1/flow-logs?page_size=50")


@kind(2)
def list_by_name(me):
    log = me.own()
    if log:
        answer = me.ask("list_by_name", "GET", f"/v1/targets/{log.target}/flow-logs?name={log.name}")
        if answer.status == 200 and not answer.json()["next_page_token"]:
            ids = [row["id"] for row in answer.json()["flow_logs"]]
            if ids != [log.id]:
                raise Wrong(f"of {log.path}, {log.name} there is {ids}")


@kind(6)
def switch(me):
    log = me.own(*(name for name in TARGETS if name != "ec2"))
    if log:
        answer = me.write("switch", "PATCH", log.path, {"enabled": me.dice.random() < 0.5}, MERGE)
        if answer.status == 404:
            raise Wrong(f"{log.path}: {answer!r}")


@kind(8)
def rename(me):
    log = me.own()
    if not log:
        return
    name, fields = f"log-{next(NUMBERS)}", dict(MERGE)
    if me.dice.random() < 0.2:
        seen = me.ask("get", "GET", log.path)
        fields["If-Match"] = seen.headers.get("etag", "*")
    answer = me.write("rename", "PATCH", log.path, {"name": name}, fields)
    if answer.status == 404:
        raise Wrong(f"{log.path}: {answer!r}")
    if answer.status == 200:
        log.name = name
    else:
        me.look_again(log.target, log.resource)


@kind(1)
def replace(me):
    log = me.own("net", "net2", "memory")
    if not log:
        return
    answer = me.write("replace", "PATCH", log.path + "?replace=true",
                      {"traffic_type": me.dice.choice(["accept", "reject", "all"])}, MERGE)
    if answer.status == 200:
        log.id = answer.json()["id"]
    else:
        me.look_again(log.target, log.resource)


@kind(14)
def delete(me):
    log = me.own()
    if log:
        me.removed(log, me.write("delete", "DELETE", log.path))


@kind(1)
def delete_again(me):
    """With another key, after its end."""
    log = me.own()
    if not log:
        return
    delete_one = me.write("delete", "DELETE", log.path)
    me.removed(log, delete_one)
    if delete_one.status == 204:
        again = me.write("delete_again", "DELETE", log.path)
        if again.status in (200, 202, 409):
            raise Wrong(repr(again))


@kind(5)
def respond_async(me):
    target = me.dice.choice(TARGETS)
    if len(me.logs) >= MOST:
        return
    body = me.body(target)
    answer = me.write("respond_async", "POST", f"/v1/targets/{target}/flow-logs", body,
                      {"Prefer": "respond-async, wait=10"})
    if answer.status != 202:
        return me.made(target, body["resource_id"], answer)
    end, told = time.monotonic() + PATIENCE, {"status": "running"}
    while told["status"] == "running":
        if time.monotonic() > end:
            raise Wrong(f"{answer.headers['location']} is still running")
        time.sleep(0.1)
        told = me.ask("operation", "GET", answer.headers["location"]).json()
    if told["status"] == "succeeded":
        me.logs.append(Log(target, body["resource_id"], told["flow_log"]))
    else:
        me.look_again(target, body["resource_id"])


@kind(3)
def several(me):
    if len(me.logs) >= MOST:
        return
    body, targets = me.body("net"), ["net", "net2", "memory"]
    body.update(targets=targets, policy=me.dice.choice(["all", "best_effort"]))
    answer = me.write("several", "POST", "/v1/flow-logs", body)
    results = answer.json().get("results", [])
    for target in targets:
        mine = next((row for row in results if row["target"] == target), {})
        if mine.get("outcome") == "created":
            me.logs.append(Log(target, body["resource_id"], mine["flow_log"]))
        else:
            me.look_again(target, body["resource_id"])


@kind(3)
def operations(me):
    me.ask("operations", "GET", "/v1/operations?page_size=20&status="
           + me.dice.choice(["running", "succeeded", "failed"]))


@kind(3)
def offline(me):
    """What no cloud is asked for."""
    target = me.dice.choice(TARGETS)
    path, body = me.dice.choice([
        ("/v1/targets", None), (f"/v1/targets/{target}/schema", None), ("/v1/dialects", None),
        ("/openapi.json", None), (f"/v1/targets/{target}/flow-logs?dry_run=true", me.body(target)),
        ("/v1/translate", {"from": "canonical", "to": "otc-vpc", "operation": "create",
                           "document": me.body("net"), "parameters": {"project_id": PROJECT}})])
    answer = me.ask("offline", "POST" if body else "GET", path, body)
    if answer.status != 200:
        raise Wrong(f"{path}: {answer!r}")


# -------------------------------------------------------------------------------- bad requests

BAD = [  # no cloud hears of them
    ("GET", "/v1/targets/nowhere/flow-logs", None, {}, "portal"),
    ("GET", "/v1/nothing", None, {}, "portal"),
    ("PUT", "/v1/targets/net/flow-logs", {}, {}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", {"name": "x"}, {}, "reader"),
    ("POST", "/v1/targets/net/flow-logs", "{", {}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", "[" * 100, {}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", {"nmae": "x", "resource_type": 1}, {}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", "x" * 70000, {}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", {}, {"Content-Type": "text/plain"}, "portal"),
    ("POST", "/v1/targets/net/flow-logs", {}, {"Idempotency-Key": "bare"}, "portal"),
    ("GET", "/v1/targets/net/flow-logs?page_size=0", None, {}, "portal"),
    ("GET", "/v1/targets/net/flow-logs?page_token=guessed", None, {}, "portal"),
    ("GET", "/v1/operations/00000000000000000000000000", None, {}, "portal"),
    ("GET", "/v1/targets", None, {"Authorization": "Bearer wrong"}, "portal"),
]


@kind(6)
def bad_request(me):
    method, path, body, headers, key = me.dice.choice(BAD)
    answer = me.ask("bad_request", method, path, body, headers, key)
    if not 400 <= answer.status < 500:
        raise Wrong(f"{method} {path}: {answer!r}")


@kind(1)
def not_http(me):
    text = me.dice.choice([b"SSH-2.0-x\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"])
    with socket.create_connection(("127.0.0.1", me.life.port), timeout=20) as sock:
        sock.sendall(text)
        came = sock.recv(4096)
    if came and not came.startswith(b"HTTP/1.1 4") and not came.startswith(b"HTTP/1.1 5"):
        raise Wrong(repr(came))
    me.life.count("not_http", int(came[9:12]) if came else 0)


# ---------------------------------------------------------------------------- callers who leave

def leave(me, data):
    """Sends this much and goes, in order or with a reset."""
    with socket.create_connection(("127.0.0.1", me.life.port), timeout=20) as sock:
        sock.sendall(data)
        if me.dice.random() < 0.5:
            time.sleep(me.dice.random() * 0.02)
        if me.dice.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def request_text(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost",
             f"Authorization: Bearer {KEYS['portal']}", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@kind(2)
def leaves_a_read(me):
    target = me.dice.choice(TARGETS)
    text = request_text("GET", f"/v1/targets/{target}/flow-logs")
    leave(me, text[:me.dice.randrange(1, len(text))] if me.dice.random() < 0.5 else text)
    me.life.count("leaves_a_read", 0)


@kind(3)
def leaves_a_write(me):
    """The connection goes in the middle of a create or behind it; the key brings it to an end."""
    if len(me.logs) >= MOST:
        return
    target, fields = me.dice.choice(TARGETS), {"Idempotency-Key": f'"{uuid.uuid4()}"',
                                               "Prefer": "wait=10"}
    body = me.body(target)
    path = f"/v1/targets/{target}/flow-logs"
    text = request_text("POST", path, json.dumps(body).encode(), fields.items())
    leave(me, text[:me.dice.randrange(1, len(text))] if me.dice.random() < 0.3 else text)
    me.life.count("leaves_a_write", 0)
    me.made(target, body["resource_id"], me.write("comes_back", "POST", path, body, fields))


# --------------------------------------------------------------------------------------- doors

def at_door(me, what, port, scheme, method, path, **more):
    return me.told(what, knock(port, scheme, DOOR_KEY, DOOR_SECRET, method, path, **more))


@kind(3)
def door_of_the_same_cloud(me):
    """Made and read through a door, and then the caller's own like any other."""
    if len(me.logs) >= MOST:
        return
    body, base = me.body("net"), f"/v1/{PROJECT}/fl/flow_logs"

    def call(what, method, path, document=None):
        return at_door(me, f"door_{what}", me.life.doors["otc-vpc"], "sdk-hmac-sha256", method, path,
                       fields={"content-type": "application/json"},
                       body=json.dumps(document).encode() if document else b"")

    answer = call("create", "POST", base, {"flow_log": {
        "name": body["name"], "resource_type": "vpc", "resource_id": body["resource_id"],
        "traffic_type": "reject", "log_group_id": body["destination"]["group"],
        "log_topic_id": body["destination"]["stream"]}})
    if answer.status != 200:
        return me.look_again("net", body["resource_id"])
    log = Log("net", body["resource_id"], answer.json()["flow_log"])
    me.logs.append(log)
    call("get", "GET", f"{base}/{log.id}")
    if me.dice.random() < 0.5 and call("delete", "DELETE", f"{base}/{log.id}").status != 204:
        me.look_again("net", log.resource)
    elif log in me.logs and call("get", "GET", f"{base}/{log.id}").status == 404:
        me.logs.remove(log)
        me.gone.append(("net", log.resource))


@kind(3)
def door_of_another_cloud(me):
    """Each caller has an alias of its own, made, read, and deleted in the door's words."""
    if not me.door_open:
        return
    alias = me.life.alias(me.number)

    def call(action, **query):
        return at_door(me, f"door_{action}", me.life.doors["alibaba-vpc"], "acs3-hmac-sha256",
                       "POST", "/", query={"RegionId": "cn-qingdao", **query},
                       fields={"x-acs-action": action})

    answer = call("CreateFlowLog", FlowLogName="through-the-door", ResourceType="VPC",
                  ResourceId=alias["door"], TrafficType="Drop", ProjectName="flow-project",
                  LogStoreName="flow-store")
    if answer.status == 200:
        answer = call("DescribeFlowLogs", FlowLogId=answer.json()["FlowLogId"])
    if answer.status == 200:
        for row in answer.json()["FlowLogs"]["FlowLog"]:
            answer = call("DeleteFlowLog", FlowLogId=row["FlowLogId"])
    if answer.status == 200:
        me.gone.append(("net2", alias["target"]))
        return
    me.look_again("net2", alias["target"])
    for log in [log for log in me.logs if log.resource == alias["target"]]:
        me.removed(log, me.write("delete", "DELETE", log.path))
    me.door_open = ("net2", alias["target"]) not in me.perhaps


@kind(2)
def door_of_a_third_cloud(me):
    at_door(me, "door_DescribeFlowLogs", me.life.doors["aws-ec2"], "aws4-hmac-sha256", "POST", "/",
            fields={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            body=b"Action=DescribeFlowLogs&MaxResults=10&Version=2016-11-15")


@kind(1)
def door_with_a_wrong_key(me):
    answer = me.told("door_wrong_key", knock(
        me.life.doors["aws-ec2"], "aws4-hmac-sha256", DOOR_KEY, "wrong", "POST", "/",
        fields={"content-type": "application/x-www-form-urlencoded"},
        body=b"Action=DescribeFlowLogs&Version=2016-11-15"))
    if not 400 <= answer.status < 500:
        raise Wrong(repr(answer))

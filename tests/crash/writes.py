"""The writes that a crash cuts short, each with what its sender does until the end is definite, and
what the cloud has to have then."""
import http.client
import json
import urllib.parse
import uuid
from xml.etree import ElementTree

from bodies import but
from gateway import PROJECT
from seal import knock

SECOND_PROJECT = PROJECT[::-1]
KEY, SECRET = "DOORKEY", "door-secret-of-the-crash"
LOGS = "/v1/targets/net/flow-logs"
SUCCESS = {"create": 201, "change": 200, "switch": 200, "replace": 200, "delete": 204,
           "several": 201}
AWS = {"group": "flow-group", "role": "arn:aws:iam::123456789012:role/flow-logs"}


class Write:
    """One write. `send` is called until it answers True; `seen` are the answers."""

    def __init__(self, kind, resource, flow_log=None):
        self.kind, self.resource, self.flow_log = kind, resource, flow_log
        self.definite, self.tries, self.seen = False, 0, []

    def send(self, gateway):
        self.tries += 1
        try:
            self.definite = self.ask(gateway)
        except (OSError, http.client.HTTPException) as error:
            self.seen.append(type(error).__name__)
        return self.definite

    def what_is_wrong(self, cloud):
        if not self.definite:
            return f"no definite answer after {self.tries} tries"
        return self.judge(cloud.rows("resource_id", self.resource), cloud)

    def __str__(self):
        return f"{self.kind} of {self.resource} {self.seen}"


class RestWrite(Write):
    """With an Idempotency-Key, repeated as long as it fails without effect. With `later` it is
    handed over (respond-async), and its operation is asked."""

    def __init__(self, kind, resource, method, path, body, later=False, flow_log=None):
        super().__init__(kind, resource, flow_log)
        self.method, self.path, self.body = method, path, body
        self.fields = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
        if later:
            self.fields["Prefer"] = "respond-async"
        self.later, self.where, self.status, self.told = later, None, None, None

    def ask(self, gateway):
        if self.where:
            return self._poll(gateway)
        answer = gateway.call(self.method, self.path, self.body, timeout=30, headers=self.fields)
        self.seen.append(answer.status)
        if answer.status == 202 and self.later:
            self.where = answer.headers["location"]
            return False
        self.status, self.told = answer.status, answer.json() if answer.body else {}
        return not (answer.status >= 400 and self.told.get("retryable"))

    def _poll(self, gateway):
        answer = gateway.call("GET", self.where, timeout=30)
        operation = answer.json()
        self.seen.append(operation.get("status", answer.status))
        if answer.status == 503 or operation.get("status") == "running":
            return False
        if answer.status != 200:
            self.status, self.told = answer.status, operation
            return True
        self.status = operation["http_status"]
        self.told = operation.get("error") or operation.get("flow_log") or operation
        if operation["status"] == "failed" and self._had_no_effect(operation):
            self.where = None
            return False
        return True

    @staticmethod
    def _had_no_effect(operation):
        if "results" not in operation:
            return operation["error"]["retryable"]
        return all(part["outcome"] == "undone" or part.get("error", {}).get("retryable")
                   for part in operation["results"])

    def judge(self, rows, cloud):
        story = f"{[row['id'] for row in rows]}; {cloud.story(rows)}; told {self.told}"
        if self.kind == "replace" and self.status != 200:
            return self._half_replaced(rows, story)
        if self.status != SUCCESS[self.kind]:
            return f"answered {self.status}: {story}"
        if self.kind == "delete":
            return f"still there: {story}" if rows else None
        if self.kind == "several":
            return self._several(rows, story)
        if len(rows) != 1 or self.told.get("id") != rows[0]["id"]:
            return f"{len(rows)} of it on the cloud: {story}"
        return self._wrong_members(rows[0])

    def _wrong_members(self, row):
        wanted = {native_name: self.body[name] for name, native_name in (
            ("enabled", "admin_state"), ("name", "name"), ("traffic_type", "traffic_type"))
            if name in self.body}
        wrong = {name: row[name] for name, value in wanted.items() if row[name] != value}
        if self.kind == "replace" and row["id"] == self.flow_log:
            wrong["id"] = row["id"]
        return f"is {wrong}, wanted {wanted}" if wrong else None

    def _half_replaced(self, rows, story):
        """Both may stand only where the answer says so."""
        said = "in place of " + self.flow_log in self.told.get("detail", "")
        return None if said and len(rows) == 2 else f"answered {self.status}: {story}"

    def _several(self, rows, story):
        ids = sorted(part["flow_log"]["id"] for part in self.told["results"]
                     if "flow_log" in part)
        if len(rows) != 2 or len({row["tenant_id"] for row in rows}) != 2:
            return f"{len(rows)} of it on two clouds: {story}"
        return None if ids == sorted(row["id"] for row in rows) else f"told {ids}: {story}"


class DoorWrite(Write):
    """A client of the first cloud's own kind, which knows no token: before it repeats a create it
    looks whether that is there, and to delete what is not there is as good."""

    def __init__(self, kind, resource, flow_log=None):
        super().__init__(f"{kind} at a door", resource, flow_log)
        self.does = kind

    def _call(self, gateway, method, path="", query=None, document=None):
        body = b"" if document is None else json.dumps({"flow_log": document}).encode()
        fields = {} if document is None else {"content-type": "application/json"}
        answer = knock(gateway.door, "sdk-hmac-sha256", KEY, SECRET, method,
                       f"/v1/{PROJECT}/fl/flow_logs{path}", query, fields, body, timeout=30)
        self.seen.append(answer.status)
        return answer

    def ask(self, gateway):
        return {"create": self._create, "delete": self._delete, "switch": self._switch}[
            self.does](gateway)

    def _create(self, gateway):
        if self.tries > 1:
            there = self._call(gateway, "GET", query={"resource_id": self.resource})
            if there.status != 200:
                return False
            if there.json()["flow_logs"]:
                self.flow_log = there.json()["flow_logs"][0]["id"]
                return True
        answer = self._call(gateway, "POST", document=native(self.resource))
        if answer.status in (200, 201):
            self.flow_log = answer.json()["flow_log"]["id"]
        return answer.status < 500

    def _delete(self, gateway):
        return self._call(gateway, "DELETE", "/" + self.flow_log).status < 500

    def _switch(self, gateway):
        answer = self._call(gateway, "PUT", "/" + self.flow_log, document={"admin_state": False})
        return answer.status < 500

    def judge(self, rows, cloud):
        story = f"{[row['id'] for row in rows]}, known as {self.flow_log}; {cloud.story(rows)}"
        last = self.seen[-1]
        if self.does == "delete":
            good = not rows and (last == 204 or (last == 404 and self.tries > 1))
        else:
            good = len(rows) == 1 and rows[0]["id"] == self.flow_log and last in (200, 201)
        if self.does == "switch" and good:
            good = rows[0]["admin_state"] is False
        return None if good else story


class TokenWrite(Write):
    """A create of another cloud's client at its door: repeated with the same token, as the SDKs do
    by themselves."""

    def __init__(self, resource, known_as):
        super().__init__("create with a token", resource)
        self.form = {"Action": "CreateFlowLogs", "Version": "2016-11-15",
                     "ClientToken": str(uuid.uuid4()), "ResourceId.1": known_as,
                     "ResourceType": "VPC", "TrafficType": "REJECT",
                     "LogDestinationType": "cloud-watch-logs", "LogGroupName": AWS["group"],
                     "DeliverLogsPermissionArn": AWS["role"],
                     "TagSpecification.1.ResourceType": "vpc-flow-log",
                     "TagSpecification.1.Tag.1.Key": "Name",
                     "TagSpecification.1.Tag.1.Value": "edge-reject"}
        self.body = None

    def ask(self, gateway):
        body = urllib.parse.urlencode(self.form).encode()
        answer = knock(gateway.token_door, "aws4-hmac-sha256", KEY, SECRET, "POST", "/", None,
                       {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, body,
                       timeout=30)
        self.seen.append(answer.status)
        self.body = answer.body
        return answer.status < 500

    def judge(self, rows, cloud):
        ids = [item.text for item in ElementTree.fromstring(self.body).findall(
            "{*}flowLogIdSet/{*}item")]
        if len(rows) == 1 and ids == [rows[0]["id"]]:
            return None
        return f"{[row['id'] for row in rows]}, told {self.body}; {cloud.story(rows)}"


def native(resource):
    body = but("net", resource_id=resource)
    return {"name": body["name"], "resource_type": "vpc", "resource_id": resource,
            "traffic_type": "reject", "log_group_id": body["destination"]["group"],
            "log_topic_id": body["destination"]["stream"], "description": body["description"]}


def draw(dice, cloud, names):
    """One write; what it changes or deletes is on the cloud already. `names` gives a resource that
    has a name on both sides of the token door."""
    kind = dice.choice(["create", "create", "create off", "change", "switch", "replace", "delete",
                        "several", "several", "door create", "door create", "door delete",
                        "door switch", "token", "token"])
    later = dice.random() < 0.25
    if kind == "token":
        return TokenWrite(*next(names))
    if kind == "door create":
        return DoorWrite("create", str(uuid.uuid4()))
    if kind in ("door delete", "door switch"):
        row = cloud.put(native(str(uuid.uuid4())))
        return DoorWrite(kind.removeprefix("door "), row["resource_id"], row["id"])
    if kind in ("create", "create off", "several"):
        return draw_create(dice, kind, later)
    row = cloud.put(native(str(uuid.uuid4())), admin_state=dice.random() < 0.5 or kind != "switch")
    method, query, body = {
        "change": ("PATCH", "", {"enabled": False, "name": "changed"}),
        "switch": ("PATCH", "", {"enabled": not row["admin_state"]}),
        "replace": ("PATCH", "?replace=true", {"traffic_type": "all"}),
        "delete": ("DELETE", "", None)}[kind]
    return RestWrite(kind, row["resource_id"], method, f"{LOGS}/{row['id']}{query}", body, later,
                     row["id"])


def draw_create(dice, kind, later):
    body = but("net", resource_id=str(uuid.uuid4()))
    if kind == "several":
        body.update(targets=["net", "net2"], policy=dice.choice(["all", "best_effort"]))
        return RestWrite(kind, body["resource_id"], "POST", "/v1/flow-logs", body, later)
    if kind == "create off":
        body["enabled"] = False
    return RestWrite("create", body["resource_id"], "POST", LOGS, body, later)

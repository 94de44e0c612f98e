"""What each client is to see at a door onto each target: done, or a refusal in its own dialect's words.

A refusal is a pass only where it stands here. The codes are the vendors' own, from their error lists (as
the tables' `errors` name them); they are written down once more here, so that a table cannot change unseen."""

# Clients: the dialect they speak, how the matrix calls them, and what their scripts need to know beside.
CLIENTS = {
    "alicloud-vpc": {"dialect": "alibaba-vpc", "title": "`@alicloud/vpc20160428`"},
    "alicloud-pop-get": {"dialect": "alibaba-vpc", "title": "`@alicloud/pop-core`, GET",
                         "script": "alicloud-pop.js", "scene": {"method": "GET", "xml": True}},
    "alicloud-pop-post": {"dialect": "alibaba-vpc", "title": "`@alicloud/pop-core`, POST",
                          "script": "alicloud-pop.js", "scene": {"method": "POST"}},
    "huawei-vpc": {"dialect": "otc-vpc", "title": "`@huaweicloud/huaweicloud-sdk-vpc`"},
    "huawei-router": {"dialect": "otc-er", "title": "router calls through `@huaweicloud/huaweicloud-sdk-core`"},
    "aws-sdk": {"dialect": "aws-ec2", "title": "`@aws-sdk/client-ec2`"},
    "aws-cli": {"dialect": "aws-ec2", "title": "`aws ec2` of Debian's awscli"},
}

PROJECT, ROUTER = "b2782e6708b8475c993e6064bc456bf8", "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2"
GROUP, STREAM = "05c4052d-8d14-488f-aa00-19fea5a25fdd", "a9d7dee7-37d2-4cba-a208-a016252aaa63"
ROLE = "arn:aws:iam::123456789012:role/flow-logs"

# Targets: their configuration, what a client of their dialect says for the same, and what they can do.
# `codes`: kind of refusal -> (code, HTTP status) that a client of the dialect sees; several where the vendor
# has several words for it.
TARGETS = {
    "alibaba-vpc": {
        "parameters": {"region": "cn-qingdao"}, "scheme": "acs3-hmac-sha256",
        "resource_type": "vpc", "resource": "vpc-m5e8vhz2t21se%04d",
        "destination": {"type": "sls", "group": "flow-project", "stream": "flow-store"},
        "client": {"region": "cn-qingdao", "resourceType": "VPC", "group": "flow-project",
                   "stream": "flow-store", "destination": "flow-project/flow-store"},
        "filters": True, "switches": True,
        "codes": {"conflict": [("InvalidResourceId.NotFound", 400)],
                  "gone write": [("InvalidInstanceId.NotFound", 400), ("InvalidInstanceId", 400)],
                  "unsupported": [("OperationUnsupported.action", 400)],
                  "invalid": [("InvalidParameter", 400), ("ParameterInvalid", 400)],
                  "signature": [("SignatureDoesNotMatch", 400)],
                  "key": [("InvalidAccessKeyId.NotFound", 404)],
                  "clock": [("InvalidTimeStamp.Expired", 400)],
                  "nonce": [("SignatureNonceUsed", 400)],
                  "forbidden": [("Forbidden.RAM", 403)],
                  "parameter": [("InvalidParameter", 400)]}},
    "otc-vpc": {
        "parameters": {"project_id": PROJECT}, "scheme": "sdk-hmac-sha256",
        "resource_type": "vpc", "resource": "05c4052d-8d14-488f-aa00-19fea5a2%04d",
        "destination": {"type": "lts", "group": GROUP, "stream": STREAM},
        "client": {"project": PROJECT, "resourceType": "vpc", "group": GROUP, "stream": STREAM,
                   "destination": f"{GROUP}/{STREAM}"},
        "filters": True, "switches": True,
        "codes": {"conflict": [("VPC.3004", 409)],
                  "gone read": [("VPC.3002", 404)],
                  "gone write": [("VPC.3005", 404)],
                  "unsupported": [("VPC.3002", 400)],
                  "invalid": [("VPC.3001", 400)],
                  "signature": [("APIGW.0301", 401)],
                  "key": [("APIGW.0301", 401)],
                  "clock": [("APIGW.0301", 401)],
                  "forbidden": [("VPC.2201", 403)],
                  "parameter": [("VPC.3001", 400)]}},
    "otc-er": {
        "parameters": {"project_id": PROJECT, "er_id": ROUTER}, "scheme": "sdk-hmac-sha256",
        "resource_type": "router_attachment", "resource": "2b3b5d2f-4a7e-4c8e-9b1f-7f0c5a1d%04d",
        "destination": {"type": "lts", "group": GROUP, "stream": STREAM},
        "client": {"project": PROJECT, "router": ROUTER, "resourceType": "attachment", "group": GROUP,
                   "stream": STREAM, "destination": f"{GROUP}/{STREAM}"},
        "filters": False, "switches": True,
        "codes": {"conflict": [("ER.04008503", 400)],
                  "gone read": [("ER.04008501", 400)],
                  "gone write": [("ER.04008501", 400)],
                  "unsupported": [("ER.04008500", 400), ("ER.04009019", 400)],
                  "invalid": [("ER.04009005", 400)],
                  "signature": [("APIGW.0301", 401)],
                  "key": [("APIGW.0301", 401)],
                  "clock": [("APIGW.0301", 401)],
                  "forbidden": [("APIGW.0302", 403)],
                  "parameter": [("ER.04009005", 400), ("APIGW.0201", 400)]}},
    "aws-ec2": {
        "parameters": {"region": "eu-central-1"}, "scheme": "aws4-hmac-sha256",
        "resource_type": "vpc", "resource": "vpc-0a1b2c3d4e5f6%04d",
        # what watches a router elsewhere watches an attachment of a transit gateway here
        "instead": {"otc-er": {"resource_type": "router_attachment", "resource": "tgw-attach-0a1b2c3d4e5f6%04d"}},
        "destination": {"type": "cloudwatch", "group": "flow-group", "role": ROLE},
        "client": {"region": "eu-central-1", "resourceType": "VPC", "group": "flow-group", "role": ROLE,
                   "destination": "flow-group"},
        "filters": True, "switches": False,
        # an id that is not there is answered by an empty set, as with Alibaba (the vendor's clients take an
        # error as well)
        "codes": {"conflict": [("FlowLogAlreadyExists", 400)],
                  "gone write": [("InvalidFlowLogId.NotFound", 400)],
                  "unsupported": [("UnsupportedOperation", 400), ("InvalidParameter", 400)],
                  "invalid": [("InvalidParameterValue", 400), ("InvalidParameter", 400)],
                  "signature": [("AuthFailure", 401)],
                  "key": [("AuthFailure", 401)],
                  "clock": [("RequestExpired", 400)],
                  "forbidden": [("UnauthorizedOperation", 403)],
                  "parameter": [("UnknownParameter", 400), ("InvalidParameterValue", 400), ("InvalidFilter", 400)]}},
}

# What a target cannot do, so that the step is refused as "unsupported" (or "invalid": a value that the target does
# not take). The canonical member that it is about leads to the reason, which the target's table gives.
CANNOT = {
    "filtered": ("/traffic_type", {"otc-er"}),
    "described": ("/description", {"aws-ec2"}),
    "describe": ("/description", {"aws-ec2"}),
    "clear": ("/description", {"aws-ec2", "alibaba-vpc"}),
    "disable": ("/enabled", {"aws-ec2"}),
    "enable": ("/enabled", set()),
    "foreign tags": ("/tags", {"otc-vpc", "otc-er"}),
    "tag": ("/tags", {"otc-vpc", "otc-er", "alibaba-vpc"}),
    "untag": ("/tags", {"otc-vpc", "otc-er", "alibaba-vpc"}),
    "foreign index": ("/index", {"otc-er", "alibaba-vpc", "aws-ec2"}),
    "foreign interval": ("/aggregation_interval", set()),  # see INTERVAL
    "foreign member": ("/native", set()),
}
# 300 s of Alibaba's client is no interval of AWS; 60 s of AWS' clients is one of Alibaba
INTERVAL = {"alibaba-vpc": {"otc-vpc", "otc-er", "aws-ec2"}, "aws-ec2": {"otc-vpc", "otc-er"}}

# Refused at every door, whatever the target.
ALWAYS = {"duplicate": "conflict", "wrong secret": "signature", "unknown key": "key", "clock": "clock",
          "reader writes": "forbidden", "unknown parameter": "parameter", "write what is gone": "gone write",
          "replay": "nonce"}

LIFE = ["create", "read", "duplicate", "pages", "whole list", "select", "delete", "read what is gone",
        "write what is gone", "clean", "wrong secret", "unknown key", "clock", "reader reads",
        "reader writes", "unknown parameter"]
CHANGES = ["rename", "describe", "clear", "disable", "rename while disabled", "enable", "described"]
MORE = {
    "alicloud-vpc": [*CHANGES, "filtered", "foreign interval", "foreign tags", "foreign member"],
    "alicloud-pop-get": [*CHANGES, "filtered", "foreign interval", "foreign tags", "foreign member",
                         "replay", "XML create", "XML list", "XML error", "XML clean"],
    "alicloud-pop-post": [*CHANGES, "filtered", "foreign interval", "foreign tags", "foreign member", "replay"],
    "huawei-vpc": [*CHANGES, "filtered", "foreign index", "foreign member"],
    "huawei-router": [*CHANGES, "foreign member"],
    "aws-sdk": ["rename", "tag", "untag", "filtered", "foreign interval", "foreign tags", "foreign member"],
    "aws-cli": ["rename", "tag", "untag", "filtered", "foreign interval", "foreign tags", "foreign member"],
}


def steps_of(client):
    return LIFE + MORE[client]


def refused_as(client, target, step):
    """The kinds of refusal that are right here; none when it must be done."""
    dialect = CLIENTS[client]["dialect"]
    if step in ALWAYS:
        return [ALWAYS[step]]
    if step == "read what is gone":
        return ["gone read"] if "gone read" in TARGETS[dialect]["codes"] else []
    if step == "foreign member":  # a native member beside those of the table stays in its own cloud
        return [] if dialect == target else ["unsupported", "invalid", "parameter"]
    lacking = INTERVAL.get(dialect, set()) if step == "foreign interval" else CANNOT.get(step, ("", ()))[1]
    return ["unsupported", "invalid"] if target in lacking else []


def verdict(client, target, name, step):
    """What is wrong with what was seen, or None."""
    kinds = refused_as(client, target, name)
    if step is None:
        return "was never tried"
    if step["saw"] == "failed":
        return step["note"][:600]
    if step["saw"] == "done":
        return f"was done, and should be refused ({' or '.join(kinds)})" if kinds else None
    said = f"{step.get('code')} {step.get('status', '')}: {step.get('note', '')}"[:400]
    if not kinds:
        return f"was refused: {said}"
    codes = TARGETS[CLIENTS[client]["dialect"]]["codes"]
    for kind in kinds:
        for code, status in codes.get(kind, []):
            if step.get("code") == code and step.get("status", status) == status:
                return None
    return f"was refused in other words than {kinds}: {said}"


def judge(client, target, steps):
    """(name of the check, what is wrong or None) for each step that was to be seen, in order."""
    seen = {step["step"]: step for step in steps}
    for name in [*steps_of(client), *(name for name in seen if name not in steps_of(client))]:
        if name in seen:
            yield name, verdict(client, target, name, seen[name])
    untried = [name for name in steps_of(client) if name not in seen]
    if untried:
        yield f"{len(untried)} steps", f"were never tried: {', '.join(untried)}"

"""The flow logs that the cases create: canonical as a caller writes them, native as the clouds
document them."""
import copy

from gateway import PROJECT, ROUTER

VPC = "05c4052d-8d14-488f-aa00-19fea5a25fde"
GROUP = "05c4052d-8d14-488f-aa00-19fea5a25fdd"
STREAM = "a9d7dee7-37d2-4cba-a208-a016252aaa63"
ATTACHMENT = "2b3b5d2f-4a7e-4c8e-9b1f-7f0c5a1d9e11"

CANONICAL = {
    "net": {"name": "edge-reject", "description": "rejected traffic of the edge",
            "resource_type": "vpc", "resource_id": VPC, "traffic_type": "reject",
            "destination": {"type": "lts", "group": GROUP, "stream": STREAM}},
    "router": {"name": "edge-router", "description": "all of an attachment",
               "resource_type": "router_attachment", "resource_id": ATTACHMENT,
               "destination": {"type": "lts", "group": GROUP, "stream": STREAM}},
    "ali": {"name": "edge-reject", "description": "rejected traffic of the edge",
            "resource_type": "vpc", "resource_id": "vpc-m5e8vhz2t21sel1nq",
            "traffic_type": "reject",
            "destination": {"type": "sls", "group": "flow-project", "stream": "flow-store"},
            "aggregation_interval": 600},
}

EC2 = {"name": "edge-reject", "resource_type": "vpc", "resource_id": "vpc-00112233445566778",
       "traffic_type": "reject", "destination": {"type": "s3", "arn": "arn:aws:s3:::flow-bucket"},
       "aggregation_interval": 600}

# method, path, query, body, the call's name
NATIVE = {
    "net": ("POST", f"/v1/{PROJECT}/fl/flow_logs", {}, {"flow_log": {
        "name": "edge-reject", "description": "rejected traffic of the edge",
        "resource_type": "vpc", "resource_id": VPC, "traffic_type": "reject",
        "log_group_id": GROUP, "log_topic_id": STREAM}}, None),
    "router": ("POST", f"/v3/{PROJECT}/enterprise-router/{ROUTER}/flow-logs", {}, {"flow_log": {
        "name": "edge-router", "description": "all of an attachment",
        "resource_type": "attachment", "resource_id": ATTACHMENT, "log_store_type": "LTS",
        "log_group_id": GROUP, "log_stream_id": STREAM}}, None),
    "ali": ("POST", "/", {
        "RegionId": "cn-qingdao", "FlowLogName": "edge-reject",
        "Description": "rejected traffic of the edge", "ResourceType": "VPC",
        "ResourceId": "vpc-m5e8vhz2t21sel1nq", "TrafficType": "Drop",
        "ProjectName": "flow-project", "LogStoreName": "flow-store",
        "AggregationInterval": "10"}, None, "CreateFlowLog"),
}

DIALECTS = {"net": "otc-vpc", "router": "otc-er", "ali": "alibaba-vpc"}


def but(base, /, remove=(), **changes):
    """A copy of a good body with members changed (a dict merges one level deep) or left out."""
    body = {k: v for k, v in copy.deepcopy(CANONICAL[base]).items() if k not in remove}
    for member, value in changes.items():
        if isinstance(value, dict) and isinstance(body.get(member), dict):
            value = {**body[member], **value}
        body[member] = value
    return body


def problem(answer, status, code=None):
    """Asserts that the answer is RFC 9457 problem details with this status; gives its body."""
    statuses = status if isinstance(status, tuple) else (status,)
    assert answer.status in statuses, f"expected {status}, seen {answer!r}"
    assert answer.headers.get("content-type") == "application/problem+json", repr(answer)
    body = answer.json()
    assert body["status"] == answer.status, body
    for member in ("type", "title", "detail", "code"):
        assert isinstance(body.get(member), str) and body[member], f"{member} is missing: {body}"
    assert isinstance(body.get("retryable"), bool), f"retryable is not told: {body}"
    if code is not None:
        codes = code if isinstance(code, tuple) else (code,)
        assert body["code"] in codes, f"expected {codes}, seen {body}"
    return body

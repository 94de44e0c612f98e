"""What can be done, told from the tables: the dialects, the JSON Schema of what a target takes (its
verdict and the gateway's are one, body by body; tests/schemas does the same with ajv), and
translations that send nothing."""
import contextlib
import json

import jsonschema
from bodies import CANONICAL, DIALECTS, GROUP, STREAM, VPC, but, problem
from gateway import PROJECT
from schema_world import World

EVERY = 4  # one body in so many: Python's validator is slow, and tests/schemas takes them all
NATIVE = {"flow_log": {"name": "edge-reject", "description": "rejected traffic of the edge",
                       "resource_type": "vpc", "resource_id": VPC, "traffic_type": "reject",
                       "log_group_id": GROUP, "log_topic_id": STREAM}}
FLAT = {"FlowLogName": "edge-reject", "Description": "rejected traffic of the edge",
        "ResourceType": "VPC", "ResourceId": "vpc-m5e8vhz2t21sel1nq", "TrafficType": "Drop",
        "ProjectName": "flow-project", "LogStoreName": "flow-store", "AggregationInterval": "10"}


@contextlib.contextmanager
def world(binary):
    made = World(binary)
    try:
        yield made
    finally:
        made.done()


def compare(w, name, change=False):
    schema = w.schema(name, "?operation=update" if change else "")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    taken = 0
    bodies = w.patches(name) if change else w.bodies(name, mixed=300)
    for body in bodies[:12] + bodies[12::EVERY]:
        takes, why = w.takes(name, body, change)
        taken += takes
        assert takes == validator.is_valid(body), (
            takes, why, [e.message for e in validator.iter_errors(body)], body)
    assert taken > 5, taken


def case_schemas_take_what_the_gateway_takes(w):
    for name in w.targets:
        yield name, lambda name=name: compare(w, name)
    for name in w.targets:
        if name != "opened":  # without its router's id no call but a create can be made there
            yield f"changes of {name}", lambda name=name: compare(w, name, change=True)


def case_a_schema_is_a_form(w):
    schema = w.schema("ali")
    members = schema["properties"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema", schema
    assert members["traffic_type"]["enum"] == ["all", "accept", "reject"], members["traffic_type"]
    assert members["aggregation_interval"]["enum"] == [60, 300, 600, None], members
    assert members["resource_alias"]["enum"] == ["prod", None], "an alias that the cloud refuses"
    assert members["index"]["enum"] == [None] and "index" in members["index"]["description"], members
    for member in members.values():
        assert member["title"] and member["description"], member
    assert "properties" not in w.schema("net")["properties"]["native"].get("additionalProperties", {})


def case_a_schema_of_changes(w):
    changes = w.schema("net", "?operation=update")
    assert "required" not in changes, changes
    assert set(changes["properties"]) == {"name", "description", "enabled", "native"}
    assert changes["properties"]["enabled"]["type"] == "boolean", changes
    problem(w.gateway.call("GET", "/v1/targets/net/schema?operation=delete"), 400, "bad_parameter")
    problem(w.gateway.call("GET", "/v1/targets/none/schema"), 404, "not_found")


def case_a_target_tells_its_names(w):
    said = w.gateway.call("GET", "/v1/targets/net").json()
    assert said["resources"] == ["prod", "bad"] and said["destinations"] == ["sec", "half"], said
    assert said["links"] == {"schema": "/v1/targets/net/schema", "dialect": "/v1/dialects/otc-vpc"}, said
    for link in said["links"].values():
        assert w.gateway.call("GET", link).status == 200, link
    said = {one["name"]: one for one in w.gateway.call("GET", "/v1/targets").json()["targets"]}
    assert said["mem"]["links"] == {"schema": "/v1/targets/mem/schema"}, said["mem"]
    assert "disable" not in said["aws"]["operations"], said["aws"]


def case_openapi_is_sound(w):
    said = w.gateway.call("GET", "/openapi.json", key=None).json()
    schemas = said["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(said)
    for name in set(text.split("#/components/schemas/")[1:]):
        assert name.split('"')[0] in schemas, name[:60]
    one = said["paths"]["/v1/targets/{target}/flow-logs/{id}"]
    assert {"200", "202", "204"} <= set(one["delete"]["responses"]), one["delete"]
    assert "anyOf" in one["patch"]["responses"]["200"]["content"]["application/json"]["schema"], one
    assert {"200", "201", "207"} <= set(said["paths"]["/v1/flow-logs"]["post"]["responses"])
    methods = {method for path in said["paths"].values() for method in path}
    assert {"get", "post", "patch", "delete"} <= methods, methods


def case_dialects_are_listed(w):
    said = w.gateway.call("GET", "/v1/dialects", key="reader").json()
    names = {one["dialect"]: one for one in said["dialects"]}
    assert set(DIALECTS.values()) <= set(names), names
    assert names["otc-vpc"]["href"] == "/v1/dialects/otc-vpc", names
    row = said["members"]["/aggregation_interval"]
    assert row["otc-vpc"] == {"create": "cannot", "update": "cannot", "reply": "cannot"}, row
    assert row["alibaba-vpc"]["create"] == "sent" and row["alibaba-vpc"]["update"] == "sent", row
    assert said["members"]["/resource_id"]["otc-vpc"]["update"] == "immutable", said


def case_a_dialect_is_described(w):
    said = w.gateway.call("GET", "/v1/dialects/alibaba-vpc").json()
    table = w.tables["alibaba-vpc"]
    for name in ("dialect", "title", "api_version", "version", "valid", "sources"):
        assert said[name] == table[name], name
    assert said["signing"] == [one["scheme"] for one in table["transport"]["signing"]], said
    assert set(said["operations"]) == set(table["operations"]), said["operations"]
    assert said["operations"]["create"]["asynchronous"] is True, said["operations"]
    assert said["operations"]["list"]["paging"]["style"] == "page", said["operations"]
    assert "/name" in said["operations"]["list"]["filters"], said["operations"]
    assert said["parameters"]["region"]["limits"]["chars"] == "a-z0-9-", said["parameters"]
    index = said["members"]["/index"]["create"]
    assert index["carried"] == "cannot" and "index" in index["cannot"][0]["reason"], index
    assert said["members"]["/resource_type"]["create"]["words"] == ["interface", "subnet", "vpc"]
    assert {"not_found", "throttled"} <= set(said["errors"]), said["errors"]
    lost = w.gateway.call("GET", "/v1/dialects/ali")
    assert "alibaba-vpc" in problem(lost, 404, "not_found")["detail"], lost


def translate(w, status=200, headers=None, **order):
    answer = w.gateway.call("POST", "/v1/translate", order, headers=headers, key="reader")
    assert answer.status == status, answer
    return answer.json()


def case_canonical_to_native_and_back(w):
    said = translate(w, **{"from": "canonical"}, to="otc-vpc", operation="create",
                     document=CANONICAL["net"])
    assert said == {"document": NATIVE, "loss": []}, said
    said = translate(w, **{"from": "otc-vpc"}, to="canonical", operation="create", document=NATIVE)
    assert said == {"document": CANONICAL["net"], "loss": []}, said
    said = translate(w, **{"from": "canonical"}, to="alibaba-vpc", operation="create",
                     document=CANONICAL["ali"], parameters={"region": "cn-qingdao"})
    assert said["document"] == {**FLAT, "RegionId": "cn-qingdao"}, said
    said = translate(w, **{"from": "alibaba-vpc"}, to="canonical", operation="create", document=FLAT)
    assert said["document"] == CANONICAL["ali"], said


def case_native_to_native(w):
    order = {"from": "otc-vpc", "to": "otc-er", "operation": "create"}
    attached = {"flow_log": {"name": "edge", "resource_type": "port", "resource_id": VPC,
                             "traffic_type": "all", "log_group_id": GROUP, "log_topic_id": STREAM,
                             "index_enabled": True}}
    said = translate(w, 422, **order, document=attached)
    pointers = {error["pointer"] for error in said["errors"]}
    assert pointers == {"/resource_type", "/index"}, said
    reply = {"flow_log": {"id": VPC, "name": "edge", "status": "ACTIVE", "tenant_id": PROJECT}}
    said = translate(w, **{"from": "otc-vpc"}, to="otc-er", operation="get", side="reply",
                     document=reply)
    assert said["document"]["flow_log"]["name"] == "edge", said
    assert "/native/tenant_id" in {loss["pointer"] for loss in said["loss"]}, said


def case_lists_are_translated(w):
    native = {"flow_logs": [{"id": VPC, "name": f"log-{i}", "admin_state": True, "status": "ACTIVE"}
                            for i in range(3)]}
    order = {"operation": "list", "side": "reply"}
    said = translate(w, **{"from": "otc-vpc"}, to="canonical", **order, document=native)
    assert [one["name"] for one in said["document"]] == ["log-0", "log-1", "log-2"], said
    there = {"from": "canonical", "to": "otc-vpc", **order}
    plain = translate(w, **there, document=said["document"])
    assert plain == translate(w, **there, document={"flow_logs": said["document"]}), plain
    assert len(plain["document"]["flow_logs"]) == 3, plain


def case_losses_and_leniency(w):
    order = {"from": "canonical", "to": "otc-vpc", "operation": "create",
             "document": but("net", aggregation_interval=600)}
    said = translate(w, 422, **order)
    assert [error["pointer"] for error in said["errors"]] == ["/aggregation_interval"], said
    for headers, more in (({"Prefer": "handling=lenient"}, {}), ({}, {"lenient": True})):
        said = translate(w, headers=headers, **order, **more)
        assert said["document"] == NATIVE and said["loss"][0]["value"] == 600, said
    bad = {"flow_log": {**NATIVE["flow_log"], "resource_type": "cloud"}}
    said = translate(w, 422, **{"from": "otc-vpc"}, to="canonical", operation="create", document=bad)
    assert said["errors"][0]["pointer"] == "/flow_log/resource_type", said


def case_orders_that_are_wrong(w):
    good = {"from": "canonical", "to": "otc-vpc", "operation": "create", "document": {}}
    wrong = {
        "/from": {**good, "from": "otc"}, "/to": {**good, "to": 7}, "/side": {**good, "side": "left"},
        "/operation": {**good, "operation": "crate"}, "/lenient": {**good, "lenient": 1},
        "/parameters": {**good, "parameters": {"region": 1}}, "/documnt": {**good, "documnt": 1},
        "/document": {k: v for k, v in good.items() if k != "document"},
    }
    for pointer, order in wrong.items():
        yield pointer, lambda order=order, pointer=pointer: expect(w, order, 400, pointer)
    yield "no such document", lambda: expect(w, {**good, "operation": "get"}, 422, "/to")
    yield "no object", lambda: expect(w, [], 422, "")


def expect(w, order, status, pointer):
    answer = w.gateway.call("POST", "/v1/translate", json.dumps(order))
    said = problem(answer, status)
    assert pointer in [error["pointer"] for error in said["errors"]], said
    if pointer == "/from":
        assert "canonical" in said["errors"][0]["detail"], said

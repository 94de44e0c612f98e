"""Whose time it is: nothing is sent again or looked for beyond the caller's deadline, which is
`Prefer: wait` or the target's total, whatever the operation consists of; what was sent is followed
to its end, and the caller is told the truth in time."""
import contextlib
import tempfile
import threading
import time
import types
import uuid

from bodies import but, problem
from cloud import WriteCloud
from gateway import CLOUD_KEYS, Gateway, target

LOGS = "/v1/targets/%s/flow-logs"
OFF = {"failure_percent": 0}


@contextlib.contextmanager
def world(binary):
    home, cloud = tempfile.TemporaryDirectory(prefix="sluice-deadline-"), WriteCloud(CLOUD_KEYS)
    long = {"timeout_ms": 2500, "total_timeout_ms": 9000, "breaker": OFF}
    short = {"timeout_ms": 2500, "total_timeout_ms": 1500, "breaker": OFF}
    targets = {"net": target("otc-vpc", cloud.url, **long),
               "short": target("otc-vpc", cloud.url, **short),
               "router": target("otc-er", cloud.url, **long),
               "router-short": target("otc-er", cloud.url, **short),
               "two": target("otc-vpc", cloud.url, parameters={"project_id": "0" * 32}, **short)}
    gateways = []
    try:
        for store in ({"store": {"sqlite": f"{home.name}/journal.db"}}, {}):
            gateways.append(Gateway(binary, targets, **store))
        comes_true(lambda: gateways[0].admin("/readyz").status == 200)
        yield types.SimpleNamespace(gateway=gateways[0], plain=gateways[1], cloud=cloud,
                                    slack=0.4 * binary.slow)
    finally:
        for gateway in gateways:
            gateway.done()
        cloud.stop()
        home.cleanup()


def comes_true(question, seconds=20):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "never"
        time.sleep(0.05)


def fresh(base="net", **changes):
    return but(base, resource_id=str(uuid.uuid4()), **changes)


def wait(seconds, **more):
    return {"Prefer": f"wait={seconds}", **more}


def key():
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def says(status, body, *headers):
    return lambda link, request: link.reply(status, body, list(headers))


def slowly(cloud, seconds):
    def answer(link, request):
        time.sleep(seconds)
        cloud.well(link, request)
    return answer


def in_time(world, answer, seconds):
    assert answer.took < seconds + world.slack, f"{answer.took:.2f} s: {answer!r}"


def ended(gateway, answer):
    """What the operation has come to."""
    where, rows = answer.headers["operation-location"], []

    def over():
        rows.append(gateway.call("GET", where).json())
        return rows[-1]["status"] != "running"
    comes_true(over)
    return rows[-1]


# ------------------------------------------------------------------------------- Prefer: wait

def case_no_pause_beyond_the_callers_time(world):
    """A hint that is longer is passed on at once, and nothing is sent again."""
    for name, gateway in (("journal", world.gateway), ("none", world.plain)):
        def part(gateway=gateway):
            world.cloud.spoil(says(429, {"error_code": "APIGW.0308", "error_msg": "slow down"},
                                   ("Retry-After", "3")))
            answer = gateway.create("net", fresh(), headers=wait(1))
            told = problem(answer, 429)
            assert told["retryable"] is True and answer.headers["retry-after"] == "3", repr(answer)
            in_time(world, answer, 0.3)
            assert len(world.cloud.writes()) == 1, world.cloud.requests
        yield name, part


def case_a_read_ends_with_the_callers_time(world):
    world.cloud.spoil(None, read=lambda link, request: link.hold(20))
    for seconds in (1, 0):  # there is a second at least
        answer = world.gateway.call("GET", LOGS % "net", headers=wait(seconds))
        problem(answer, 504, "upstream_timeout")
        in_time(world, answer, 1)
        assert answer.took > 0.9, f"{answer.took}"


def case_impatient_callers_open_no_breaker(world):
    """Their time says nothing about the cloud."""
    gateway = world.plain
    world.cloud.spoil(None, read=slowly(world.cloud, 1.5))
    answers = at_once([lambda: gateway.call("GET", LOGS % "net", headers=wait(1))] * 24)
    assert {answer.status for answer in answers} == {504}, answers
    world.cloud.clear()
    health = gateway.call("GET", "/v1/targets/net").json()["health"]
    assert health["failed"] == 0, health


def at_once(calls):
    answers = []
    threads = [threading.Thread(target=lambda call=call: answers.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def case_a_write_goes_on_without_its_caller(world):
    """He hears in time where to ask; the write is followed to its end, and sent once."""
    body, gateway, named = fresh(), world.gateway, key()
    world.cloud.spoil(slowly(world.cloud, 2.0))
    answer = gateway.create("net", body, headers=wait(1, **named))
    assert answer.status == 202 and answer.took > 0.9, repr(answer)
    assert answer.json()["status"] == "running", repr(answer)
    assert answer.headers["preference-applied"] == "wait=1", repr(answer)
    in_time(world, answer, 1.1)
    problem(gateway.create("net", body, headers=named), 409, "operation_in_progress")
    row = ended(gateway, answer)
    assert row["status"] == "succeeded" and row["http_status"] == 201, row
    assert [log["id"] for log in world.cloud.rows(body)] == [row["flow_log"]["id"]], row
    again = gateway.create("net", body, headers=named)
    assert again.status == 201 and again.json() == row["flow_log"], repr(again)
    assert len(world.cloud.writes()) == 1, world.cloud.requests


def case_a_half_done_write_goes_on_without_its_caller(world):
    body, gateway = fresh(enabled=False), world.gateway
    world.cloud.spoil(slowly(world.cloud, 1.2))
    answer = gateway.create("net", body, headers=wait(1))
    assert answer.status == 202, repr(answer)
    row = ended(gateway, answer)
    assert row["status"] == "succeeded" and row["flow_log"]["enabled"] is False, row


def case_a_caller_who_waits_and_leaves(world):
    """His connection ends while the write goes on; and the gateway ends in order meanwhile."""
    body, gateway = fresh(), world.gateway
    world.cloud.spoil(slowly(world.cloud, 2.0))
    answer = gateway.create("net", body, headers=wait(1))
    assert answer.status == 202, repr(answer)
    gateway.restart()
    comes_true(lambda: gateway.admin("/readyz").status == 200)
    row = ended(gateway, answer)
    assert row["status"] == "succeeded" and len(world.cloud.rows(body)) == 1, row


def case_without_a_journal_a_write_is_followed(world):
    """There is nowhere to ask for its end: the answer is late, and nothing comes after it."""
    for name, write in (("slow", slowly(world.cloud, 1.6)), ("silent", world.cloud.acts)):
        def part(name=name, write=write):
            body = fresh()
            world.cloud.spoil(write)
            answer = world.plain.create("net", body, headers=wait(1))
            if name == "slow":
                assert answer.status == 201, repr(answer)
            else:
                told = problem(answer, 504, "upstream_timeout")
                assert told["retryable"] is False and "taken effect" in told["detail"], told
                in_time(world, answer, 2.5)  # of the call itself
            assert len(world.cloud.requests) == 1, world.cloud.requests
        yield name, part


def case_settling_ends_with_the_callers_time(world):
    """Also where the last look is not answered: then the state in between is the answer."""
    for name, read in (("quick", None), ("slow", lambda link, request: link.hold(20))):
        def part(read=read):
            world.cloud.clear()
            world.cloud.systems.pending = 1000
            world.cloud.spoil(None, read=read)
            answer = world.gateway.create("router", fresh("router"), headers=wait(2))
            world.cloud.systems.pending = 0
            assert answer.status == 201 and answer.json()["status"] == "creating", repr(answer)
            in_time(world, answer, 2)
        yield name, part


# ---------------------------------------------------------------------------------- the total

def made(world, name, base="net", **changes):
    world.cloud.clear()
    answer = world.gateway.create(name, fresh(base, **changes))
    assert answer.status == 201, repr(answer)
    return answer.headers["location"]


def case_the_total_is_of_the_operation(world):
    """Of all its acts, looks and pauses together; what stands when it ends is told."""
    def create_off():
        return world.gateway.create("short", fresh(enabled=False))

    def patch(query, **changes):
        where = made(world, "short")
        return lambda: world.gateway.call("PATCH", where + query, changes)
    calls = {"create, switched off": lambda: create_off,
             "change and switch": lambda: patch("", name="y1", enabled=False),
             "replace": lambda: patch("?replace=true", traffic_type="all")}
    for name, prepare in calls.items():
        def part(prepare=prepare):
            call = prepare()
            world.cloud.spoil(slowly(world.cloud, 0.8), read=slowly(world.cloud, 0.8))
            answer = call()
            told = problem(answer, (503, 504))
            in_time(world, answer, 1.5)
            world.cloud.clear()
            assert "retryable" in told and told["detail"], told
        yield name, part


def case_the_total_ends_between_two_acts(world):
    """The first stands and is told; the second is not begun."""
    body = fresh("router", enabled=False)
    world.cloud.clear()
    world.cloud.systems.pending = 1000
    answer = world.gateway.create("router-short", body)
    world.cloud.systems.pending = 0
    told = problem(answer, 504, "upstream_timeout")
    assert "was made and stands enabled" in told["detail"], told
    assert "the rest was not sent" in told["detail"] and told["retryable"] is False, told
    in_time(world, answer, 1.5)
    row = world.gateway.call("GET", answer.headers["operation-location"]).json()
    assert row["status"] == "failed" and row["flow_log_id"] == told["flow_log_id"], row


def case_an_undo_has_time_of_its_own(world):
    """What one target has made is taken back although the time for making it is over."""
    body = fresh()

    def write(link, request):
        if "0" * 32 in request.path:
            time.sleep(1.2)
            return link.reply(409, {"code": "VPC.3004", "message": "It is there already."})
        time.sleep(0.8 if request.method == "DELETE" else 0.1)
        return world.cloud.well(link, request)
    world.cloud.spoil(write, read=slowly(world.cloud, 0.4))
    answer = world.gateway.call("POST", "/v1/flow-logs", {
        **body, "targets": ["short", "two"], "policy": "all"})
    assert answer.status == 207, repr(answer)
    ends = {result["target"]: result["outcome"] for result in answer.json()["results"]}
    assert ends == {"short": "undone", "two": "failed"} and not world.cloud.rows(body), ends

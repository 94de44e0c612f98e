"""Looks that decide: whose the flow log is that was found, and what happens as long as nobody could
look."""
import contextlib
import http.client
import tempfile
import threading
import time
import types
import uuid

from bodies import but, problem
from cloud import WriteCloud
from gateway import CLOUD_KEYS, Gateway, target

OFF = {"failure_percent": 0}


@contextlib.contextmanager
def world(binary):
    home, cloud = tempfile.TemporaryDirectory(prefix="sluice-decide-"), WriteCloud(CLOUD_KEYS)
    targets = {"net": target("otc-vpc", cloud.url, timeout_ms=4000, total_timeout_ms=9000,
                             breaker=OFF),
               "breaks": target("otc-vpc", cloud.url, breaker={"least_calls": 1, "open_ms": 100}),
               "short": target("otc-vpc", cloud.url, timeout_ms=1000, total_timeout_ms=1500,
                               breaker=OFF),
               "well": {"dialect": "memory", "settle_ms": 0}}
    gateway = Gateway(binary, targets, store={"sqlite": f"{home.name}/journal.db"})
    hasty = Gateway(binary, targets, store={"sqlite": f"{home.name}/hasty.db", "look_for_s": 2})
    try:
        for one in (gateway, hasty):
            comes_true(lambda one=one: one.admin("/readyz").status == 200)
        yield types.SimpleNamespace(gateway=gateway, hasty=hasty, cloud=cloud)
    finally:
        gateway.done()
        hasty.done()
        cloud.stop()
        home.cleanup()


def comes_true(question, seconds=30):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "never"
        time.sleep(0.05)


def key():
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def fresh():
    return but("net", resource_id=str(uuid.uuid4()))


def begin(call):
    """In a thread: its join() gives the answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()

    def join():
        thread.join()
        return answers[0]
    return join


# ---------------------------------------------------------------------------- whose it is

class Twins:
    """The writes meet these steps in turn, then the cloud is well."""

    def __init__(self, cloud, *steps):
        self.cloud, self.steps, self.lock, self.count = cloud, list(steps), threading.Lock(), 0
        cloud.spoil(self)

    def __call__(self, link, request):
        with self.lock:
            self.count += 1
            step = self.steps.pop(0) if self.steps else None
        (step or self.cloud.well)(link, request)

    def seen(self, count):
        comes_true(lambda: self.count >= count)


def lost(cloud, acts, seconds=0.3):
    def step(link, request):
        if acts:
            cloud.systems.answer(request)
        time.sleep(seconds)
        link.reset()
    return step


def each_has_its_own(world, body, answers):
    assert {answer.status for answer in answers} == {201}, answers
    ids = sorted(answer.json()["id"] for answer in answers)
    assert ids == sorted(row["id"] for row in world.cloud.rows(body)), (ids, world.cloud.rows(body))
    assert len(set(ids)) == len(answers), ids


def case_two_lost_at_once(world):
    """The cloud acts for one of them only; each looks, and sees one flow log."""
    cloud, body = world.cloud, fresh()
    Twins(cloud, lost(cloud, acts=True), lost(cloud, acts=False))
    calls = [begin(lambda: world.gateway.create("net", body, headers=key())) for _ in range(2)]
    each_has_its_own(world, body, [join() for join in calls])


def case_a_twin_that_has_just_been_made(world):
    """Whole seconds cannot tell it from ours; that it is another caller's is known."""
    cloud, body = world.cloud, fresh()
    Twins(cloud)
    first = world.gateway.create("net", body)
    Twins(cloud, lambda link, request: link.reset())
    each_has_its_own(world, body, [first, world.gateway.create("net", body, headers=key())])
    twins = Twins(cloud, lambda link, request: link.reset(), lambda link, request: link.reply(
        409, {"code": "VPC.3004", "message": "It is there already."}))
    problem(world.gateway.create("net", body, headers=key()), 409, "conflict")
    assert twins.count == 2 and len(world.cloud.rows(body)) == 2, cloud.requests


def case_a_twin_that_is_being_made(world):
    """The cloud has acted for another caller, who does not know it yet."""
    cloud, body = world.cloud, fresh()

    def acts_and_answers_late(link, request):
        status, headers, reply = cloud.systems.answer(request)
        time.sleep(1.5)
        link.reply(status, reply, headers)
    twins = Twins(cloud, acts_and_answers_late, lost(cloud, acts=False, seconds=0))
    slow = begin(lambda: world.gateway.create("net", body))
    twins.seen(1)
    each_has_its_own(world, body, [world.gateway.create("net", body, headers=key()), slow()])


def case_one_of_two_is_known(world):
    """Two are there; one is another caller's, so the other one is ours."""
    cloud, body = world.cloud, fresh()
    twins = Twins(cloud, lost(cloud, acts=True))
    losing = begin(lambda: world.gateway.create("net", body))
    twins.seen(1)
    each_has_its_own(world, body, [world.gateway.create("net", body), losing()])
    assert twins.count == 2, cloud.requests


# ------------------------------------------------------------------- as long as nobody can look

def reset(link, request):
    link.reset()


def silent(link, request):
    link.hold(20)


def says(status, body=b"<html>no</html>", *headers):
    return lambda link, request: link.reply(status, body, list(headers))


def operation(world, number=0):
    return world.gateway.call("GET", "/v1/operations").json()["operations"][number]


def ended(world, row):
    def now():
        return world.gateway.call("GET", "/v1/operations/" + row["id"]).json()
    comes_true(lambda: now()["status"] != "running")
    return now()


def killed(world, call, write):
    """The gateway dies in the middle of this write, and the cloud cannot be asked afterwards."""
    reached = threading.Event()

    def meets(link, request):
        reached.set()
        write(link, request)

    def dies():
        with contextlib.suppress(OSError, http.client.HTTPException):
            call()
    world.cloud.spoil(meets)
    join = begin(dies)
    assert reached.wait(10)
    time.sleep(0.3)
    return join


def put_off(world):
    """The first look has failed."""
    comes_true(lambda: b"could not be looked for" in world.gateway.err.read_bytes())


def still_open(world, named, again):
    """Nothing is decided: it is told to run, and its key is bound."""
    row = operation(world)
    assert row["status"] == "running", row
    answer = again(named)
    problem(answer, 409, "operation_in_progress")
    assert int(answer.headers["retry-after"]) >= 1, repr(answer)
    return row


TROUBLES = {"reset": reset, "503": says(503), "throttled": says(429), "unreadable": says(200)}


def case_a_cloud_that_is_away_after_a_crash(world):
    for number, (label, trouble) in enumerate(TROUBLES.items()):
        for name, write, status in (("made", world.cloud.acts, 201), ("not made", silent, 201)):
            if name == "not made" and number:
                continue

            def part(trouble=trouble, write=write, status=status, name=name):
                body, named = fresh(), key()

                def again(named=named):
                    return world.gateway.create("breaks", body, headers=named)
                join = killed(world, lambda: again(), write)
                world.cloud.spoil(trouble, read=trouble)
                world.gateway.restart(kill=True)
                join()
                comes_true(lambda: world.gateway.admin("/readyz").status == 200)
                put_off(world)
                row = still_open(world, named, again)
                world.cloud.clear()
                row = ended(world, row)
                assert not world.cloud.writes(), "sent again by itself"
                answer = again()
                assert answer.status == status, repr(answer)
                assert (answer.headers.get("idempotent-replayed") == "true") == (name == "made")
                assert row["status"] == ("succeeded" if name == "made" else "failed"), row
                assert [r["id"] for r in world.cloud.rows(body)] == [answer.json()["id"]]
            yield f"{label}, {name}", part


def case_a_change_and_a_delete(world):
    for method, changes in (("PATCH", {"name": "renamed"}), ("DELETE", None)):
        for name, write in (("made", world.cloud.acts), ("not made", silent)):
            yield f"{method}, {name}", lambda m=method, c=changes, n=name, w=write: changed(
                world, m, c, n == "made", w)


def changed(world, method, changes, acts, write):
    world.cloud.clear()
    made, named = world.gateway.create("net", fresh()), key()

    def again(named=named):
        return world.gateway.call(method, made.headers["location"], changes, headers=named)
    join = killed(world, again, write)
    world.cloud.spoil(reset, read=reset)
    world.gateway.restart(kill=True)
    join()
    comes_true(lambda: world.gateway.admin("/readyz").status == 200)
    put_off(world)
    row = still_open(world, named, again)
    world.cloud.clear()
    assert ended(world, row)["status"] == ("succeeded" if acts else "failed"), row
    answer = again()
    assert answer.status in (200, 204), repr(answer)
    assert (answer.headers.get("idempotent-replayed") == "true") == acts, repr(answer)


def case_a_caller_who_was_told_that_nobody_knows(world):
    """The look could not be made in his time: it is made later."""
    body, named = fresh(), key()

    def again():
        return world.gateway.create("short", body, headers=named)
    world.cloud.spoil(lost(world.cloud, acts=True, seconds=0), read=reset)
    told = problem(again(), 502, "upstream_connection_broken")
    assert told["retryable"] is False and "goes on looking" in told["detail"], told
    row = still_open(world, named, lambda named: again())
    world.cloud.clear()
    row = ended(world, row)
    assert row["status"] == "succeeded", row
    answer = again()
    assert answer.status == 201 and answer.headers["idempotent-replayed"] == "true", repr(answer)
    assert [r["id"] for r in world.cloud.rows(body)] == [answer.json()["id"]]


def case_others_are_not_held_up(world):
    """Of many that nobody can look for, a few are tried at a time."""
    world.cloud.spoil(lost(world.cloud, acts=True, seconds=0), read=reset)
    calls = [begin(lambda: world.gateway.create("short", fresh())) for _ in range(40)]
    assert {join().status for join in calls} == {502}
    before = time.monotonic()
    assert world.gateway.create("well", fresh()).status == 201
    assert time.monotonic() - before < 1
    world.cloud.clear()

    def left():
        return world.gateway.call("GET", "/v1/operations?status=running").json()["operations"]
    comes_true(lambda: not left())
    rows = world.gateway.call("GET", "/v1/operations?target=short&page_size=40").json()["operations"]
    assert {row["status"] for row in rows} == {"succeeded"}, rows


def case_what_no_look_can_decide(world):
    """A refusal is not asked for again and again: that is unknown at once."""
    world.cloud.spoil(lost(world.cloud, acts=True, seconds=0), read=says(403))
    told = problem(world.gateway.create("short", fresh(), headers=key()), 502)
    assert told["retryable"] is False and "goes on" not in told["detail"], told
    assert operation(world)["status"] == "unknown", operation(world)


def case_in_the_end_it_is_unknown(world):
    """Nobody could look for as long as the store's look_for_s."""
    body, named, gateway = fresh(), key(), world.hasty
    world.cloud.spoil(lost(world.cloud, acts=True, seconds=0), read=reset)
    first = gateway.create("short", body, headers=named)
    problem(first, 502, "upstream_connection_broken")
    row = {}

    def over():
        row.update(gateway.call("GET", first.headers["operation-location"]).json())
        return row["status"] != "running"
    comes_true(over)
    assert row["status"] == "unknown" and row["error"]["retryable"] is False, row
    assert "goes on" not in row["error"]["detail"], row
    again = gateway.create("short", body, headers=named)
    assert again.headers["idempotent-replayed"] == "true" and again.json() == row["error"], again

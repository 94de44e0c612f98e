"""Looks that decide: whose the flow log is that was found, and what happens as long as nobody could
look."""
import contextlib
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
                             breaker=OFF)}
    gateway = Gateway(binary, targets, store={"sqlite": f"{home.name}/journal.db"})
    try:
        comes_true(lambda: gateway.admin("/readyz").status == 200)
        yield types.SimpleNamespace(gateway=gateway, cloud=cloud)
    finally:
        gateway.done()
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

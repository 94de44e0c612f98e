"""Whose an operation is while it is under way: a write that another replica has taken over is not
sent, what is recorded of each native write, and writes that must not overlap between replicas."""
import contextlib
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
import types
import uuid

from bodies import but, problem
from cloud import Cloud
from gateway import CLOUD_KEYS, Gateway, target
from postgresql import Postgresql

MEMCHECK = False
NO_BREAKER = {"breaker": {"failure_percent": 0}}


class Wire:
    """A socket before PostgreSQL's that can be cut."""

    def __init__(self, server):
        self.folder = tempfile.mkdtemp(prefix="sluice-wire-")
        self.server, self.whole, self.ends = server, True, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder}/.s.PGSQL.5432")
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def string(self):
        return self.server.string().replace(self.server.folder, self.folder)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if not self.whole:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(f"{self.server.folder}/.s.PGSQL.5432")
            self.ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        self._end(source, sink)

    @staticmethod
    def _end(*sockets):
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.whole = False
        self._end(*self.ends)

    def done(self):
        self.cut()
        self._end(self.listener)
        self.listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def world(binary):
    with contextlib.ExitStack() as stack:
        cloud, server = Cloud(CLOUD_KEYS), Postgresql("fence-password-70c2")
        stack.callback(cloud.stop)
        stack.callback(server.done)
        wire = Wire(server)
        stack.callback(wire.done)
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-fence-"))
        times = {"timeout_ms": 15000, "total_timeout_ms": 30000, **NO_BREAKER}
        targets = {"net": target("otc-vpc", cloud.url, **times),
                   "net2": target("otc-vpc", cloud.url, **times),
                   "router": target("otc-er", cloud.url, **times),
                   "router2": target("otc-er", cloud.url, **times),
                   "brief": target("otc-er", cloud.url, **{**times, "total_timeout_ms": 1500}),
                   "memory": {"dialect": "memory", "settle_ms": 0}}
        stores = {"solo": {"sqlite": f"{home}/journal.db"}, "far": {"postgresql": wire.string()},
                  "near": {"postgresql": server.string()}}
        gateways = {}
        for name, store in stores.items():
            gateways[name] = Gateway(binary, targets, store=store)
            stack.callback(gateways[name].done)
        for gateway in gateways.values():
            comes_true(lambda g=gateway: g.admin("/readyz").status == 200, "ready")
        yield types.SimpleNamespace(binary=binary, cloud=cloud, server=server, wire=wire,
                                    targets=targets, file=stores["solo"]["sqlite"], **gateways)
        for gateway in gateways.values():
            assert not gateway.secrets_seen(), gateway.secrets_seen()


def comes_true(question, what, seconds=30):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


def key():
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def fresh(base="net", **changes):
    return but(base, resource_id=str(uuid.uuid4()), **changes)


def meanwhile(function):
    """Runs it in a thread; `answer()` waits for what it came to."""
    came = []

    def run():
        try:
            came.append(function())
        except OSError as error:
            came.append(error)
    thread = threading.Thread(target=run)
    thread.start()

    def answer():
        thread.join()
        return came[0]
    return answer


def throttled(link, seconds):
    link.reply(429, {"error_code": "APIGW.0308", "error_msg": "slow down"},
               [("Retry-After", str(seconds)), ("X-Request-Id", f"throttled-{seconds}")])


def behaves(world, link, request):
    status, headers, body = world.cloud.systems.answer(request)
    if status == 204:
        link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        link.reply(status, body, headers)


def throttles(world, times, seconds):
    """The first writes are refused as too many; what follows is done."""
    left = [times]

    def fault(link, request):
        if request.method == "POST" and left[0]:
            left[0] -= 1
            throttled(link, seconds)
        else:
            behaves(world, link, request)
    world.cloud.fault = fault


def stored(world, answer):
    """The operation's row in the SQLite journal."""
    where = answer.headers["operation-location"].rsplit("/", 1)[1]
    with contextlib.closing(sqlite3.connect(world.file)) as db:
        db.row_factory = sqlite3.Row
        return dict(db.execute("SELECT * FROM operations WHERE id = ?", (where,)).fetchone())


def of_resource(world, body):
    return [log for log in world.cloud.systems.networks.values()
            if log["resource_id"] == body["resource_id"]]


# ----------------------------------------------------------------------------------- the fence

def take_away(world, lives=True):
    """As if another process had claimed all that runs, and `lives`, or has died at once."""
    with contextlib.closing(sqlite3.connect(world.file, timeout=5)) as db, db:
        db.execute("DELETE FROM owners WHERE owner = 'another'")
        if lives:
            db.execute("INSERT INTO owners VALUES ('another', 9000000000000000)")
        return db.execute("UPDATE operations SET owner = 'another', claim = 'c' "
                          "WHERE state = 'running' AND owner <> 'another'").rowcount


def case_a_repetition_of_what_is_not_ours(world):
    world.cloud.clear()
    throttles(world, 1, 1)
    body = fresh()
    answer = meanwhile(lambda: world.solo.create("net", body, headers=key()))
    comes_true(world.cloud.writes, "the first attempt")
    comes_true(lambda: take_away(world) == 1, "taken over")
    told = problem(answer(), 503, "unavailable")
    assert "another" in told["detail"] and told["retryable"] is True, told
    assert answer().headers["retry-after"], repr(answer())
    assert len(world.cloud.writes()) == 1 and not of_resource(world, body)
    row = stored(world, answer())
    assert row["state"] == "running" and row["owner"] == "another", row  # it is the other's to end


def case_what_was_lost_and_came_back(world):
    """The process itself claims it again, while its first life still waits to repeat it."""
    world.cloud.clear()
    throttles(world, 1, 6)
    headers, body = key(), fresh()
    answer = meanwhile(lambda: world.solo.create("net", body, headers=headers))
    comes_true(world.cloud.writes, "the first attempt")
    comes_true(lambda: take_away(world, lives=False) == 1, "taken over")
    told = problem(answer(), 503, "unavailable")
    assert "another" in told["detail"] and len(world.cloud.writes()) == 1, told
    comes_true(lambda: stored(world, answer())["state"] == "failed", "looked for")
    again = world.solo.create("net", body, headers=headers)
    assert again.status == 201 and len(of_resource(world, body)) == 1, repr(again)


def case_a_further_act_of_what_is_not_ours(world):
    world.cloud.clear()
    log = world.solo.create("net", fresh()).headers["location"]
    world.cloud.clear()

    def fault(link, request):
        if request.method == "POST":
            take_away(world)
        behaves(world, link, request)
    world.cloud.fault = fault
    answer = world.solo.call("PATCH", log + "?replace=true", {"traffic_type": "all"}, headers=key())
    told = problem(answer, 503, "unavailable")
    assert "was made" in told["detail"] and told["retryable"] is False, told
    methods = [request.method for request in world.cloud.requests]
    assert methods.count("POST") == 1 and "DELETE" not in methods, methods


def case_half_done_while_the_store_cannot_be_written(world):
    """Longer than a note waits by itself: what is half done is finished when the store is back."""
    world.cloud.clear()
    holder = sqlite3.connect(world.file, timeout=5, isolation_level=None, check_same_thread=False)

    def fault(link, request):
        if request.method == "POST":
            holder.execute("BEGIN IMMEDIATE")
        behaves(world, link, request)
    world.cloud.fault = fault
    body = fresh(enabled=False)
    answer = meanwhile(lambda: world.solo.create("net", body, headers=key(), timeout=60))
    comes_true(world.cloud.writes, "made")
    time.sleep(4)
    world.cloud.fault = None
    holder.execute("ROLLBACK")
    holder.close()
    assert answer().status == 201 and answer().json()["enabled"] is False, repr(answer())
    assert [log["admin_state"] for log in of_resource(world, body)] == [False]


def case_undoing_what_is_not_ours(world):
    world.cloud.clear()

    def fault(link, request):
        if request.method == "POST" and len(world.cloud.writes()) > 1:
            take_away(world)
            link.reply(409, {"code": "VPC.3004", "message": "It is there already."})
        else:
            behaves(world, link, request)
    world.cloud.fault = fault
    request = {**fresh(), "targets": ["net", "net2"], "policy": "all"}
    answer = world.solo.call("POST", "/v1/flow-logs", request, headers=key())
    assert answer.status == 207, repr(answer)
    outcomes = [result["outcome"] for result in answer.json()["results"]]
    assert sorted(outcomes) == ["failed", "undo_failed"], answer.json()
    assert not [r for r in world.cloud.requests if r.method == "DELETE"], world.cloud.requests


# ------------------------------------------------------------------------ what is recorded of it

def case_attempts_are_recorded(world):
    world.cloud.clear()
    throttles(world, 2, 1)
    answer = world.solo.create("net", fresh(), headers=key())
    assert answer.status == 201 and len(world.cloud.writes()) == 3, repr(answer)
    row = stored(world, answer)
    assert row["attempts"] == 3 and row["flow_log_id"] == answer.json()["id"], row
    assert len(row["fingerprint"]) == 64 and row["token"] is None, row
    seen = world.solo.call("GET", answer.headers["operation-location"]).json()
    assert seen["attempts"] == 3, seen
    (part,) = seen["parts"]
    ids = part["upstream_request_ids"]
    assert part["attempts"] == 3 and ids[:2] == ["throttled-1"] * 2, seen
    assert len(ids) == 3 and ids[2].startswith("req-"), seen


def case_what_is_noted_before_it_is_sent(world):
    world.cloud.clear()
    running = []

    def look(link, request):
        if request.method == "POST":
            with contextlib.closing(sqlite3.connect(world.file)) as db:
                db.row_factory = sqlite3.Row
                running.append(dict(db.execute(
                    "SELECT * FROM operations WHERE state = 'running' ORDER BY created_ms DESC").fetchone()))
        if len(running) == 1:
            throttled(link, 1)
        else:
            behaves(world, link, request)
    world.cloud.fault = look
    answer = world.solo.create("router", fresh("router"))
    assert answer.status == 201, repr(answer)
    assert [row["attempts"] for row in running] == [1, 2], running
    end = stored(world, answer)
    for row in running:  # a create is known before it is recorded
        assert row["fingerprint"] == end["fingerprint"] and row["token"] == end["token"], (row, end)
    assert end["token"] == world.cloud.writes()[0].headers["x-client-token"], end
    assert running[1]["upstream"] and "throttled-1" in running[1]["upstream"], running[1]


def case_acts_are_counted(world):
    world.cloud.clear()
    log = world.solo.create("net", fresh()).headers["location"]
    answer = world.solo.call("PATCH", log + "?replace=true", {"traffic_type": "all"})
    assert answer.status == 200 and stored(world, answer)["attempts"] == 2, repr(answer)
    answer = world.solo.call("PATCH", answer.headers["location"] if "location" in answer.headers
                             else log.rsplit("/", 1)[0] + "/" + answer.json()["id"], {})
    assert answer.status == 200 and stored(world, answer)["attempts"] == 0, repr(answer)
    gone = log.rsplit("/", 1)[0] + "/" + str(uuid.uuid4())
    refused = world.solo.call("DELETE", gone, headers={"If-Match": '"no"'})
    assert refused.status == 404 and stored(world, refused)["attempts"] == 0, repr(refused)
    request = {**fresh(), "targets": ["net", "memory"]}
    several = world.solo.call("POST", "/v1/flow-logs", request)
    assert several.status == 201 and stored(world, several)["attempts"] == 2, repr(several)


# ------------------------------------------------------------------------------ the cloud's token

def case_a_token_is_the_keys(world):
    world.cloud.clear()
    throttles(world, 1 << 30, 60)
    headers, body = key(), fresh("router")

    def token(gateway, headers=headers, body=body, **more):
        answer = gateway.create("router", body, headers=headers, **more)
        assert problem(answer, 429)["retryable"] is True, answer
        return world.cloud.writes()[-1].headers["x-client-token"]
    first = token(world.near)
    assert len(first) == 64 and token(world.near) == first  # the key is free again, not its token
    assert token(world.solo) == first  # another replica
    world.solo.restart(kill=True)
    comes_true(lambda: world.solo.admin("/readyz").status == 200, "ready")
    assert token(world.solo) == first
    mended, other = token(world.solo, body={**body, "name": "mended"}), token(world.solo, key())
    assert len({first, mended, other}) == 3, (first, mended, other)
    world.cloud.fault = None
    answer = world.near.create("router", body, headers={**headers, "Prefer": "respond-async"})
    assert answer.status == 202, repr(answer)
    comes_true(lambda: world.near.call("GET", answer.headers["location"]).json()["status"]
               == "succeeded", "made")
    assert world.cloud.writes()[-1].headers["x-client-token"] == first
    free = world.near.create("router", fresh("router"))
    where = free.headers["operation-location"].rsplit("/", 1)[1]
    assert free.status == 201 and world.cloud.writes()[-1].headers["x-client-token"] == where


def case_tokens_of_several(world):
    world.cloud.clear()
    throttles(world, 1 << 30, 60)
    headers = key()
    for policy in ("best_effort", "all"):
        request = {**fresh("router"), "targets": ["router", "router2"], "policy": policy}
        tokens = []
        for _ in range(2):
            world.cloud.requests.clear()
            answer = world.solo.call("POST", "/v1/flow-logs", request, headers=headers)
            assert answer.status == 207, repr(answer)
            tokens.append(sorted(r.headers["x-client-token"] for r in world.cloud.writes()))
        if policy == "best_effort":
            assert tokens[0] == tokens[1] and tokens[0][0] != tokens[0][1], tokens
        else:  # what was undone must not be told again by a cloud that remembers the token
            assert not set(tokens[0]) & set(tokens[1]), tokens
        headers = key()


def case_a_late_create_is_not_made_twice(world):
    """A cloud that takes a create up after it has lost the connection, and knows its tokens."""
    world.cloud.clear()
    known, late = {}, [True]

    def fault(link, request):
        if request.method != "POST":
            behaves(world, link, request)
        elif late:
            late.clear()
            known[request.headers["x-client-token"]] = request
            throttled(link, 60)
        else:
            name = request.headers["x-client-token"]
            if not isinstance(known.get(name), tuple):
                known[name] = world.cloud.systems.answer(known.get(name, request))
            status, fields, text = known[name]
            link.reply(status, text, fields)
    world.cloud.fault = fault
    headers, body = key(), fresh("router")
    problem(world.solo.create("router", body, headers=headers), 429)
    (token,) = known
    known[token] = world.cloud.systems.answer(known[token])  # now it has taken effect
    answer = world.solo.create("router", body, headers=headers)
    assert answer.status == 201, repr(answer)
    assert [log["id"] for log in world.cloud.systems.routers.values()
            if log["resource_id"] == body["resource_id"]] == [answer.json()["id"]]


# ------------------------------------------------------------------- writes that must not overlap

class Changes:
    """Routers whose changes take a while; how many were at each flow log at once."""

    def __init__(self, world, takes=0.02):
        self.world, self.takes, self.lock = world, takes, threading.Lock()
        self.now, self.most, self.done = {}, {}, 0
        self.hold = None  # the description whose change never ends
        world.cloud.fault = self.answer

    def answer(self, link, request):
        if request.method != "PUT":
            behaves(self.world, link, request)
            return
        log = request.path.rsplit("/", 1)[1]
        if self.hold == request.json().get("description"):
            self.hold = None
            link.hold()
        with self.lock:
            self.now[log] = self.now.get(log, 0) + 1
            self.most[log] = max(self.most.get(log, 0), self.now[log])
        time.sleep(self.takes)
        with self.lock:
            self.now[log] -= 1
            self.done += 1
            self.world.cloud.systems.routers[log].update(request.json())
        link.reply(200, {"flow_log": self.world.cloud.systems.routers[log], "request_id": "r"})


def router(world, name="router"):
    answer = world.near.create(name, fresh("router"))
    assert answer.status == 201, repr(answer)
    return answer.json()["id"], answer.headers["location"]


def locks(world):
    return int(world.server.ask("SELECT count(*) FROM locks").stdout)


def case_replicas_change_one_flow_log(world):
    world.cloud.clear()
    logs, changes, answers = [router(world) for _ in range(2)], Changes(world), []

    def writer(gateway, number):
        for i in range(8):
            _, path = logs[(number + i) % 4 == 0]
            answers.append(gateway.call("PATCH", path, {"description": f"{number} {i}"},
                                        timeout=60).status)
    threads = [threading.Thread(target=writer, args=(gateway, 10 * k + i))
               for k, gateway in enumerate((world.near, world.far)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 64 and changes.done == 64, (answers, changes.done)
    assert set(changes.most.values()) == {1}, changes.most
    comes_true(lambda: locks(world) == 0, "given back")


def case_a_lock_that_is_held(world):
    world.cloud.clear()
    (key_of_log, path), (_, other) = router(world, "brief"), router(world, "brief")
    changes = Changes(world)
    world.server.ask("INSERT INTO owners VALUES ('tester', 9000000000000000); INSERT INTO locks "
                     f"VALUES ('brief {key_of_log}', 'tester', 'tester', 9000000000000000)")
    told = problem(world.near.call("PATCH", path, {"description": "late"}, headers=key()), 409)
    assert "nothing was sent" in told["detail"] and told["retryable"] is True, told
    assert world.near.call("PATCH", other, {"description": "free"}).status == 200
    assert world.near.call("GET", path).status == 200
    assert changes.done == 1 and locks(world) == 1
    waits = meanwhile(lambda: world.near.call("PATCH", path, {"description": "soon"}))
    time.sleep(0.3)
    world.server.ask("DELETE FROM locks; DELETE FROM owners WHERE owner = 'tester'")
    assert waits().status == 200 and changes.done == 2, repr(waits())
    comes_true(lambda: locks(world) == 0, "given back")


def case_the_holder_dies(world):
    world.cloud.clear()
    (key_of_log, path), (_, other) = router(world), router(world)
    changes = Changes(world)
    changes.hold = "never ends"
    dies = meanwhile(lambda: world.far.call("PATCH", path, {"description": "never ends"},
                                            timeout=60))
    comes_true(lambda: changes.hold is None, "under way")
    assert world.server.ask("SELECT name FROM locks").stdout.strip() == f"router {key_of_log}"
    world.far.restart(kill=True)
    assert isinstance(dies(), OSError), dies()
    waits = meanwhile(lambda: world.near.call("PATCH", path, {"description": "goes on"},
                                              timeout=60))
    free = world.near.call("PATCH", other, {"description": "of another"})
    assert free.status == 200 and free.took < 3 * world.binary.slow, repr(free)
    assert waits().status == 200 and 2 < waits().took < 15 * world.binary.slow, repr(waits())
    assert changes.done == 2 and set(changes.most.values()) == {1}, changes.most
    comes_true(lambda: any(line.get("recovered") and line["steps_us"].get("lock")
                           for gateway in (world.near, world.far)
                           for line in gateway.access_lines()), "taken up, under the lock")
    comes_true(lambda: locks(world) == 0, "given back")


# --------------------------------------------------------- the last case: `far` stays cut off

def case_the_lease_is_lost(world):
    """`far` is cut off from PostgreSQL while its writes wait; `near` takes them over."""
    world.cloud.clear()
    old = world.near.create("net", fresh())
    path = old.headers["location"] + "?replace=true"
    once, change, body = key(), key(), fresh()
    hold, slow = [True], [True]

    def fault(link, request):
        if request.method == "POST" and request.json()["flow_log"]["resource_id"] == \
                body["resource_id"] and hold:
            hold.clear()
            throttled(link, 14)
        elif request.method == "GET" and request.path.endswith(old.json()["id"]) and slow:
            slow.clear()
            time.sleep(9)  # the look before the change
            behaves(world, link, request)
        else:
            behaves(world, link, request)
    world.cloud.fault = fault
    creates = meanwhile(lambda: world.far.create("net", body, headers=once, timeout=60))
    changes = meanwhile(lambda: world.far.call("PATCH", path, {"traffic_type": "all"},
                                               headers=change, timeout=60))
    comes_true(lambda: not hold and not slow, "both are under way")
    world.wire.cut()
    for repeat, good in ((lambda: world.near.create("net", body, headers=once), 201),
                         (lambda: world.near.call("PATCH", path, {"traffic_type": "all"},
                                                  headers=change), 200)):
        comes_true(lambda r=repeat, g=good: r().status == g, "done by the other", 40)
    told = problem(creates(), 503, "unavailable")
    assert told["retryable"] is True, told
    told = problem(changes(), 503, "unavailable")
    assert told["retryable"] is True and "not sent" in told["detail"], told
    assert len(of_resource(world, body)) == 1, of_resource(world, body)
    assert [log["traffic_type"] for log in of_resource(world, old.json())] == ["all"]

"""Bad weather around the gateway: a store whose disk hangs or whose server stands still, and clocks
that are wrong or jump."""
import contextlib
import email.utils
import signal
import threading
import time
import types
import uuid
from datetime import datetime, timezone

from bodies import but, problem
from place import LOGS, Later, Place, comes_true, together
from postgresql import Postgresql

MEMCHECK = False
PATIENCE = 5.0  # how long a write waits for the store
AHEAD = (600, -600)


@contextlib.contextmanager
def world(binary):
    server = Postgresql("weather-store-77aa0c")
    try:
        yield types.SimpleNamespace(binary=binary, server=server)
    finally:
        server.done()


def fresh():
    return but("net", resource_id=str(uuid.uuid4()))


def refused(answer, most):
    """Nothing was sent, and it may be tried again."""
    told = problem(answer, 503, "unavailable")
    assert told["retryable"] is True and int(answer.headers["retry-after"]) >= 1, repr(answer)
    assert "nothing was sent" in told["detail"], told
    assert answer.took < most, f"took {answer.took:.2f} s"


def first_again(first, again):
    assert (again.status, again.body) == (first.status, first.body), f"{first!r}\n{again!r}"
    assert again.headers.get("idempotent-replayed") == "true", repr(again)


def succeeds(place, body, key):
    """The same again until it is done: what was given up is settled a moment later."""
    def done():
        done.answer = place.create(body, key)
        assert done.answer.status in (201, 409, 503), repr(done.answer)
        return done.answer.status == 201
    comes_true(done, "the write succeeds")
    return done.answer


# ---------------------------------------------------------------------------- the store's disk

def case_a_stalled_store(world):
    yield from together({"disk": lambda: stalled_while_it_runs(world),
                         "disk, at the start": lambda: stalled_at_the_start(world),
                         "server": lambda: server_stands_still(world)})


def stalled_while_it_runs(world):
    with Place(world) as place:
        place.until_ready()
        kept, ended, begun = fresh(), fresh(), fresh()
        first = place.create(kept, "kept")
        assert first.status == 201, repr(first)
        place.cloud.delay = 0.3
        end = Later(lambda: place.create(ended, "ended"))
        comes_true(lambda: place.sent(ended), "the cloud has the write")
        stalls(place, end, ended, begun)
        place.weather.move()
        place.until_ready()
        first_again(first, place.create(kept, "kept"))
        first_again(end.get(), place.create(ended, "ended"))
        succeeds(place, begun, "begun")
        for body in (kept, ended, begun):
            assert (place.there(body), place.sent(body)) == (1, 1), body
        comes_true(lambda: place.told() == (1, 1), "told once that it failed and is back")


def stalls(place, end, ended, begun):
    """The disk hangs while one write is at the cloud, and then others come."""
    place.weather.stall()
    place.cloud.delay = 0.0
    begin = Later(lambda: place.create(begun, "begun"))
    comes_true(lambda: b"\nsluice_journal_queued 0\n" not in place.gateway.admin("/metrics").body,
               "it is with the store")
    look = Later(lambda: place.gateway.call("GET", "/v1/operations"))
    rounds = 0
    while not (end.is_over() and begin.is_over() and look.is_over()):
        place.goes_on()
        rounds += 1
        time.sleep(0.1)
    assert rounds >= 10, f"{rounds} rounds of reads beside the writes that wait"
    assert end.get().status == 201, f"the cloud has done it: {end.get()!r}"
    assert end.get().took < PATIENCE + 2.0 * place.binary.slow, end.get().took
    refused(begin.get(), PATIENCE + 1.0 * place.binary.slow)
    problem(look.get(), 503, "unavailable")
    is_known_to_hang(place)
    for body, key in ((begun, "begun"), (ended, "ended"), (fresh(), None)):
        refused(place.create(body, key), 1.0 * place.binary.slow)
    told = place.gateway.call("GET", "/v1/operations")
    problem(told, 503, "unavailable")
    assert told.took < 1.0 * place.binary.slow, told.took
    place.goes_on()
    assert (place.sent(begun), place.sent(ended)) == (0, 1), place.cloud.requests


def is_known_to_hang(place):
    comes_true(lambda: place.gateway.admin("/readyz").status == 503, "not ready")
    ready = place.gateway.admin("/readyz").json()
    assert ready["status"] == "store_not_writable" and "does not answer" in ready["detail"], ready
    assert b"\nsluice_journal_writable 0\n" in place.gateway.admin("/metrics").body


def stalled_at_the_start(world):
    with Place(world, stalled=True) as place:
        body = fresh()
        begin = Later(lambda: place.create(body, "early"))
        while not begin.is_over():
            place.goes_on()
            time.sleep(0.1)
        refused(begin.get(), PATIENCE + 1.0 * place.binary.slow)
        is_known_to_hang(place)
        refused(place.create(body, "early"), 1.0 * place.binary.slow)
        assert not place.cloud.writes()
        place.weather.move()
        place.until_ready()
        succeeds(place, body, "early")
        assert (place.there(body), place.sent(body)) == (1, 1)


def server_stands_still(world):
    with Place(world, store={"postgresql": world.server.string()}) as place:
        place.until_ready()
        ended, begun = fresh(), fresh()
        place.cloud.delay = 0.3
        end = Later(lambda: place.create(ended, "ended"))
        comes_true(lambda: place.sent(ended), "the cloud has the write")
        world.server.freeze()
        try:
            place.cloud.delay = 0.0
            begin = Later(lambda: place.create(begun, "begun"))
            while not (end.is_over() and begin.is_over()):
                place.goes_on()
                time.sleep(0.1)
            assert end.get().status == 201, repr(end.get())
            refused(begin.get(), PATIENCE + 1.0 * place.binary.slow)
            is_known_to_hang(place)
            refused(place.create(begun, "begun"), 1.0 * place.binary.slow)
        finally:
            world.server.thaw()
        place.until_ready()
        first_again(end.get(), place.create(ended, "ended"))
        succeeds(place, begun, "begun")
        for body in (ended, begun):
            assert (place.there(body), place.sent(body)) == (1, 1), body


def case_ended_while_the_disk_hangs(world):
    """By a signal, or by two of them for those who cannot wait, or killed: what was sent is found
    again; what was not is sent by its repetition."""
    rows = {"in order": [signal.SIGTERM], "at once": [signal.SIGTERM] * 2,
            "killed": [signal.SIGKILL]}
    yield from together({label: lambda s=signals: ended_while_it_hangs(world, s)
                         for label, signals in rows.items()})


def ended_while_it_hangs(world, signals):
    with Place(world) as place:
        place.until_ready()
        ended, begun = fresh(), fresh()
        place.cloud.delay = 0.3
        Later(lambda: place.create(ended, "ended"))
        comes_true(lambda: place.sent(ended), "the cloud has the write")
        place.weather.stall()
        Later(lambda: place.create(begun, "begun"))
        comes_true(lambda: place.there(ended), "the cloud has done it")
        time.sleep(0.2)  # its end is handed over, and so is the other's beginning
        for what in signals:
            place.gateway.process.send_signal(what)
            time.sleep(0.2)
        place.weather.move()
        place.cloud.delay = 0.0
        if signal.SIGKILL not in signals:
            place.gateway.stop()
        place.gateway.restart(kill=True)
        place.until_ready()
        succeeds(place, ended, "ended")
        succeeds(place, begun, "begun")
        for body in (ended, begun):
            assert (place.there(body), place.sent(body)) == (1, 1), body


# ----------------------------------------------------------------------------------- the clock

def signed_at(request):
    when = datetime.strptime(request.headers["x-sdk-date"], "%Y%m%dT%H%M%SZ")
    return when.replace(tzinfo=timezone.utc).timestamp()


class Dated:
    """A fault of a cloud that is well: it tells its Date, and refuses signatures of another time
    than `within` its own. Of as many creates as it is told it does nothing (`spoil`), or it does
    what it shall and the reply is lost (`lose`)."""

    def __init__(self, place, within=900, lose=0, meanwhile=None):
        self.place, self.within, self.lose, self.meanwhile = place, within, lose, meanwhile
        self.spoil, self.delay = 0, 0.0

    def __call__(self, link, request):
        date = [("Date", email.utils.formatdate(time.time(), usegmt=True))]
        if abs(signed_at(request) - time.time()) > self.within:
            return link.reply(401, {"error_code": "APIGW.0301", "request_id": "r",
                                    "error_msg": "Incorrect IAM authentication: date"}, date)
        if request.method == "POST" and self.spoil:
            self.spoil -= 1
            link.reset()
        if request.method == "POST":
            time.sleep(self.delay)
        status, headers, body = self.place.cloud.systems.answer(request)
        if request.method == "POST" and self.lose:
            self.lose -= 1
            if self.meanwhile:
                self.meanwhile()
            link.reset()
        return link.reply(status, body, headers + date)


def clock_of(place, what):
    text = place.gateway.admin("/metrics").body.decode()
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines()
             if line.startswith(f'sluice_target_{what}{{target="net"}}')]
    assert len(found) == 1, f"{what}: {found}"
    return int(found[0])


def case_a_clock_that_is_wrong(world):
    yield from together({f"{ahead} s, a {cloud} cloud": lambda p=part, a=ahead: p(world, a)
                         for ahead in AHEAD
                         for cloud, part in (("strict", corrected), ("patient", tolerated))})


def corrected(world, ahead):
    """The signature is refused, made by the cloud's clock, and from then on right."""
    with Place(world, clock=ahead) as place:
        place.cloud.fault = Dated(place, within=300)
        first, second, lost = fresh(), fresh(), fresh()
        assert place.create(first).status == 201
        assert (place.there(first), place.sent(first)) == (1, 2)
        assert place.create(second).status == 201
        assert (place.there(second), place.sent(second)) == (1, 1), "it is kept"
        for what in ("clock_skew_seconds", "clock_applied_seconds"):
            assert abs(clock_of(place, what) + ahead) <= 2, f"{what} {clock_of(place, what)}"
        assert clock_of(place, "clock_corrections_total") == 1
        place.cloud.fault.lose = 1
        assert place.create(lost).status == 201
        assert (place.there(lost), place.sent(lost)) == (1, 1), "found, and not made again"


def tolerated(world, ahead):
    """A cloud that takes any signature of the last quarter of an hour: nothing is corrected, and all
    the same what it has made is known for what it is; what it had before is not."""
    with Place(world, clock=ahead) as place:
        place.cloud.fault = Dated(place)
        before, lost = fresh(), fresh()
        first = place.create(before)
        assert first.status == 201, repr(first)
        assert abs(clock_of(place, "clock_skew_seconds") + ahead) <= 2
        assert clock_of(place, "clock_applied_seconds") == 0
        place.cloud.fault.lose = 1
        assert place.create(lost).status == 201
        assert (place.there(lost), place.sent(lost)) == (1, 1), "found, and not made again"
        place.cloud.systems.networks[first.json()["id"]]["created_at"] = time.strftime(
            "%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60))
        place.cloud.fault.spoil = 1
        second = place.create(before)
        assert second.status == 201 and second.json()["id"] != first.json()["id"], repr(second)
        assert (place.there(before), place.sent(before)) == (2, 3), "what was there is another one"


def case_a_clock_that_jumps(world):
    yield from together({f"from {first} to {then} s": lambda f=first, t=then: jumps(world, f, t)
                         for first, then in ((0, 600), (0, -600), (600, 0), (-600, 0))})


def jumps(world, first, then):
    """It jumps between a create and the look for it."""
    with Place(world, clock=first) as place:
        place.cloud.fault = Dated(place, lose=1, meanwhile=lambda: place.weather.set_clock(then))
        body = fresh()
        answer = place.create(body, "lost")
        assert answer.status == 201, repr(answer)
        assert (place.there(body), place.sent(body)) == (1, 1), "found, and not made again"
        first_again(answer, place.create(body, "lost"))


def case_jumps_while_it_waits(world):
    """What is waited for is waited for as long as ever."""
    parts = {"a deadline": deadline_while_it_jumps, "a pause": pause_while_it_jumps,
             "a breaker": breaker_while_it_jumps, "a write under way": write_while_it_jumps}
    yield from together({f"{name}, {then:+} s": lambda p=part, t=then: p(world, t)
                         for name, part in parts.items() for then in AHEAD})


def in_a_moment(function):
    timer = threading.Timer(0.3, function)
    timer.start()
    return timer


def deadline_while_it_jumps(world, then):
    with Place(world, timeout_ms=1500, total_timeout_ms=1500) as place:
        place.cloud.fault = lambda link, request: link.hold()
        in_a_moment(lambda: place.weather.set_clock(then))
        answer = place.create(fresh())
        problem(answer, 504, "upstream_timeout")
        assert 1.4 < answer.took < 1.5 + 1.0 * place.binary.slow, f"{answer.took:.2f} s"
        place.cloud.fault = None
        assert place.create(fresh()).status == 201


def pause_while_it_jumps(world, then):
    pauses(world, lambda now: [("Retry-After", "2")], then=then)


def pauses(world, fields, first=0, then=0):
    """The cloud asks for two seconds, and gets them."""
    with Place(world, clock=first) as place:
        def later(link, request):
            place.cloud.fault = Dated(place)
            link.reply(429, b"{}", fields(time.time()))
        place.cloud.fault = later
        in_a_moment(lambda: place.weather.set_clock(then))
        answer = place.gateway.call("GET", LOGS % "net")
        assert answer.status == 200, repr(answer)
        assert 1.9 <= answer.took < 4.1 + 1.0 * place.binary.slow, f"{answer.took:.2f} s"


def case_a_date_to_wait_for(world):
    """Retry-After as a date counts by the clock of who says it."""
    def fields(now):
        return [("Date", email.utils.formatdate(now, usegmt=True)),
                ("Retry-After", email.utils.formatdate(int(now) + 2, usegmt=True))]
    parts = {f"{ahead} s": lambda a=ahead: pauses(world, fields, a, a) for ahead in (0, *AHEAD)}
    parts["without a Date"] = lambda: pauses(world, lambda now: [
        ("Retry-After", email.utils.formatdate(int(now) + 3, usegmt=True))])
    yield from together(parts)


def case_dates_that_are_passed_on(world):
    """Later than anybody waits, bounded; and those that are over or none are no hint."""
    with Place(world, retries=0) as place:
        for label, date, least, most in (
                ("an hour", email.utils.formatdate(time.time() + 3600, usegmt=True), 3590, 3600),
                ("for ever", "Fri, 31 Dec 9999 23:59:59 GMT", 4294967, 4294968),
                ("long ago", "Thu, 01 Jan 1970 00:00:00 GMT", 0, 1), ("no date", "tomorrow", 0, 1)):
            def part(date=date, least=least, most=most):
                place.cloud.fault = lambda link, request: link.reply(
                    503, b"{}", [("Retry-After", date)])
                answer = place.gateway.call("GET", LOGS % "net")
                problem(answer, 503, "upstream_unavailable")
                told = int(answer.headers.get("retry-after", "0"))
                assert least <= told <= most, repr(answer)
                assert answer.took < 1.0 * place.binary.slow, f"{answer.took:.2f} s"
                place.cloud.fault = None
                assert place.gateway.call("GET", LOGS % "net").status == 200
            yield label, part


def breaker_while_it_jumps(world, then):
    with Place(world, retries=0, breaker={"least_calls": 4, "window_s": 10,
                                          "open_ms": 1500}) as place:
        path = LOGS % "net"
        place.cloud.fault = lambda link, request: link.reset()
        for _ in range(4):
            problem(place.gateway.call("GET", path), 502)
        place.cloud.fault = None
        began = time.monotonic()
        problem(place.gateway.call("GET", path), 503, "unavailable")
        place.weather.set_clock(then)
        problem(place.gateway.call("GET", path), 503, "unavailable")
        comes_true(lambda: place.gateway.call("GET", path).status == 200, "it closes")
        took = time.monotonic() - began
        assert 0.7 < took < 3.0 + 2.0 * place.binary.slow, f"{took:.2f} s"


def write_while_it_jumps(world, then):
    """Longer than a replica takes to claim what nobody has a lease for."""
    with Place(world) as place:
        place.until_ready()
        body, done = fresh(), fresh()
        first = place.create(done, "done")
        place.cloud.delay = 3.0
        write = Later(lambda: place.create(body, "long"))
        comes_true(lambda: place.sent(body), "the cloud has the write")
        place.weather.set_clock(then)
        assert write.get().status == 201, repr(write.get())
        place.cloud.delay = 0.0
        first_again(write.get(), place.create(body, "long"))
        first_again(first, place.create(done, "done"))
        assert (place.there(body), place.sent(body)) == (1, 1)
        assert "was not settled" not in place.gateway.err.read_text()


class Keystone:
    """A fault of a cloud with an identity service, whose tokens live for some minutes."""

    def __init__(self, life_s=400):
        self.life_s, self.refuses, self.asked = life_s, False, 0

    def __call__(self, link, request):
        now = time.time()
        date = [("Date", email.utils.formatdate(now, usegmt=True))]
        if not request.path.endswith("/auth/tokens"):
            return link.reply(200, b'{"flow_logs": []}', date)
        self.asked += 1
        if self.refuses:
            return link.reply(401, b"{}", date)
        end = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now + self.life_s))
        return link.reply(201, {"token": {"expires_at": end}}, [("X-Subject-Token", "t"), *date])


def case_a_token_lives_as_long_as_it_does(world):
    """However our clock goes, it is fetched once; and one that was refused is not asked for again
    at once."""
    yield from together({f"from {first} to {then} s": lambda f=first, t=then: token(world, f, t)
                         for first, then in ((600, 600), (-600, -600), (0, 600), (0, -600))})


def token(world, first, then):
    path = LOGS % "net"
    with Place(world, clock=first, password=True) as place:
        keystone = place.cloud.fault = Keystone()
        assert place.gateway.call("GET", path).status == 200
        place.weather.set_clock(then)
        for _ in range(3):
            assert place.gateway.call("GET", path).status == 200
        assert keystone.asked == 1, keystone.asked
    with Place(world, clock=first, password=True) as place:
        keystone = place.cloud.fault = Keystone()
        keystone.refuses = True
        problem(place.gateway.call("GET", path), 502, "upstream_credentials_refused")
        place.weather.set_clock(then)
        problem(place.gateway.call("GET", path), 502, "upstream_credentials_refused")
        assert keystone.asked == 1, keystone.asked


def case_a_replica_whose_clock_is_off(world):
    yield from together({f"{ahead} s": lambda a=ahead: replica_is_off(world, a)
                         for ahead in AHEAD})


def replica_is_off(world, ahead):
    database = f"off{abs(ahead - 1)}"
    world.server.ask(f"CREATE DATABASE {database}")
    with replicas(world, ahead, {"postgresql": world.server.string(database=database)}) as (
            right, off):
        both_write(right, off)
        for dying, other in ((off, right), (right, off)):
            one_dies(dying, other, lambda: world.server.ask(
                "UPDATE owners SET lease_until_ms = 0", database))
            dying.gateway.restart(kill=True)


@contextlib.contextmanager
def replicas(world, ahead, store):
    with (Place(world, store=store) as right,
          Place(world, store=store, cloud=right.cloud, clock=ahead) as off):
        right.cloud.fault = Dated(right)
        right.until_ready()
        off.until_ready()
        yield right, off


def both_write(right, off):
    """Longer than a replica takes to claim what nobody has a lease for."""
    right.cloud.fault.delay = 2.5
    bodies = fresh(), fresh()
    writes = [Later(lambda p=place, b=body: p.create(b))
              for place, body in zip((right, off), bodies)]
    for write, body in zip(writes, bodies):
        assert write.get().status == 201, repr(write.get())
        assert (right.there(body), right.sent(body)) == (1, 1)
    for place in (right, off):
        assert "was not settled" not in place.gateway.err.read_text()


def one_dies(dying, other, end_leases):
    """In the middle of a write, which the other one settles for what it came to."""
    other.until_ready()
    dying.until_ready()
    other.cloud.fault.delay = 0.3
    body, key = fresh(), str(uuid.uuid4())
    Later(lambda: dying.create(body, key))
    comes_true(lambda: other.sent(body), "the cloud has the write")
    dying.gateway.process.kill()
    comes_true(lambda: other.there(body), "the cloud has done it")
    end_leases()
    other.cloud.fault.delay = 0.0
    answer = succeeds(other, body, key)
    assert answer.headers.get("idempotent-replayed") == "true", repr(answer)
    assert (other.there(body), other.sent(body)) == (1, 1)

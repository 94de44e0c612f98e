"""Clouds that are dead, slow, lying or endless, and one attempt (retry_cases.py tells what follows
where there are more): answered within the deadline with 502, 503 or 504,
`retryable` told, nothing written twice, memory bounded, and the next request fine. Over both
transports."""
import contextlib
import itertools
import socket
import threading
import time
import types

from bodies import CANONICAL, DIALECTS, problem
from cloud import FAULTS, Cloud
from gateway import CLOUD_KEYS, ONCE, Gateway, free_port, target

DEADLINE = 3.0  # total_timeout_ms of gateway.target()

# Where it must be exactly so.
EXPECTED = {
    "reset_before_headers": (502, "upstream_connection_broken"),
    "reset_in_headers": (502, "upstream_connection_broken"),
    "shorter_than_announced": (502, "upstream_connection_broken"),
    "never_answers": (504, "upstream_timeout"),
    "one_byte_a_second": (504, "upstream_timeout"),
    "truncated_json": (502, "upstream_unreadable"),
    "html_page_200": (502, "upstream_unreadable"),
    "html_page_502": (502, "upstream_error"),
    "gzip": (502, "upstream_unreadable"),
    "empty_success": (502, "upstream_unreadable"),
    "unavailable_for_long": (503, "upstream_unavailable"),
    "throttled_for_long": (429, "throttled"),
    "server_error": (502, "upstream_error"),
}
# Replies that libcurl itself lets through: the
# reply is read, and judged by its content.
LAX_IN_CURL = {"differing_lengths", "length_and_chunks", "folded_header", "nul_in_header"}
TRANSPORTS = ("own", "curl")


@contextlib.contextmanager
def world(binary):
    cloud = Cloud(CLOUD_KEYS)
    targets = {}
    for name, dialect in DIALECTS.items():
        for transport in TRANSPORTS:
            targets[f"{name}-{transport}"] = target(dialect, cloud.url, transport=transport,
                                                    **ONCE)
    closed = f"http://127.0.0.1:{free_port()}"
    full = socket.socket()  # a listener whose queue is full never completes a connection
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fill = [socket.socket() for _ in range(4)]
    for sock in fill:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    for transport in TRANSPORTS:
        targets[f"dead-{transport}"] = target("otc-vpc", closed, transport=transport, **ONCE)
        targets[f"full-{transport}"] = target(
            "otc-vpc", f"http://127.0.0.1:{full.getsockname()[1]}", transport=transport, **ONCE)
        targets[f"tls-{transport}"] = target(
            "otc-vpc", cloud.url.replace("http:", "https:"), transport=transport, **ONCE)
        targets[f"name-{transport}"] = target(
            "otc-vpc", "https://no-such-host.invalid", transport=transport, **ONCE)
    gateway = Gateway(binary, targets)
    try:
        yield types.SimpleNamespace(gateway=gateway, cloud=cloud, binary=binary)
    finally:
        gateway.done()
        cloud.stop()
        for sock in [full, *fill]:
            sock.close()


def well(world, name, base="net"):
    """The next request is fine."""
    world.cloud.clear()
    answer = world.gateway.create(name, CANONICAL[base])
    assert answer.status == 201, f"the next request: {answer!r}"


def in_time(world, answer):
    assert answer.took < DEADLINE + 1.0 * world.binary.slow, f"took {answer.took:.2f} s"


def case_fault_in_create(world):
    for transport in TRANSPORTS:
        for name in FAULTS:
            yield f"{name}, {transport}", lambda n=name, t=transport: create(world, n, t)


def create(world, fault, transport):
    well(world, f"net-{transport}")  # so that a kept connection is there
    world.cloud.clear()
    world.cloud.fault = FAULTS[fault]
    answer = world.gateway.create(f"net-{transport}", CANONICAL["net"])
    writes = len(world.cloud.writes())
    world.cloud.fault = None
    in_time(world, answer)
    if transport == "curl" and fault in LAX_IN_CURL and answer.status == 201:
        raise AssertionError("a lying reply was taken as success")
    told = problem(answer, (429, 502, 503, 504))
    assert told["code"].startswith("upstream_") or told["code"] == "throttled", told
    if fault in EXPECTED:
        status, code = EXPECTED[fault]
        assert (answer.status, told["code"]) == (status, code), told
    assert writes == 1, f"the create was sent {writes} times"
    if fault not in ("unavailable_for_long", "throttled_for_long", "server_error", "redirect",
                     "html_page_502"):
        assert told["retryable"] is False, f"a create of unknown end is not retryable: {told}"
    assert "neutron" not in answer.body.decode().lower() or fault == "server_error"
    well(world, f"net-{transport}")


def case_fault_in_read(world):
    for transport in TRANSPORTS:
        for name in FAULTS:
            yield f"{name}, {transport}", lambda n=name, t=transport: read(world, n, t)


def read(world, fault, transport):
    world.cloud.clear()
    key = world.gateway.create(f"net-{transport}", CANONICAL["net"]).json()["id"]
    world.cloud.fault = FAULTS[fault]
    answer = world.gateway.get(f"net-{transport}", key)
    world.cloud.clear()
    in_time(world, answer)
    told = problem(answer, (429, 502, 503, 504))
    if fault in EXPECTED:
        assert answer.status == EXPECTED[fault][0], told
    assert world.gateway.get(f"net-{transport}", key).status == 200


def case_fault_on_the_other_systems(world):
    for base in ("ali", "router"):
        for name in ("reset_before_headers", "never_answers", "truncated_json", "html_page_200",
                     "html_page_502", "empty_success", "json_of_another_kind", "deep_json"):
            def part(base=base, name=name):
                world.cloud.clear()
                world.cloud.fault = FAULTS[name]
                answer = world.gateway.create(f"{base}-own", CANONICAL[base])
                writes = len(world.cloud.writes())
                in_time(world, answer)
                problem(answer, (502, 503, 504))
                assert writes == 1, f"the create was sent {writes} times"
                well(world, f"{base}-own", base)
            yield f"{name}, {base}", part


def case_no_connection(world):
    for transport in TRANSPORTS:
        for name in ("dead", "full", "tls", "name"):
            def part(name=name, transport=transport):
                answer = world.gateway.create(f"{name}-{transport}", CANONICAL["net"])
                in_time(world, answer)
                told = problem(answer, (503, 504), ("upstream_unreachable", "upstream_timeout"))
                assert told["retryable"] is True, f"nothing was sent: {told}"
            yield f"{name}, {transport}", part


def only_creates(world, fault):
    """The cloud can still be looked at."""
    def part(link, request):
        if request.method == "POST":
            return FAULTS[fault](link, request)
        status, headers, body = world.cloud.systems.answer(request)
        return link.reply(status, body, headers)
    return part


def case_a_long_retry_after_is_passed_on(world):
    """No row of the table knows this answer: a proxy may have given it. The cloud is looked at."""
    world.cloud.clear()
    world.cloud.fault = only_creates(world, "throttled_for_long")
    answer = world.gateway.create("net-own", named())
    assert int(answer.headers["retry-after"]) == 86400, repr(answer)
    told = problem(answer, 429, "throttled")
    assert told["retryable"] is True and "had no effect" in told["detail"], told
    world.cloud.fault = FAULTS["throttled_for_long"]
    answer = world.gateway.create("net-own", named())
    assert int(answer.headers["retry-after"]) == 86400, repr(answer)
    told = problem(answer, 429, "throttled")
    assert told["retryable"] is False and "Look for it" in told["detail"], told


NAMES = itertools.count(1)


def named():
    """A flow log with a name that no other has."""
    return {**CANONICAL["net"], "name": f"cloud-case-{next(NAMES)}"}


def case_kept_connection_dies(world):
    """A connection that dies on its second request: never a second create without a word."""
    for transport in TRANSPORTS:
        def part(transport=transport):
            name = f"net-{transport}"
            well(world, name)
            for _ in range(3):
                world.cloud.clear()
                world.cloud.die_on_second = True
                body = named()
                answer = world.gateway.create(name, body)
                assert len(world.cloud.writes()) == 1, "sent twice"
                there = [log for log in world.cloud.systems.networks.values()
                         if log["name"] == body["name"]]
                assert len(there) == (answer.status == 201), f"{there}: {answer!r}"
                if answer.status != 201:
                    told = problem(answer, 502)
                    assert told["retryable"] is True and "no effect" in told["detail"], told
            well(world, name)
        yield transport, part


def case_cloud_closes_after_each_reply(world):
    for transport in TRANSPORTS:
        def part(transport=transport):
            world.cloud.clear()
            world.cloud.close_after_reply = True
            for _ in range(10):
                answer = world.gateway.create(f"net-{transport}", CANONICAL["net"])
                assert answer.status == 201, repr(answer)
            assert len(world.cloud.writes()) == 10
            world.cloud.clear()
        yield transport, part


def case_redirects_are_not_followed(world):
    for transport in TRANSPORTS:
        def part(transport=transport):
            world.cloud.clear()
            world.cloud.fault = FAULTS["redirect"]
            problem(world.gateway.create(f"net-{transport}", CANONICAL["net"]), 502)
            assert all("/elsewhere" not in r.target for r in world.cloud.requests)
            world.cloud.clear()
        yield transport, part


def case_the_clouds_own_errors(world):
    rows = [("net", 409, {"code": "VPC.3004", "message": "Content of flow log is duplicate: x"},
             409, "conflict", False),
            ("net", 401, {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication "
                          "information: ak not exist", "request_id": "r1"}, 502,
             "upstream_credentials_refused", False),
            ("net", 403, {"code": "VPC.2201", "message": "denied"}, 502, "upstream_denied", False),
            ("net", 429, {"error_code": "APIGW.0308", "error_msg": "limit"}, 429, "throttled", True),
            ("router", 400, {"error_code": "ER.04008503", "error_msg": "exists"}, 409, "conflict",
             False),
            ("router", 400, {"error_code": "ER.04009008", "error_msg": "quota"}, 409,
             "quota_exceeded", False),
            ("ali", 400, {"Code": "QuotaExceeded.FlowlogCount", "Message": "quota",
                          "RequestId": "R", "HostId": "h"}, 409, "quota_exceeded", False),
            ("ali", 400, {"Code": "InvalidResourceId.NotFound", "Message": "has flowlog",
                          "RequestId": "R", "HostId": "h"}, 409, "conflict", False),
            ("ali", 400, {"Code": "Throttling.User", "Message": "m", "RequestId": "R"}, 429,
             "throttled", True),
            ("ali", 400, {"Code": "SignatureDoesNotMatch", "RequestId": "R",
                          "Message": "server string to sign is: SECRETLIKETEXT"}, 502,
             "upstream_credentials_refused", False)]
    for base, given, body, status, code, retryable in rows:
        def part(base=base, given=given, body=body, status=status, code=code, retryable=retryable):
            world.cloud.clear()
            world.cloud.fault = lambda link, request: link.reply(given, body)
            answer = world.gateway.create(f"{base}-own", CANONICAL[base])
            world.cloud.fault = None
            told = problem(answer, status, code)
            assert told["retryable"] is retryable, told
            vendor = body.get("code") or body.get("error_code") or body.get("Code")
            assert told["upstream"]["code"] == vendor, told
            assert told["upstream"]["status"] == given, told
            assert "SECRETLIKETEXT" not in answer.body.decode(), told
            wrong = 1 if "credentials" not in code else len(world.cloud.writes())
            assert wrong == 1, "a refused signature is never tried again"
        yield f"{base}: {given} {list(body.values())[0]}", part


def case_headers_of_the_cloud_do_not_get_through(world):
    """What a cloud puts into its headers never becomes a header of ours."""
    def reply(link, request):
        status, headers, body = world.cloud.systems.answer(request)
        link.reply(status, body, headers + [("Set-Cookie", "a=b"), ("X-Evil", "1"),
                                            ("Location", "http://evil/"), ("Server", "x")])
    world.cloud.clear()
    world.cloud.fault = reply
    answer = world.gateway.create("net-own", CANONICAL["net"])
    world.cloud.clear()
    assert answer.status == 201, repr(answer)
    for name in ("set-cookie", "x-evil"):
        assert name not in answer.headers, repr(answer)
    assert "evil" not in answer.headers["location"], repr(answer)


def case_many_faults_at_once(world):
    """Fifty callers at an endless cloud: memory stays bounded, the others are served. Each may hold
    two replies of at most 1 MiB, its own and that of the look for what it did."""
    for transport in TRANSPORTS:
        yield transport, lambda t=transport: flood(world, t)


def flood(world, transport):
    world.cloud.clear()
    before = world.gateway.memory_kb()
    world.cloud.fault = FAULTS["endless_body"]
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(world.gateway.create(
        f"net-{transport}", CANONICAL["net"], timeout=60).status)) for _ in range(50)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while any(thread.is_alive() for thread in threads) and time.monotonic() - began < 60:
        assert world.gateway.admin("/healthz").status == 200
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    world.cloud.fault = None
    assert set(seen) <= {502, 503, 504} and len(seen) == 50, seen
    grown = world.gateway.memory_kb("VmHWM") - before
    if world.binary.plain:
        assert grown < 192 * 1024, f"grew by {grown} kB"
    well(world, f"net-{transport}")


def case_memory_comes_back(world):
    if not world.binary.plain:
        return  # sanitizers keep freed memory on purpose
    for _ in range(200):
        world.gateway.create("net-own", CANONICAL["net"])
    before = world.gateway.memory_kb()
    for _ in range(1000):
        world.gateway.create("net-own", CANONICAL["net"])
    grown = world.gateway.memory_kb() - before
    assert grown < 2048, f"1,000 creates cost {grown} kB for good"


def case_still_well(world):
    for name in ("net-own", "net-curl"):
        well(world, name)
    assert world.gateway.admin("/readyz").status == 200, "one dead cloud is no reason"

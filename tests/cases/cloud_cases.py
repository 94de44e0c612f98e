"""Clouds that are dead, slow, lying or endless, and one attempt (retry_cases.py tells what follows
where there are more): answered within the deadline with 502, 503 or 504,
`retryable` told, nothing written twice, memory bounded, and the next request fine. Over both
transports."""
import calendar
import contextlib
import itertools
import json
import socket
import threading
import time
import types

from bodies import CANONICAL, DIALECTS, problem
from cloud import FAULTS, Cloud
from gateway import CLOUD_KEYS, ONCE, Gateway, free_port, target

DEADLINE = 3.0  # total_timeout_ms of gateway.target()

UNREADABLE, BROKEN = (502, "upstream_unreadable"), (502, "upstream_connection_broken")
LATE, FAILED = (504, "upstream_timeout"), (502, "upstream_error")
# What is told; all that is not listed cannot be read.
EXPECTED = {
    "reset_before_headers": BROKEN, "close_before_headers": BROKEN, "reset_in_headers": BROKEN,
    "reset_after_headers": BROKEN, "reset_in_body": BROKEN, "shorter_than_announced": BROKEN,
    "chunks_cut_off": BROKEN, "never_answers": LATE, "one_byte_a_second": LATE,
    "html_page_502": FAILED, "server_error": FAILED,
    "unavailable_for_long": (503, "upstream_unavailable"), "throttled_for_long": (429, "throttled"),
}
# The own client waits for the end of a head, libcurl sees at once that it is none; and libcurl takes
# chunks that are none for a broken connection.
DIFFERING = {("not_http", "own"): LATE, ("http_09", "own"): BROKEN, ("broken_chunks", "curl"): BROKEN}
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
    targets["ec2"] = target("aws-ec2", cloud.url, parameters={"region": "eu-central-1"}, **ONCE, **{
        "credentials": {"scheme": "aws4-hmac-sha256", **{
            name: {"value": f"example-{name}"} for name in ("access_key", "secret_key")}}})
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


def as_expected(answer, fault, transport):
    status, code = DIFFERING.get((fault, transport), EXPECTED.get(fault, UNREADABLE))
    return problem(answer, status, code)


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
    told = as_expected(answer, fault, transport)
    assert writes == 1, f"the create was sent {writes} times"
    if fault not in ("unavailable_for_long", "throttled_for_long", "server_error", "redirect",
                     "redirect_to_the_link", "html_page_502"):
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
    as_expected(answer, fault, transport)
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
                well(world, f"net-{transport}")
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
    """Neither to itself nor to the link's address, which would take the deadline to find nobody."""
    for transport in TRANSPORTS:
        for fault in ("redirect", "redirect_to_the_link"):
            def part(transport=transport, fault=fault):
                world.cloud.clear()
                world.cloud.fault = FAULTS[fault]
                answer = world.gateway.create(f"net-{transport}", CANONICAL["net"])
                problem(answer, *UNREADABLE)
                assert answer.took < 0.5 * world.binary.slow, f"{answer.took:.2f} s"
                assert all("/elsewhere" not in r.target for r in world.cloud.requests)
                well(world, f"net-{transport}")
            yield f"{fault}, {transport}", part


XML = {
    "cut off": b'<DescribeFlowLogsResponse><requestId>r</requestId><flowLogSet><item><flowLogId>fl-',
    "cut off in a name": b"<DescribeFlowLogsResponse><flowLogS",
    "not closed": b"<DescribeFlowLogsResponse><requestId>r</requestId><flowLogSet/>",
    "crossed": b"<DescribeFlowLogsResponse><flowLogSet></DescribeFlowLogsResponse></flowLogSet>",
    "two roots": b"<DescribeFlowLogsResponse/><DescribeFlowLogsResponse/>",
    "another root": b"<ListBucketResult/>", "a page": b"<!DOCTYPE html><p>Sign in<br>",
    "JSON": b'{"flowLogSet": []}', "nothing": b"",
    "an entity for each other": b'<!DOCTYPE a [<!ENTITY b "' + b"b" * 1000 + b'">'
                                + b"".join(b'<!ENTITY b%d "' % i + b"&b;" * 1000 + b'">'
                                           for i in range(8))
                                + b"]><DescribeFlowLogsResponse>&b7;</DescribeFlowLogsResponse>",
    "an entity from elsewhere": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
                                b"<DescribeFlowLogsResponse>&f;</DescribeFlowLogsResponse>",
    "endlessly deep": b"<a>" * 100000,
}
XML_WELL = (b'<DescribeFlowLogsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            b"<requestId>r</requestId><flowLogSet/></DescribeFlowLogsResponse>")


def case_xml_that_cannot_be_read(world):
    def says(text):
        world.cloud.fault = lambda link, request: link.reply(
            200, text, [("Content-Type", "text/xml;charset=UTF-8")])
        return world.gateway.call("GET", "/v1/targets/ec2/flow-logs")

    for name, text in XML.items():
        def part(text=text):
            world.cloud.clear()
            answer = says(text)
            in_time(world, answer)
            problem(answer, *UNREADABLE)
            assert b"root:" not in answer.body
            assert says(XML_WELL).status == 200
            world.cloud.clear()
        yield name, part


DATES = ("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
         "Mon, 30 Feb 2026 00:00:00 GMT",
         "0", "-1", "99999999999999999999", "tomorrow", "\xff" * 20, "Thu, " * 500)


def case_absurd_dates(world):
    """No answer is the worse for it, no signature is made by it, and it is counted."""
    for number, date in enumerate(DATES):
        for transport in TRANSPORTS:
            yield f"{number}, {transport}", lambda d=date, t=transport: absurd_date(world, d, t)


def absurd_date(world, date, transport):
    def raw(link, status, body):
        text = json.dumps(body).encode()
        link.send(b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: "
                  % (status, len(text)) + date.encode("latin-1") + b"\r\n\r\n" + text)

    def good(link, request):
        status, _, body = world.cloud.systems.answer(request)
        raw(link, status, body)

    name = f"net-{transport}"
    world.cloud.clear()
    world.cloud.fault = good
    assert world.gateway.create(name, CANONICAL["net"]).status == 201
    world.cloud.fault = lambda link, request: raw(link, 401, {
        "error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication", "request_id": "r"})
    before = len(world.cloud.requests)
    answer = world.gateway.create(name, CANONICAL["net"])
    in_time(world, answer)
    problem(answer, 502, "upstream_credentials_refused")
    assert len(world.cloud.requests) == before + 1, "it was signed again"
    well(world, name)
    assert not world.cloud.bad_signatures, world.cloud.bad_signatures
    signed = world.cloud.requests[-1].headers["x-sdk-date"]
    assert abs(time.time() - calendar.timegm(time.strptime(signed, "%Y%m%dT%H%M%SZ"))) < 60, signed
    text = world.gateway.admin("/metrics").body.decode()
    assert f'sluice_target_clock_applied_seconds{{target="{name}"}} 0\n' in text
    assert f'sluice_target_dates_absurd_total{{target="{name}"}} 0\n' not in text


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


ENDLESS = ("endless_body_until_close", "announced_too_long", "endless_headers",
           "endless_header_line", "endless_interim_answers")


def case_many_faults_at_once(world):
    """Fifty callers at an endless cloud: memory stays bounded, the others are served. Each may hold
    two replies of at most 1 MiB, its own and that of the look for what it did."""
    def all_kinds(link, request):
        FAULTS[ENDLESS[len(world.cloud.requests) % len(ENDLESS)]](link, request)
    for transport in TRANSPORTS:
        yield f"a body, {transport}", lambda t=transport: flood(world, t, FAULTS["endless_body"])
        yield f"all kinds, {transport}", lambda t=transport: flood(world, t, all_kinds)


def flood(world, transport, fault):
    world.cloud.clear()
    world.gateway.forget_peak()
    before = world.gateway.memory_kb()
    world.cloud.fault = fault
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

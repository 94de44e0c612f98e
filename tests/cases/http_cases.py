"""Hostile and careless HTTP on the callers' side: refused with a problem and closed, never a second
answer, and never a crash. RFC 9112 is what "hostile" is measured by."""
import contextlib
import json
import socket
import threading
import time
import types

from bodies import CANONICAL, DIALECTS, problem
from cloud import Cloud
from gateway import CLOUD_KEYS, KEYS, Gateway, target

MEMCHECK = True
AUTH = b"Authorization: Bearer " + KEYS["portal"].encode() + b"\r\n"
BODY = json.dumps(CANONICAL["net"]).encode()
GET = b"GET /v1/targets HTTP/1.1\r\nHost: x\r\n" + AUTH
POST = b"POST /v1/targets/net/flow-logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + AUTH


@contextlib.contextmanager
def world(binary):
    cloud = Cloud(CLOUD_KEYS)
    targets = {name: target(dialect, cloud.url, timeout_ms=8000, total_timeout_ms=20000)
               for name, dialect in DIALECTS.items()}
    gateway = Gateway(binary, targets, limits={"head_timeout_ms": 1500, "body_timeout_ms": 2000,
                                               "idle_timeout_ms": 3000})
    try:
        yield types.SimpleNamespace(gateway=gateway, cloud=cloud, binary=binary)
    finally:
        gateway.done()
        cloud.stop()


def answers(came):
    """The answers in a byte stream, read strictly: [(status, headers, body)]."""
    found = []
    while came:
        head, mark, rest = came.partition(b"\r\n\r\n")
        assert mark, f"half an answer: {came[:300]!r}"
        lines = head.split(b"\r\n")
        assert lines[0].startswith(b"HTTP/1.1 "), lines[0]
        status = int(lines[0].split(b" ")[1])
        fields = {n.lower().decode(): v.strip().decode() for n, _, v in
                  (line.partition(b":") for line in lines[1:])}
        if status == 100:
            came = rest
            found.append((100, fields, b""))
            continue
        length = int(fields["content-length"])
        assert len(rest) >= length, f"short: {came[:300]!r}"
        found.append((status, fields, rest[:length]))
        came = rest[length:]
    return found


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


TE = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: %d\r\n" % len(BODY)
SMUGGLED = b"GET /v1/targets HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n"

REFUSED = {
    "length and chunks": POST + CL + TE + b"\r\n" + chunked(BODY),
    "chunks and length": POST + TE + CL + b"\r\n" + chunked(BODY),
    "two equal lengths": POST + CL + CL + b"\r\n" + BODY,
    "two different lengths": POST + CL + b"Content-Length: 3\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\n" + BODY,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length with a plus": POST + b"Content-Length: +5\r\n\r\n{}   ",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\n{}   ",
    "a length with blanks inside": POST + b"Content-Length: 1 2\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "another transfer coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked(BODY),
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + chunked(BODY),
    "two transfer codings": POST + TE + TE + b"\r\n" + chunked(BODY),
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + chunked(BODY),
    "chunked with a tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + chunked(BODY),
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0") + TE + b"\r\n" + chunked(BODY),
    "a chunk size that is none": POST + TE + b"\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": POST + TE + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a plus": POST + TE + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": POST + TE + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a blank before": POST + TE + b"\r\n 2\r\n{}\r\n0\r\n\r\n",
    "an empty chunk size": POST + TE + b"\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk size that overflows": POST + TE + b"\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "no line end after a chunk": POST + TE + b"\r\n2\r\n{}0\r\n\r\n",
    "a bare LF after a chunk size": POST + TE + b"\r\n2\n{}\r\n0\r\n\r\n",
    "a bare CR in a chunk extension": POST + TE + b"\r\n2;a\rb\r\n{}\r\n0\r\n\r\n",
    "an endless chunk extension": POST + TE + b"\r\n2;" + b"a" * 100000 + b"\r\n{}\r\n0\r\n\r\n",
    "a broken trailer": POST + TE + b"\r\n2\r\n{}\r\n0\r\nX Y: z\r\n\r\n",
    "a folded line": GET + b"X-A: a\r\n b\r\n\r\n",
    "a folded first line": b"GET /v1/targets HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n",
    "a blank before the colon": GET + b"X-A : a\r\n\r\n",
    "a line without a colon": GET + b"X-A\r\n\r\n",
    "a field without a name": GET + b": a\r\n\r\n",
    "a NUL in a value": GET + b"X-A: a\0b\r\n\r\n",
    "a NUL in a name": GET + b"X\0A: a\r\n\r\n",
    "a NUL in the target": b"GET /v1/\0targets HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bare CR in a value": GET + b"X-A: a\rX-B: b\r\n\r\n",
    "a bare LF as line end": GET.replace(b"\r\n", b"\n") + b"\n",
    "one bare LF": GET + b"X-A: a\nX-B: b\r\n\r\n",
    "a control character": GET + b"X-A: a\x01b\r\n\r\n",
    "a name that is no token": GET + b"X(A): a\r\n\r\n",
    "no Host": b"GET /v1/targets HTTP/1.1\r\n" + AUTH + b"\r\n",
    "two Hosts": GET + b"Host: y\r\n\r\n",
    "a Host that is none": b"GET /v1/targets HTTP/1.1\r\nHost: a b\r\n" + AUTH + b"\r\n",
    "a Host with a path": b"GET /v1/targets HTTP/1.1\r\nHost: a/b\r\n" + AUTH + b"\r\n",
    "no version": b"GET /v1/targets\r\nHost: x\r\n\r\n",
    "two blanks": b"GET  /v1/targets HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab between": b"GET\t/v1/targets HTTP/1.1\r\nHost: x\r\n\r\n",
    "a blank at the end": b"GET /v1/targets HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a blank in the target": b"GET /v1/tar gets HTTP/1.1\r\nHost: x\r\n\r\n",
    "a small version": b"GET /v1/targets http/1.1\r\nHost: x\r\n\r\n",
    "a method that is no token": b"G@T /v1/targets HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /v1/t\xc3\xa4rgets HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken percent code": b"GET /v1/%zz HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n",
    "dot segments": b"GET /v1/../v1/targets HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "an authority": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
    "another absolute host": b"GET http://evil/v1/targets HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n",
    "a fragment": b"GET /v1/targets#a HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n",
    "two blank lines first": b"\r\n\r\n\r\n" + GET + b"\r\n",
    "TLS on a plain port": bytes.fromhex("16030100c8010000c40303") + b"\0" * 189,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

OTHER = {
    "HTTP/2.0": (b"GET /v1/targets HTTP/2.0\r\nHost: x\r\n\r\n", (400, 505)),
    "HTTP/1.2": (b"GET /v1/targets HTTP/1.2\r\nHost: x\r\n\r\n", (200, 401, 505)),
    "a long target": (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431, 400)),
    "a long head": (GET + b"X-A: " + b"a" * 20000 + b"\r\n\r\n", (431,)),
    "many fields": (GET + b"X-A: a\r\n" * 200 + b"\r\n", (431,)),
    "another expectation": (POST + b"Expect: 200-maybe\r\n" + CL + b"\r\n" + BODY, (417,)),
    "an endless length": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
    "too long, announced": (POST + b"Content-Length: 10000000\r\n\r\n", (413,)),
    "too long, in chunks": (POST + TE + b"\r\n20000\r\n" + b" " * 0x20000 + b"\r\n0\r\n\r\n", (413,)),
}


def case_refused(world):
    for label, data in REFUSED.items():
        yield label, lambda d=data: refused(world, d, (400, 501, 505))


def case_refused_otherwise(world):
    for label, (data, statuses) in OTHER.items():
        yield label, lambda d=data, s=statuses: refused(world, d, s)


def refused(world, data, statuses):
    """One answer, a problem; closed; and what follows on the connection is not answered."""
    world.cloud.clear()
    came, closed = world.gateway.raw(data + SMUGGLED)
    found = answers(came)
    assert found, "no answer"
    status, fields, body = found[0]
    assert status in statuses, f"expected {statuses}, seen {came[:600]!r}"
    if status < 400:
        return
    assert len(found) == 1, f"a second answer: {came!r}"
    assert fields["content-type"] == "application/problem+json", came
    told = json.loads(body)
    assert told["status"] == status and told["code"], told
    assert closed, "the connection stayed open"
    assert fields.get("connection", "").lower() == "close", fields
    assert world.cloud.requests == [], "something was sent to the cloud"


def expect(world, data, statuses, **more):
    def enough(came):
        try:
            return len(answers(came)) >= len(statuses)
        except (AssertionError, KeyError):
            return False
    came, _ = world.gateway.raw(data, wait=4.0, enough=enough, **more)
    seen = [status for status, _, _ in answers(came)]
    assert seen == statuses, f"expected {statuses}, seen {came[:600]!r}"


def case_accepted(world):
    rows = {
        "chunks": (POST + TE + b"\r\n" + chunked(BODY), [201]),
        "many chunks": (POST + TE + b"\r\n" + b"".join(b"1;x=y\r\n%c\r\n" % c for c in BODY)
                        + b"0\r\nX-T: t\r\n\r\n", [201]),
        "chunks with capital digits": (POST + TE + b"\r\n" + b"%X\r\n" % len(BODY) + BODY
                                       + b"\r\n0\r\n\r\n", [201]),
        "one empty line first": (b"\r\n" + GET + b"\r\n", [200]),
        "absolute form": (b"GET http://x/v1/targets HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n", [200]),
        "two in one go": ((GET + b"\r\n") * 2, [200, 200]),
        "ten in one go": ((GET + b"\r\n") * 10, [200] * 10),
        "a create and a read in one go": (POST + CL + b"\r\n" + BODY + GET + b"\r\n", [201, 200]),
        "blanks around a value": (GET + b"X-A: \t a \t \r\n\r\n", [200]),
        "an empty value": (GET + b"X-A:\r\n\r\n", [200]),
        "HTTP/1.0": (GET.replace(b"1.1", b"1.0") + b"\r\n", [200]),
        "a small field name": (GET.replace(b"Host", b"hOST") + b"\r\n", [200]),
        "100-continue that is not wanted": (
            POST.replace(AUTH, b"") + b"Expect: 100-continue\r\n" + CL + b"\r\n", [401]),
    }
    for label, (data, statuses) in rows.items():
        yield label, lambda d=data, s=statuses: expect(world, d, s)


def case_100_continue(world):
    """The caller sends its body only when it is asked to."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as sock:
        sock.settimeout(10 * world.binary.slow)
        sock.sendall(POST + b"Expect: 100-continue\r\nConnection: close\r\n" + CL + b"\r\n")
        came = sock.recv(65536)
        assert came.startswith(b"HTTP/1.1 100 ") and came.endswith(b"\r\n\r\n"), came
        sock.sendall(BODY)
        while piece := sock.recv(65536):
            came += piece
    assert [status for status, _, _ in answers(came)] == [100, 201], came


def case_byte_by_byte(world):
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in POST + CL + b"Connection: close\r\n\r\n" + BODY:
            sock.send(bytes([byte]))
        sock.settimeout(10 * world.binary.slow)
        came = b""
        while piece := sock.recv(65536):
            came += piece
    assert [status for status, _, _ in answers(came)] == [201], came


def case_slow_head_is_408(world):
    came, closed = world.gateway.raw(b"GET /v1/targets HTTP/1.1\r\nHost: x\r\n", wait=6)
    found = answers(came)
    assert [status for status, _, _ in found] == [408] and closed, came
    told = json.loads(found[0][2])
    assert told["code"] == "request_timeout" and told["retryable"] is True, told


def case_slow_body_is_408(world):
    came, closed = world.gateway.raw(POST + CL + b"\r\n" + BODY[:20], wait=8)
    assert [status for status, _, _ in answers(came)] == [408] and closed, came


def case_one_byte_at_a_time_is_408(world):
    """A slow byte does not extend a deadline."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as sock:
        sock.settimeout(0.2)
        came, began = b"", time.monotonic()
        while time.monotonic() - began < 6 * world.binary.slow:
            try:
                sock.send(b"X")
                piece = sock.recv(65536)
                came += piece
                if not piece:
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 4 * world.binary.slow, "the deadline moved"
    assert came.startswith(b"HTTP/1.1 408"), came


def case_idle_connections_are_closed(world):
    came, closed = world.gateway.raw(GET + b"\r\n", wait=8)
    assert [status for status, _, _ in answers(came)] == [200] and closed, came


def case_half_a_request_then_gone(world):
    for cut in (1, 10, len(POST), len(POST) + 5):
        yield f"after {cut} bytes", lambda c=cut: world.gateway.raw(
            (POST + CL + b"\r\n" + BODY)[:c], finish=True, wait=4)


def case_caller_leaves_while_the_cloud_works(world):
    world.cloud.clear()
    world.cloud.delay = 0.3
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as sock:
            sock.sendall(POST + CL + b"\r\n" + BODY)
            time.sleep(0.1)
    time.sleep(0.5)
    world.cloud.clear()
    assert world.gateway.create("net", CANONICAL["net"]).status == 201


def case_many_at_once(world):
    world.cloud.clear()
    world.cloud.delay = 0.05
    seen, count = [], 20 if world.binary.slow > 5 else 100
    threads = [threading.Thread(target=lambda: seen.append(
        world.gateway.create("net", CANONICAL["net"], timeout=60).status)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count(201) == count, {status: seen.count(status) for status in set(seen)}
    assert len(world.cloud.writes()) == count


def case_still_well(world):
    problem(world.gateway.call("GET", "/nothing"), 404)
    assert world.gateway.create("net", CANONICAL["net"]).status == 201
    assert world.gateway.admin("/healthz").status == 200

"""A fake cloud that does as it is told, for the conversation cases.

It records every byte it receives, checks signatures with an implementation of its own, and answers
by a small model of the three systems or misbehaves as scripted: `cloud.fault = faults["reset"]`
holds until it is set back to None. Threads and blocking sockets, nothing but Python's own library.
"""
import gzip as gzipped
import hashlib
import hmac
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import uuid

LIMIT = 1 << 20


class Request:
    """One request as it came: `raw` is every byte of it."""

    def __init__(self, raw, head, body):
        self.raw, self.body = raw, body
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.path, _, self.query_text = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(self.query_text, keep_blank_values=True,
                                                 strict_parsing=bool(self.query_text)))
        self.fields = [(name.lower(), value.strip()) for name, _, value in
                       (line.partition(":") for line in lines[1:])]
        self.headers = dict(self.fields)

    def json(self):
        return json.loads(self.body)


class Link:
    """The server's end of one connection."""

    def __init__(self, sock):
        self.sock, self.buffer, self.count = sock, b"", 0

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length:[ \t]*([0-9]+)[ \t]*\r?$", head)
        length = int(length.group(1)) if length else 0
        while len(rest) < length:
            self._more()
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        raw = self.buffer[:len(head) + 4 + length]
        self.buffer = self.buffer[len(raw):]
        self.count += 1
        return Request(raw, head, raw[len(head) + 4:])

    def _more(self):
        data = self.sock.recv(65536)
        if not data or len(self.buffer) > LIMIT:
            raise ConnectionError("gone")
        self.buffer += data

    def send(self, data):
        self.sock.sendall(data)

    def reply(self, status, body=b"", headers=(), reason="Reason"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        names = [name.lower() for name, _ in headers]
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{n}: {v}" for n, v in headers]
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        if "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self):
        """Closes with RST, so that what was sent may be lost as well."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise ConnectionError("reset on purpose")

    def close(self):
        raise ConnectionError("closed on purpose")

    def hold(self, seconds=30):
        """Does nothing until the other side leaves."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(4096):
                pass
        except (OSError, ssl.SSLError):
            pass
        self.close()


# --------------------------------------------------------------------------------- signatures

def _percent(text):
    return urllib.parse.quote(text, safe="-_.~")


def _query(request):
    pairs = urllib.parse.parse_qsl(request.query_text, keep_blank_values=True)
    return "&".join(f"{_percent(n)}={_percent(v)}" for n, v in sorted(pairs))


def _canonical(request, path, signed, digest):
    block = "".join(f"{name}:{request.headers[name]}\n" for name in signed)
    return "\n".join([request.method, path, _query(request), block, ";".join(signed), digest])


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def check_sdk_hmac(request, keys):
    """SDK-HMAC-SHA256: what is wrong with the signature, or None."""
    found = re.fullmatch(r"SDK-HMAC-SHA256 Access=([^,]+), SignedHeaders=([^,]+), "
                         r"Signature=([0-9a-f]{64})", request.headers.get("authorization", ""))
    if not found:
        return "no signature"
    key, signed, signature = found.group(1), found.group(2).split(";"), found.group(3)
    if key not in keys:
        return "unknown key"
    if "x-sdk-date" not in signed or "host" not in signed or signed != sorted(signed):
        return "something must be signed and is not"
    path = "/".join(_percent(urllib.parse.unquote(p)) for p in request.path.split("/"))
    canonical = _canonical(request, path if path.endswith("/") else path + "/", signed,
                           _digest(request.body))
    text = "\n".join(["SDK-HMAC-SHA256", request.headers["x-sdk-date"],
                      _digest(canonical.encode())])
    right = hmac.new(keys[key].encode(), text.encode(), "sha256").hexdigest()
    return None if right == signature else "signature does not match"


def check_acs3(request, keys):
    """ACS3-HMAC-SHA256: what is wrong with the signature, or None."""
    found = re.fullmatch(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),"
                         r"Signature=([0-9a-f]{64})", request.headers.get("authorization", ""))
    if not found:
        return "no signature"
    key, signed, signature = found.group(1), found.group(2).split(";"), found.group(3)
    if key not in keys:
        return "unknown key"
    must = {name for name in request.headers
            if name.startswith("x-acs-") or name in ("host", "content-type")}
    if set(signed) != must or signed != sorted(signed):
        return f"signed are {signed}, must be {sorted(must)}"
    if request.headers.get("x-acs-content-sha256") != _digest(request.body):
        return "digest of the body"
    canonical = _canonical(request, "/", signed, _digest(request.body))
    text = "ACS3-HMAC-SHA256\n" + _digest(canonical.encode())
    right = hmac.new(keys[key].encode(), text.encode(), "sha256").hexdigest()
    return None if right == signature else "signature does not match"


# --------------------------------------------------------------------- the three systems, well

def _now(pattern="%Y-%m-%dT%H:%M:%S"):
    return time.strftime(pattern, time.gmtime())


class Systems:
    """Flow logs of all three systems, as their documents describe them."""

    def __init__(self, pending=0):
        self.pending = pending  # how many reads see a new flow log unfinished
        self.networks, self.routers, self.parameters, self.reads = {}, {}, {}, {}

    def answer(self, request):
        """(status, headers, body) for a well-formed request."""
        if "x-acs-action" in request.headers:
            return self._parameters(request)
        if "/enterprise-router/" in request.path:
            return self._router(request)
        return self._network(request)

    def _settled(self, key):
        self.reads[key] = self.reads.get(key, 0) + 1
        return self.reads[key] > self.pending

    def _network(self, request):
        own = [("X-Request-Id", "req-" + uuid.uuid4().hex)]
        found = re.fullmatch(r"/v1/([0-9a-f]{32})/fl/flow_logs(?:/([^/]+))?", request.path)
        if not found:
            return 404, own, {"error_code": "APIGW.0101", "error_msg": "no such API",
                              "request_id": "r"}
        project, key = found.groups()
        if request.method == "POST" and not key:
            log = dict(request.json()["flow_log"], id=str(uuid.uuid4()), tenant_id=project,
                       admin_state=True, status="ACTIVE", created_at=_now(), updated_at=_now())
            log.setdefault("description", "")
            self.networks[log["id"]] = log
            return 200, own, {"flow_log": log}
        if request.method == "GET" and not key:
            return 200, own, {"flow_logs": [log for log in self.networks.values()
                                            if log["tenant_id"] == project]}
        if self.networks.get(key, {}).get("tenant_id") != project:
            return 404, own, {"code": "VPC.3002", "message": f"Flow log {key} could not be found."}
        if request.method == "DELETE":
            del self.networks[key]
            return 204, own, b""
        if request.method == "PUT":
            self.networks[key].update(request.json()["flow_log"], updated_at=_now())
        return 200, own, {"flow_log": self.networks[key]}

    def _router(self, request):
        own = [("X-Request-Id", "req-" + uuid.uuid4().hex)]
        found = re.fullmatch(r"/v3/([0-9a-f]{32})/enterprise-router/([^/]+)/flow-logs(?:/([^/]+))?",
                             request.path)
        if not found:
            return 404, own, {"error_code": "APIGW.0101", "error_msg": "no such API",
                              "request_id": "r"}
        project, _, key = found.groups()
        if request.method == "POST" and not key:
            log = dict(request.json()["flow_log"], id=str(uuid.uuid4()), project_id=project,
                       state="pending" if self.pending else "available", enabled=True,
                       log_aggregation_interval=600, created_at=_now() + "Z",
                       updated_at=_now() + "Z")
            self.routers[log["id"]] = log
            return 202, own, {"flow_log": log, "request_id": "r1"}
        if request.method == "GET" and not key:
            logs = list(self.routers.values())
            return 200, own, {"flow_logs": logs, "total_count": len(logs), "request_id": "r2",
                              "page_info": {"next_marker": "", "current_count": len(logs)}}
        if key not in self.routers:
            return 400, own, {"error_code": "ER.04008501", "error_msg": "flow log does not exist",
                              "request_id": "r"}
        if request.method == "DELETE":
            del self.routers[key]
            return 202, own, b""
        if self._settled(key):
            self.routers[key]["state"] = "available"
        return 200, own, {"flow_log": self.routers[key], "request_id": "r3"}

    def _parameters(self, request):
        action, given = request.headers["x-acs-action"], request.query
        done = {"RequestId": str(uuid.uuid4()).upper()}
        if action == "CreateFlowLog":
            names = ("FlowLogName", "Description", "ResourceType", "ResourceId", "TrafficType",
                     "ProjectName", "LogStoreName", "RegionId")
            key = "fl-" + uuid.uuid4().hex[:16]
            log = {name: given[name] for name in names if name in given}
            log.update(FlowLogId=key, CreationTime=_now("%Y-%m-%dT%H:%M:%SZ"),
                       Status="Activating" if self.pending else "Active", BusinessStatus="Normal",
                       AggregationInterval=int(given.get("AggregationInterval", 10)))
            self.parameters[key] = log
            return 200, [], dict(done, Success="true", FlowLogId=key, ResourceGroupId="rg-1")
        if action == "DescribeFlowLogs":
            logs = [log for log in self.parameters.values()
                    if given.get("FlowLogId") in (None, log["FlowLogId"])]
            for log in logs:
                if self._settled(log["FlowLogId"]):
                    log["Status"] = "Active"
            return 200, [], dict(done, Success="true", PageNumber="1", PageSize="20",
                                 TotalCount=str(len(logs)), FlowLogs={"FlowLog": logs})
        if action == "DeleteFlowLog":
            self.parameters.pop(given.get("FlowLogId"), None)
            return 200, [], dict(done, Success="true")
        return 404, [], dict(done, Code="InvalidAction.NotFound", Message="no such action",
                             HostId="localhost")


# ------------------------------------------------------------------------------------- faults

def fault(function):
    FAULTS[function.__name__] = function
    return function


FAULTS = {}


@fault
def reset_before_headers(link, request):
    link.reset()


@fault
def close_before_headers(link, request):
    link.close()


@fault
def reset_in_headers(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    link.reset()


@fault
def reset_after_headers(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n")
    time.sleep(0.05)
    link.reset()


@fault
def reset_in_body(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"
              b'{"flow_log": {')
    time.sleep(0.05)
    link.reset()


@fault
def never_answers(link, request):
    link.hold()


@fault
def one_byte_a_second(link, request):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
        link.send(bytes([byte]))
        time.sleep(1)


@fault
def endless_body(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while True:
        link.send(piece)


@fault
def endless_body_until_close(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        link.send(b" " * 65536)


@fault
def announced_too_long(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              b"Content-Length: 99999999999\r\n\r\n")
    while True:
        link.send(b" " * 65536)


@fault
def endless_headers(link, request):
    link.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        link.send(b"X-Field: " + b"v" * 1000 + b"\r\n")


@fault
def endless_header_line(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nX-Field: ")
    while True:
        link.send(b"v" * 65536)


@fault
def endless_interim_answers(link, request):
    while True:
        link.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)
        time.sleep(0.001)


@fault
def switching_protocols(link, request):
    link.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    link.hold()


@fault
def shorter_than_announced(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
              b'{"flow_log":{}}')
    link.close()


@fault
def differing_lengths(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}")
    link.hold()


@fault
def length_and_chunks(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
              b"2\r\n{}\r\n0\r\n\r\n")
    link.hold()


@fault
def broken_chunks(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n")
    link.hold()


@fault
def chunks_cut_off(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"flow_log\":")
    link.close()


@fault
def truncated_json(link, request):
    link.reply(200, b'{"flow_log": {"id": "x", "na')


@fault
def empty_success(link, request):
    link.reply(200, b"")


@fault
def json_of_another_kind(link, request):
    link.reply(200, b'["nothing", 1, null]')


@fault
def deep_json(link, request):
    link.reply(200, b'{"flow_log":' * 5000 + b"1" + b"}" * 5000)


@fault
def html_page_200(link, request):
    link.reply(200, b"<!DOCTYPE html><title>Sign in</title>" * 20,
               [("Content-Type", "text/html")])


@fault
def html_page_502(link, request):
    link.reply(502, b"<html><h1>Bad Gateway</h1></html>", [("Content-Type", "text/html")])


@fault
def gzip(link, request):
    """What is inside would be a success, and nobody asked for it to be packed."""
    log = {"id": "x", "name": "edge-reject", "status": "ACTIVE"}
    link.reply(200, gzipped.compress(json.dumps({"flow_log": log}).encode()),
               [("Content-Encoding", "gzip")])


@fault
def redirect(link, request):
    host = request.headers["host"]
    link.reply(302, b"", [("Location", f"http://{host}/elsewhere")])


@fault
def redirect_to_the_link(link, request):
    """To where a machine of a cloud is told its own keys."""
    link.reply(307, b"", [("Location", "http://169.254.169.254/latest/meta-data/")])


@fault
def unavailable_for_long(link, request):
    link.reply(503, b"{}", [("Retry-After", "99999999999999999999")])


@fault
def throttled_for_long(link, request):
    link.reply(429, b"{}", [("Retry-After", "86400")])


@fault
def server_error(link, request):
    link.reply(500, {"code": "VPC.3002", "message": "Neutron Error."})


@fault
def not_http(link, request):
    link.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    link.hold()


@fault
def http_09(link, request):
    link.send(b'{"flow_log": {}}')
    link.close()


@fault
def nul_in_header(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\n{}")
    link.hold()


@fault
def folded_header(link, request):
    link.send(b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\n{}")
    link.hold()


# ------------------------------------------------------------------------------------ server

class Cloud:
    """Listens on loopback. `requests` holds what was received, newest last."""

    def __init__(self, keys=None, tls=None, pending=0, address="127.0.0.1", port=0):
        self.systems = Systems(pending)
        self.keys = keys or {}
        self.requests, self.connections, self.bad_signatures = [], 0, []
        self.fault = None        # function(link, request), or None to behave
        self.die_on_second = False  # of a kept connection, once
        self.close_after_reply = False
        self.delay = 0.0
        self._tls, self._open, self._lock = tls, set(), threading.Lock()
        self._listener = socket.create_server((address, port), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return self.url_of("127.0.0.1")

    def url_of(self, host):
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def clear(self):
        self.requests.clear()
        self.bad_signatures.clear()
        self.fault, self.die_on_second, self.close_after_reply, self.delay = None, False, False, 0.0

    def writes(self):
        """The creates among the requests received."""
        return [r for r in self.requests
                if r.headers.get("x-acs-action", "CreateFlowLog") == "CreateFlowLog"
                and r.method == "POST"]

    def stop(self):
        # shutdown wakes the thread that sits in accept(); close alone would not
        for sock in [self._listener, *self._open]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(30)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._open.add(sock)
            link = Link(sock)
            while self._turn(link):
                pass
        except (OSError, ValueError):
            pass
        finally:
            self._open.discard(sock)
            sock.close()

    def _turn(self, link):
        request = link.read_request()
        with self._lock:
            self.requests.append(request)
        wrong = self._check(request)
        if wrong:
            self.bad_signatures.append(wrong)
        if self.die_on_second and link.count > 1:
            self.die_on_second = False
            link.close()
        if self.fault:
            self.fault(link, request)
            return True
        if self.delay:
            time.sleep(self.delay)
        with self._lock:
            status, headers, body = self.systems.answer(request)
        if status == 204:
            link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            link.reply(status, body, headers + [("Connection", "close")]
                       if self.close_after_reply else headers)
        return not self.close_after_reply

    def _check(self, request):
        if not self.keys:
            return None
        if "x-acs-action" in request.headers:
            return check_acs3(request, self.keys)
        return check_sdk_hmac(request, self.keys)


class WriteCloud(Cloud):
    """Writes, or reads, meet a fault of their own; the others are answered as always."""

    def spoil(self, write, read=None):
        self.clear()
        self.fault = lambda link, request: (
            (read if request.method == "GET" else write) or self.well)(link, request)

    def well(self, link, request):
        status, headers, body = self.systems.answer(request)
        if status == 204:
            link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            link.reply(status, body, headers)

    def acts(self, link, request):
        """And nobody hears of it."""
        self.systems.answer(request)
        link.hold(20)

    def rows(self, body):
        return [row for row in self.systems.networks.values()
                if row["resource_id"] == body["resource_id"]]

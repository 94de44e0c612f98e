#!/usr/bin/python3
"""Tokens in place of signatures, with a real Keystone (Debian's python3-keystone on SQLite).

    tests/clients/tokens.py BINARY     the last line is "N passed, N failed"

Between the gateway and Keystone stands a counter, and in front of the fake cloud a check: it asks
Keystone about every token that comes. Two Keystones share one database: one gives tokens for a day,
the other for a few seconds."""
import concurrent.futures
import getpass
import grp
import http.client
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from cloud import Cloud  # noqa: E402
from gateway import Binary, Gateway, environment, free_port, target  # noqa: E402

USER, PASSWORD, DOMAIN, PROJECT_NAME = "tester", "s3cret-of-the-tester", "Default", "eu-de"
SHORT_SECONDS = 6
DAY = 86400
BODY = {"name": "by-token", "resource_type": "vpc", "traffic_type": "all",
        "resource_id": "05c4052d-8d14-488f-aa00-19fea5a25fde",
        "destination": {"type": "lts", "group": "05c4052d-8d14-488f-aa00-19fea5a25fdd",
                        "stream": "a9d7dee7-37d2-4cba-a208-a016252aaa63"}}


# ---------------------------------------------------------------------------------- the Keystones

class Keystone:
    """Two of them, in a folder, on loopback ports; `long` and `short` are those ports."""

    def __init__(self, folder):
        self.folder, self.running = pathlib.Path(folder), []
        self.long, self.short = free_port(), free_port()

    def start(self):
        for name in ("fernet", "credential"):
            (self.folder / name).mkdir(mode=0o700)
        me = ["--keystone-user", getpass.getuser(), "--keystone-group",
              grp.getgrgid(os.getgid()).gr_name]
        for name, expiration in (("long", DAY), ("short", SHORT_SECONDS)):
            self.configure(name, expiration)
        self.manage("db_sync")
        self.manage("fernet_setup", *me)
        self.manage("credential_setup", *me)
        self.manage("bootstrap", "--bootstrap-username", USER, "--bootstrap-password", PASSWORD,
                    "--bootstrap-project-name", PROJECT_NAME, "--bootstrap-role-name", "admin",
                    "--bootstrap-service-name", "iam", "--bootstrap-region-id", "eu-de",
                    "--bootstrap-public-url", f"http://127.0.0.1:{self.long}/v3")
        for name, port in (("long", self.long), ("short", self.short)):
            self.serve(name, port)

    def configure(self, name, expiration):
        (self.folder / name).mkdir()
        (self.folder / name / "keystone.conf").write_text("\n".join([
            "[database]", f"connection = sqlite:///{self.folder}/keystone.db",
            "[token]", f"expiration = {expiration}", "[identity]", "password_hash_rounds = 4",
            "[fernet_tokens]", f"key_repository = {self.folder}/fernet",
            "[fernet_receipts]", f"key_repository = {self.folder}/fernet",
            "[credential]", f"key_repository = {self.folder}/credential", ""]))

    def manage(self, *words):
        ended = subprocess.run(["keystone-manage", "--config-file",
                                str(self.folder / "long" / "keystone.conf"), *words],
                               capture_output=True, text=True, timeout=60)
        if ended.returncode:
            raise RuntimeError(f"keystone-manage {words[0]}: {ended.stderr[-2000:]}")

    def serve(self, name, port):
        env = dict(os.environ, OS_KEYSTONE_CONFIG_DIR=str(self.folder / name),
                   OS_KEYSTONE_CONFIG_FILES="keystone.conf")
        log = open(self.folder / f"{name}.log", "wb")
        self.running.append(subprocess.Popen(
            ["keystone-wsgi-public", "--host", "127.0.0.1", "--port", str(port)], env=env,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        log.close()
        end = time.monotonic() + 40
        while True:
            try:
                if ask(port, "GET", "/v3")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.running[-1].poll() is not None:
                raise RuntimeError("Keystone did not start: "
                                   + (self.folder / f"{name}.log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self):
        for one in self.running:
            one.terminate()
        for one in self.running:
            one.wait(10)


def ask(port, method, path, body=None, headers=None):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def first_token(port):
    """(token, the project's id): the project by name, as a person would."""
    scope = {"project": {"name": PROJECT_NAME, "domain": {"name": DOMAIN}}}
    identity = {"methods": ["password"], "password": {"user": {
        "name": USER, "password": PASSWORD, "domain": {"name": DOMAIN}}}}
    status, headers, body = ask(port, "POST", "/v3/auth/tokens",
                                json.dumps({"auth": {"identity": identity, "scope": scope}}),
                                {"Content-Type": "application/json"})
    assert status == 201, body
    return headers["X-Subject-Token"], json.loads(body)["token"]["project"]["id"]


# ------------------------------------------------------------------------------- what stands between

class Counter:
    """Passes requests on to a Keystone and counts the tokens asked for."""

    def __init__(self, to):
        counter = self
        self.to, self.asked, self.paths = to, 0, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                counter.asked += 1
                counter.paths.append(self.path)
                status, headers, reply = ask(counter.to, "POST", self.path, body,
                                             {"Content-Type": self.headers["Content-Type"] or ""})
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "server", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class CheckingCloud(Cloud):
    """The fake cloud, which lets in whom Keystone knows."""

    def __init__(self, keystone_port):
        super().__init__()
        self.keystone_port, self.tokens, self.refused, self.deaf = keystone_port, [], 0, False
        self.fault = self.check_token
        self.asking = threading.Lock()

    def check_token(self, link, request):
        token = request.headers.get("x-auth-token", "")
        self.tokens.append(token)
        if self.deaf or not token or "authorization" in request.headers or not self.known(token):
            self.refused += 1
            link.reply(401, {"error_code": "APIGW.0301", "request_id": "r",
                             "error_msg": "Incorrect IAM authentication information: token expired"})
            return
        with self.asking:
            status, headers, body = self.systems.answer(request)
        link.reply(status, body, headers)

    def known(self, token):
        with self.asking:
            status, _, _ = ask(self.keystone_port, "GET", "/v3/auth/tokens", None,
                               {"X-Auth-Token": token, "X-Subject-Token": token})
        return status == 200


class Scene:
    """A gateway whose one target takes tokens, with its own counter and cloud."""

    def __init__(self, binary, keystone_port, project, password=PASSWORD):
        self.counter, self.cloud = Counter(keystone_port), CheckingCloud(keystone_port)
        credentials = {"scheme": "keystone-password", "user": USER, "domain": DOMAIN,
                       "endpoint": f"http://127.0.0.1:{self.counter.port}", "project": project,
                       "password": {"value": password}}
        conf = target("otc-vpc", self.cloud.url, parameters={"project_id": project},
                      credentials=credentials, timeout_ms=40000, total_timeout_ms=50000)
        self.gateway = Gateway(binary, {"net": conf}, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            seen = self.gateway.output() + b"".join(self.gateway.heard)
            assert PASSWORD.encode() not in seen, "the password was told"
            for token in {token for token in self.cloud.tokens if token}:
                assert token.encode() not in seen, "a token was told"
        finally:
            self.gateway.done()
            self.cloud.stop()
            self.counter.stop()

    def create(self):
        return self.gateway.create("net", BODY, timeout=60)


def good(answer):
    assert answer.status in (200, 201), repr(answer)
    return answer.json()


def refused(answer):
    told = answer.json()
    assert (answer.status, told["code"]) == (502, "upstream_credentials_refused"), repr(answer)


# --------------------------------------------------------------------------------------- the cases

def case_one_token_for_all(binary, keystone, project):
    with Scene(binary, keystone.long, project) as scene:
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: scene.create(), range(50)))
        for answer in answers:
            good(answer)
        assert scene.counter.asked == 1, f"{scene.counter.asked} tokens were fetched"
        assert len(set(scene.cloud.tokens)) == 1 and scene.cloud.refused == 0, scene.cloud.refused
        good(scene.gateway.get("net", answers[0].json()["id"]))
        assert scene.counter.asked == 1, scene.counter.asked


def case_renewed_before_it_ends(binary, keystone, project):
    with Scene(binary, keystone.short, project) as scene:
        key = good(scene.create())["id"]
        end, calls = time.monotonic() + 2.5 * SHORT_SECONDS, 0
        while time.monotonic() < end:
            good(scene.gateway.get("net", key))
            calls += 1
            time.sleep(0.15)
        assert scene.cloud.refused == 0, f"{scene.cloud.refused} calls with a token that had ended"
        asked = scene.counter.asked
        assert 3 <= asked <= calls / 3, f"{asked} tokens for {calls} calls in 2.5 lives of a token"


def case_ended_while_idle(binary, keystone, project):
    with Scene(binary, keystone.short, project) as scene:
        key = good(scene.create())["id"]
        time.sleep(SHORT_SECONDS + 1.2)
        good(scene.gateway.get("net", key))
        assert (scene.cloud.refused, scene.counter.asked) == (0, 2), (scene.cloud.refused, scene.counter.asked)


def case_revoked(binary, keystone, project):
    with Scene(binary, keystone.long, project) as scene:
        key = good(scene.create())["id"]
        token = scene.cloud.tokens[0]
        status, _, body = ask(keystone.long, "DELETE", "/v3/auth/tokens", None,
                              {"X-Auth-Token": token, "X-Subject-Token": token})
        assert status == 204, body
        time.sleep(1.1)  # a revocation counts for tokens of earlier seconds
        calls = len(scene.cloud.requests)
        good(scene.gateway.get("net", key))
        assert scene.cloud.refused == 1, scene.cloud.refused
        assert scene.counter.asked == 2, f"{scene.counter.asked} tokens were fetched"
        assert len(scene.cloud.requests) - calls == 2, "not repeated exactly once"
        assert scene.cloud.tokens[-1] != token


def case_wrong_password(binary, keystone, project):
    with Scene(binary, keystone.long, project, password="not-the-password") as scene:
        began = time.monotonic()
        refused(scene.create())
        assert scene.counter.asked == 1, f"asked {scene.counter.asked} times"
        assert not scene.cloud.requests, "the cloud was called without a token"
        assert time.monotonic() - began < 10
        refused(scene.create())
        assert scene.counter.asked <= 2, f"asked {scene.counter.asked} times"


def case_cloud_refuses_every_token(binary, keystone, project):
    with Scene(binary, keystone.long, project) as scene:
        scene.cloud.deaf = True
        refused(scene.create())
        assert scene.counter.asked == 2, f"asked {scene.counter.asked} times"
        assert scene.cloud.refused == 2, f"the cloud was called {scene.cloud.refused} times"
        scene.cloud.deaf = False
        good(scene.create())


def case_no_identity_service(binary, keystone, project):
    with Scene(binary, keystone.long, project) as scene:
        scene.counter.stop()
        answer = scene.create()
        assert answer.status in (502, 503, 504), repr(answer)
        assert not scene.cloud.requests, "the cloud was called without a token"


CASES = [case_one_token_for_all, case_renewed_before_it_ends, case_ended_while_idle, case_revoked,
         case_wrong_password, case_cloud_refuses_every_token, case_no_identity_service]


def checks(binary):
    """(name, what is wrong or None) for each case."""
    with tempfile.TemporaryDirectory(prefix="sluice-keystone-") as folder:
        keystone = Keystone(folder)
        try:
            try:
                keystone.start()
                _, project = first_token(keystone.long)
            except (RuntimeError, OSError, AssertionError, subprocess.SubprocessError) as error:
                yield "Keystone starts", str(error)
                return
            yield "Keystone starts", None
            for case in CASES:
                name = case.__name__.removeprefix("case_").replace("_", " ")
                yield name, wrong(case, binary, keystone, project)
        finally:
            keystone.stop()


def wrong(case, *given):
    try:
        case(*given)
    except (AssertionError, OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"[:1500]
    return None


def main():
    passed = failed = 0
    for name, told in checks(Binary(sys.argv[1])):
        passed, failed = passed + (not told), failed + bool(told)
        print(f"  {'FAIL' if told else 'ok  '}  {name}" + (f": {told}" if told else ""), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""The gateway against the sandbox: two processes of the real binary, real signatures on both
sides, no fake in between."""
import contextlib
import json
import tempfile
import types

from bodies import CANONICAL, DIALECTS, problem
from gateway import KEYS, ROOT, Gateway, Process, environment, free_port, target

MEMCHECK = True
SCHEMES = {"otc-vpc": "sdk-hmac-sha256", "otc-er": "sdk-hmac-sha256",
           "alibaba-vpc": "acs3-hmac-sha256"}


def credentials(dialect, secret="sandbox-secret", key="sandbox"):
    return {"scheme": SCHEMES[dialect], "access_key": {"value": key},
            "secret_key": {"value": secret}}


def start_sandbox(binary, folder, doors):
    admin = free_port(doors + 1)
    return Process(binary, ["sandbox", "--port", str(admin + 1), "--mappings",
                            str(ROOT / "mappings")], folder, environment(), "sandbox"), admin + 1


@contextlib.contextmanager
def world(binary):
    dialects = sorted(path.stem for path in (ROOT / "mappings").glob("*.json")
                      if path.name != "schema.json")
    with tempfile.TemporaryDirectory(prefix="sluice-sandbox-") as folder:
        sandbox, first = start_sandbox(binary, folder, len(dialects))
        targets = {}
        for name, dialect in DIALECTS.items():
            url = f"http://127.0.0.1:{first + dialects.index(dialect)}"
            more = {"timeout_ms": 9000, "total_timeout_ms": 20000}
            for transport in ("own", "curl"):
                targets[f"{name}-{transport}"] = target(
                    dialect, url, transport=transport, credentials=credentials(dialect), **more)
            targets[f"{name}-wrong"] = target(
                dialect, url, credentials=credentials(dialect, secret="not-the-secret"), **more)
            targets[f"{name}-stranger"] = target(
                dialect, url, credentials=credentials(dialect, key="nobody"), **more)
        gateway = Gateway(binary, targets)
        try:
            yield types.SimpleNamespace(gateway=gateway, sandbox=sandbox, first=first)
        finally:
            gateway.done()
            sandbox.stop()


def case_create_wait_and_get(world):
    for base in DIALECTS:
        for transport in ("own", "curl"):
            yield f"{base}-{transport}", lambda n=f"{base}-{transport}", b=base: whole_way(world, n, b)


def whole_way(world, name, base):
    body = {**CANONICAL[base], "name": f"whole-way-{name}"}
    body["description"] = f"by {name}"
    # the memory cloud takes the same content once
    body["resource_id"] = body["resource_id"][:-2] + ("a1" if name.endswith("own") else "b2")
    answer = world.gateway.create(name, body, headers={"Prefer": "wait=10"}, timeout=60)
    assert answer.status == 201, repr(answer)
    created = answer.json()
    assert created["status"] == "active" and created["loss"] == [], created
    read = world.gateway.get(name, created["id"])
    assert read.status == 200, repr(read)
    seen = read.json()
    for member in ("name", "description", "resource_type", "resource_id"):
        assert seen[member] == body[member], f"{member}: {seen}"
    assert seen["destination"]["group"] == body["destination"]["group"], seen
    again = problem(world.gateway.create(name, body), 409, "conflict")
    assert again["upstream"]["code"], again


def case_wrong_keys(world):
    for base in DIALECTS:
        for kind in ("wrong", "stranger"):
            def part(base=base, kind=kind):
                answer = world.gateway.create(f"{base}-{kind}", CANONICAL[base])
                told = problem(answer, (502, 503), "upstream_credentials_refused")
                assert told["upstream"]["code"], told
                assert told["retryable"] is False, told
            yield f"{base}-{kind}", part


def case_nothing_there(world):
    for base, key in (("net", "0b0e7c1a-0000-4000-8000-000000000000"), ("ali", "fl-none"),
                      ("router", "0b0e7c1a-0000-4000-8000-000000000000")):
        yield base, lambda b=base, k=key: problem(world.gateway.get(f"{b}-own", k), 404, "not_found")


def case_the_banner(world):
    """Every door with its clients; the default secret is shown here, and nowhere else."""
    said = world.sandbox.err.read_text().partition('{"event":"ready"')[0]
    for path in (ROOT / "mappings").glob("*.json"):
        if path.name == "schema.json":
            continue
        table = json.loads(path.read_text())
        assert f"  {table['dialect']} " in said and table["title"] in said, said
        for client in table.get("clients", []):
            assert client["name"] in said, f"{client['name']}: {said}"
    assert "sandbox-secret" in said and f"http://127.0.0.1:{world.first}" in said, said
    for name in ("{url}", "{address}", "{access_key}", "{secret_key}"):
        assert name not in said, said
    assert f"http://127.0.0.1:{world.first - 1}/sandbox/faults" in said, said


def case_secrets_are_not_told(world):
    banner, ready, rest = world.sandbox.err.read_bytes().partition(b'{"event":"ready"')
    assert ready and banner
    seen = (rest + world.sandbox.out.read_bytes() + world.gateway.output()
            + b"".join(world.gateway.heard))
    for text in ("sandbox-secret", "not-the-secret", KEYS["portal"]):
        assert text.encode() not in seen, f"{text} was told"

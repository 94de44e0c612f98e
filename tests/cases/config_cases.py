"""Configurations that are wrong: `check` and `serve` end with 1 and name every mistake by its
pointer; no message quotes a secret. And what a right one does: reload, draining."""
import contextlib
import copy
import json
import os
import pathlib
import signal
import tempfile
import threading
import time
import types

from bodies import CANONICAL, problem
from cloud import Cloud
from gateway import (CLOUD_KEYS, OTC_KEY, OTC_SECRET, ROOT, SECRETS, Gateway, caller, environment,
                     free_port, target)


@contextlib.contextmanager
def world(binary):
    cloud = Cloud(CLOUD_KEYS)
    with tempfile.TemporaryDirectory(prefix="sluice-config-") as folder:
        try:
            yield types.SimpleNamespace(binary=binary, cloud=cloud, folder=pathlib.Path(folder))
        finally:
            cloud.stop()


def good(world):
    return {
        "listen": [{"address": f"127.0.0.1:{free_port()}"}],
        "admin": {"address": f"127.0.0.1:{free_port()}"},
        "mappings": str(ROOT / "mappings"),
        "callers": [caller("portal")],
        "targets": {"net": target("otc-vpc", world.cloud.url),
                    "ali": target("alibaba-vpc", world.cloud.url)},
    }


def run(world, command, config, env=None):
    file = world.folder / "gateway.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    done = world.binary.run(command, "--config", str(file), env=env or environment())
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def change(config, pointer, value):
    """A copy with one place set, or taken out when the value is `...`."""
    config = copy.deepcopy(config)
    *steps, last = pointer.strip("/").split("/")
    place = config
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if isinstance(place, list):
        last = int(last)
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


WRONG = [
    # change, value, pointer that must be told, word that must be told
    ("/lisen", [], "/lisen", "listen"),
    ("/targets/net/endpont", "x", "/targets/net/endpont", "endpoint"),
    ("/targets/net/dialect", "otc-vps", "/targets/net/dialect", "otc-vpc"),
    ("/targets/net/endpoint", "vpc.example", "/targets/net/endpoint", ""),
    ("/targets/net/endpoint", "ftp://vpc.example", "/targets/net/endpoint", ""),
    ("/targets/net/endpoint", "http://192.0.2.1", "/targets/net/endpoint", "insecure"),
    ("/targets/net/endpoint", "https://user:S3cretUserInfo@vpc.example", "/targets/net/endpoint", ""),
    ("/targets/net/endpoint", "https://vpc.example?a=b", "/targets/net/endpoint", ""),
    ("/targets/net/parameters", {}, "/targets/net/parameters", "project_id"),
    ("/targets/net/parameters/project_id", "../x", "/targets/net/parameters/project_id", ""),
    ("/targets/net/parameters/er_id2", "x", "/targets/net/parameters/er_id2", ""),
    ("/targets/net/credentials/scheme", "acs3-hmac-sha256", "/targets/net/credentials/scheme", ""),
    ("/targets/net/credentials/scheme", "md5", "/targets/net/credentials/scheme", ""),
    ("/targets/net/credentials/secret_key", ..., "/targets/net/credentials", "secret_key"),
    ("/targets/net/credentials/secret_key", "S3cretUserInfo", "/targets/net/credentials/secret_key", ""),
    ("/targets/net/credentials/secret_key", {"env": "NOT_SET_AT_ALL"},
     "/targets/net/credentials/secret_key", "NOT_SET_AT_ALL"),
    ("/targets/net/credentials/secret_key", {"file": "/nonexistent/file"},
     "/targets/net/credentials/secret_key", "/nonexistent/file"),
    ("/targets/net/credentials/secret_key", {"env": "OTC_SK", "value": "S3cretUserInfo"},
     "/targets/net/credentials/secret_key", ""),
    ("/targets/net/timeout_ms", "1000", "/targets/net/timeout_ms", ""),
    ("/targets/net/timeout_ms", -1, "/targets/net/timeout_ms", ""),
    ("/targets/net/timeout_ms", 1e9, "/targets/net/timeout_ms", ""),
    ("/targets/net/transport", "udp", "/targets/net/transport", "curl"),
    ("/callers/0/key_sha256", "abc", "/callers/0/key_sha256", ""),
    ("/callers/0/access", ["red"], "/callers/0/access/0", "read"),
    ("/callers/0/targets", ["nowhere"], "/callers/0/targets/0", "nowhere"),
    ("/callers/0/name", ..., "/callers/0", "name"),
    ("/listen/0/address", "nonsense", "/listen/0/address", ""),
    ("/listen/0/address", "127.0.0.1:99999", "/listen/0/address", ""),
    ("/listen/0/tls", {"certificate": "/nonexistent/a.pem", "key": "/nonexistent/a.key"},
     "/listen/0/tls", ""),
    ("/mappings", "/nonexistent/folder", "/mappings", "/nonexistent/folder"),
    ("/listen", {}, "/listen", ""),
]


def case_wrong(world):
    for command in ("check", "serve"):
        for pointer, value, told, word in WRONG:
            yield f"{command} {pointer} = {value}", (
                lambda c=command, p=pointer, v=value, t=told, w=word: wrong(world, c, p, v, t, w))


def wrong(world, command, pointer, value, told, word):
    code, text = run(world, command, change(good(world), pointer, value))
    assert code == 1, f"exit code {code}: {text}"
    assert told in text, f"{told} is not told: {text}"
    assert word in text, f"{word} is not told: {text}"
    assert "S3cretUserInfo" not in text, "a secret is quoted"
    assert not [s for s in SECRETS if s in text], "a secret is quoted"


def case_every_mistake_at_once(world):
    config = good(world)
    for pointer in ("/lisen", "/targets/net/endpont", "/callers/0/nmae"):
        config = change(config, pointer, "x")
    code, text = run(world, "check", config)
    assert code == 1
    for pointer in ("/lisen", "/targets/net/endpont", "/callers/0/nmae"):
        assert pointer in text, text


def case_not_json(world):
    for label, text in (("empty", ""), ("half", '{"listen": ['), ("duplicate", '{"a": 1, "a": 2}'),
                        ("array", "[]"), ("binary", "\x7fELF")):
        def part(text=text):
            for command in ("check", "serve"):
                code, out = run(world, command, text)
                assert code == 1 and "gateway.json" in out, f"{code}: {out}"
        yield label, part


def case_no_file(world):
    for command in ("check", "serve"):
        done = world.binary.run(command, "--config", "/nonexistent/gateway.json")
        assert done.returncode == 1, done
        assert b"/nonexistent/gateway.json" in done.stdout + done.stderr


def case_right(world):
    code, text = run(world, "check", good(world))
    assert code == 0, text


def case_a_broken_table(world):
    folder = world.folder / "mappings"
    folder.mkdir(exist_ok=True)
    for file in (ROOT / "mappings").glob("*.json"):
        (folder / file.name).write_text(file.read_text())
    table = json.loads((folder / "otc-vpc.json").read_text())
    table["fields"][0]["c"] = "/nmae"
    (folder / "otc-vpc.json").write_text(json.dumps(table))
    code, text = run(world, "check", change(good(world), "/mappings", str(folder)))
    assert code == 1 and "/fields/0/c" in text and "otc-vpc" in text, f"{code}: {text}"


def case_port_in_use(world):
    config = good(world)
    config["listen"][0]["address"] = f"127.0.0.1:{world.cloud.port}"
    code, text = run(world, "serve", config)
    assert code == 1 and str(world.cloud.port) in text, f"{code}: {text}"


# ---------------------------------------------------------------------------------------- life

@contextlib.contextmanager
def running(world, env=None, **targets):
    gateway = Gateway(world.binary, {"net": target("otc-vpc", world.cloud.url, **targets)}, env=env)
    try:
        yield gateway
    finally:
        gateway.done()


def hang_up(gateway, config):
    pathlib.Path(gateway.file).write_text(
        config if isinstance(config, str) else json.dumps(config))
    gateway.process.send_signal(signal.SIGHUP)
    time.sleep(0.5 * gateway.binary.slow)


def case_reload(world):
    with running(world) as gateway:
        config = copy.deepcopy(gateway.config)
        config["targets"]["second"] = config["targets"]["net"]
        problem(gateway.create("second", CANONICAL["net"]), 404)
        hang_up(gateway, config)
        # secrets of the environment are still there after a reload
        assert gateway.create("second", CANONICAL["net"]).status == 201
        assert world.cloud.bad_signatures == []


def case_a_broken_reload_changes_nothing(world):
    with running(world) as gateway:
        for text in ("{", json.dumps({**gateway.config, "targets": {"net": {}}})):
            hang_up(gateway, text)
            assert gateway.create("net", CANONICAL["net"]).status == 201
        assert b"/targets/net" in gateway.output(), "nobody said why"


def case_reload_under_load(world):
    with running(world) as gateway:
        seen, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                seen.append(gateway.create("net", CANONICAL["net"]).status)
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            hang_up(gateway, gateway.config)
        stop.set()
        for thread in threads:
            thread.join()
        assert seen and set(seen) == {201}, {s: seen.count(s) for s in set(seen)}


def case_draining(world):
    """SIGTERM: what is under way is answered, then the process ends with 0."""
    with running(world, timeout_ms=10000, total_timeout_ms=15000) as gateway:
        world.cloud.clear()
        world.cloud.delay = 1.0
        seen = []
        thread = threading.Thread(target=lambda: seen.append(
            gateway.create("net", CANONICAL["net"], timeout=30).status))
        thread.start()
        time.sleep(0.4)
        gateway.process.send_signal(signal.SIGTERM)
        thread.join()
        world.cloud.clear()
        assert seen == [201], seen
        assert gateway.process.wait(15 * gateway.binary.slow) == 0


def case_secrets_leave_the_environment(world):
    if not world.binary.plain:
        return
    with running(world) as gateway:
        seen = pathlib.Path(f"/proc/{gateway.process.pid}/environ").read_bytes()
        assert OTC_SECRET.encode() not in seen, "the secret is still in the environment"
        limits = pathlib.Path(f"/proc/{gateway.process.pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core"))
        assert core.split()[4] == "0", core


def case_secrets_from_files(world):
    (world.folder / "ak").write_text(OTC_KEY + "\n")
    (world.folder / "sk").write_text(OTC_SECRET + "\n")
    credentials = {"scheme": "sdk-hmac-sha256", "access_key": {"file": str(world.folder / "ak")},
                   "secret_key": {"file": str(world.folder / "sk")}}
    world.cloud.clear()
    with running(world, env={"PATH": os.environ["PATH"]}, credentials=credentials) as gateway:
        assert gateway.create("net", CANONICAL["net"]).status == 201
        assert world.cloud.bad_signatures == []
        assert gateway.secrets_seen() == []

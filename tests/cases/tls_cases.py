"""TLS on both sides: only 1.2 and 1.3, certificates checked, client certificates where asked for."""
import contextlib
import json
import socket
import ssl
import tempfile
import types

from bodies import CANONICAL, problem
from certificates import Certificates
from cloud import Cloud
from gateway import CLOUD_KEYS, KEYS, Gateway, target

GET = (b"GET /v1/targets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
       b"Authorization: Bearer " + KEYS["portal"].encode() + b"\r\n\r\n")


def server_context(certificates, name, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.pair(name))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


@contextlib.contextmanager
def world(binary):
    with tempfile.TemporaryDirectory(prefix="sluice-certs-") as folder:
        certificates = Certificates(folder)
        ca = certificates.path("ca.pem")
        clouds = {name: Cloud(CLOUD_KEYS, tls=server_context(certificates, name))
                  for name in ("server", "elsewhere", "expired", "stranger")}
        clouds["mutual"] = Cloud(CLOUD_KEYS, tls=server_context(certificates, "server", ca))
        old = server_context(certificates, "server")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        clouds["old"] = Cloud(CLOUD_KEYS, tls=old)
        targets = {}
        for transport in ("own", "curl"):
            for name, cloud in clouds.items():
                targets[f"{name}-{transport}"] = target("otc-vpc", cloud.url, ca=ca,
                                                        transport=transport)
            certificate, key = certificates.pair("client")
            targets[f"mutual-{transport}"]["client_certificate"] = {
                "certificate": certificate, "key": key}
        certificate, key = certificates.pair("server")
        gateway = Gateway(binary, targets, tls={"certificate": certificate, "key": key})
        mutual = None
        try:
            mutual = Gateway(binary, targets, tls={"certificate": certificate, "key": key,
                                                   "client_ca": ca})
            yield types.SimpleNamespace(gateway=gateway, mutual=mutual, clouds=clouds, ca=ca,
                                        certificates=certificates)
        finally:
            gateway.done()
            if mutual:
                mutual.done()
            for cloud in clouds.values():
                cloud.stop()


def talk(sock):
    with sock:
        sock.sendall(GET)
        came = b""
        while True:
            try:
                piece = sock.recv(65536)
            except (ssl.SSLError, OSError):
                break
            if not piece:
                break
            came += piece
    return came


def case_versions(world):
    for version in ("TLSv1_2", "TLSv1_3"):
        def part(version=version):
            wanted = getattr(ssl.TLSVersion, version)
            sock = world.gateway.tls(world.ca, minimum_version=wanted, maximum_version=wanted)
            assert sock.version() == version.replace("_", ".")
            came = talk(sock)
            assert came.startswith(b"HTTP/1.1 200"), came
            assert "targets" in json.loads(came.partition(b"\r\n\r\n")[2])
        yield version, part


def case_old_versions_are_refused(world):
    for version in ("TLSv1", "TLSv1_1"):
        def part(version=version):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = getattr(ssl.TLSVersion, version)
            with socket.create_connection(("127.0.0.1", world.gateway.tls_port), timeout=5) as raw:
                try:
                    with context.wrap_socket(raw, server_hostname="localhost") as sock:
                        raise AssertionError(f"{sock.version()} was accepted")
                except (ssl.SSLError, ConnectionError):
                    pass
        yield version, part


def case_plain_http_on_the_tls_port(world):
    came, closed = world.gateway.raw(GET, port=world.gateway.tls_port)
    assert closed and b"200" not in came[:20], came


def case_junk_on_the_tls_port(world):
    for junk in (b"\0" * 2000, b"\x16\x03\x01" + b"\xff" * 500, b""):
        world.gateway.raw(junk, port=world.gateway.tls_port, finish=True)
    assert talk(world.gateway.tls(world.ca)).startswith(b"HTTP/1.1 200")


def case_sessions_are_resumed(world):
    context = ssl.create_default_context(cafile=world.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect(session=None):
        raw = socket.create_connection(("127.0.0.1", world.gateway.tls_port), timeout=5)
        return context.wrap_socket(raw, server_hostname="localhost", session=session)
    first = connect()
    talk_session = first.session
    talk(first)
    again = connect(talk_session)
    reused = again.session_reused
    assert talk(again).startswith(b"HTTP/1.1 200")
    assert reused, "the session was not resumed"


def case_client_certificates(world):

    def connect(pair):
        context = ssl.create_default_context(cafile=world.ca)
        if pair:
            context.load_cert_chain(*world.certificates.pair(pair))
        raw = socket.create_connection(("127.0.0.1", world.mutual.tls_port), timeout=5)
        return talk(context.wrap_socket(raw, server_hostname="localhost"))

    def none():
        try:
            assert not connect(None).startswith(b"HTTP/1.1 200"), "served without a certificate"
        except (ssl.SSLError, OSError):
            pass

    def stranger():
        try:
            assert not connect("stranger").startswith(b"HTTP/1.1 200"), "served a stranger"
        except (ssl.SSLError, OSError):
            pass

    yield "right", lambda: check(connect("client"))
    yield "none", none
    yield "of another CA", stranger


def check(came):
    assert came.startswith(b"HTTP/1.1 200"), came


def case_clouds_certificate(world):
    for transport in ("own", "curl"):
        def good(transport=transport):
            answer = world.gateway.create(f"server-{transport}", CANONICAL["net"])
            assert answer.status == 201, repr(answer)
            assert world.clouds["server"].bad_signatures == []
        yield f"right, {transport}", good
        for name in ("elsewhere", "expired", "stranger", "old"):
            def bad(name=name, transport=transport):
                answer = world.gateway.create(f"{name}-{transport}", CANONICAL["net"])
                told = problem(answer, 503, "upstream_unreachable")
                assert world.clouds[name].requests == [], "sent in spite of the certificate"
                assert told["retryable"] is True, told
                assert answer.took < 3.0 + 1.0 * world.gateway.binary.slow, f"{answer.took:.2f} s"
                good(transport)
            yield f"{name}, {transport}", bad


def case_our_certificate_for_the_cloud(world):
    for transport in ("own", "curl"):
        def part(transport=transport):
            answer = world.gateway.create(f"mutual-{transport}", CANONICAL["net"])
            assert answer.status == 201, repr(answer)
        yield transport, part


def case_connections_are_kept(world):
    cloud = world.clouds["server"]
    before = cloud.connections
    for _ in range(10):
        assert world.gateway.create("server-own", CANONICAL["net"]).status == 201
    assert cloud.connections - before <= 4

"""Names of clouds that cannot be resolved, are not answered, have several addresses, or move. The
name server is the test's own. Over both transports."""
import contextlib
import tempfile
import threading
import time
import types

from bodies import CANONICAL, problem
from certificates import Certificates
from cloud import Cloud
from gateway import CLOUD_KEYS, ONCE, Gateway, free_port, target
from tls_cases import server_context
from weather import Names, Weather

MEMCHECK = False
TRANSPORTS = ("own", "curl")
DEADLINE = 3.0  # total_timeout_ms of gateway.target()
NEW, DEAD = "127.0.0.3", "127.0.0.4"
OLD = {"own": "127.0.0.5", "curl": "127.0.0.6"}
SILENT = 40  # names of which nothing is said
UNTOLD = {"nowhere": (Names.NXDOMAIN, "name not found"),
          "broken": (Names.SERVFAIL, "could not contact dns servers"),
          "refused": (Names.REFUSED, "refused"), "empty": ([], "no data")}
LOGS = "/v1/targets/%s/flow-logs"


@contextlib.contextmanager
def world(binary):
    names, port = Names(), free_port()
    cloud = Cloud(CLOUD_KEYS, address=NEW, port=port)
    with tempfile.TemporaryDirectory(prefix="sluice-names-") as folder:
        certificates = Certificates(folder)
        other = Cloud(tls=server_context(certificates, "server"), address=NEW)
        weather = Weather(names)
        gateway = Gateway(binary, {
            **targets(names, port), **strangers(names, other, certificates.path("ca.pem"))},
            env=weather.env, workers=1)
        try:
            yield types.SimpleNamespace(gateway=gateway, binary=binary, names=names, cloud=cloud,
                                        other=other, port=port)
        finally:
            gateway.done()
            cloud.stop()
            other.stop()
            names.stop()
            weather.done()


def targets(names, port):
    """One a name and transport; no two share a name, so that none finds it known."""
    made = {}
    answers = {"well": [NEW], "two-first": [DEAD, NEW], "two-last": [NEW, DEAD], "two": [DEAD, NEW],
               "comes": Names.NXDOMAIN, "moves": None, "wanders": None,
               **{name: answer for name, (answer, _) in UNTOLD.items()},
               **{f"silent{number}": None for number in range(SILENT)}}
    for transport in TRANSPORTS:
        for name, answer in answers.items():
            host = f"{name}-{transport}.test"
            names.names[host] = answer
            made[f"{name}-{transport}"] = target("otc-vpc", f"http://{host}:{port}", insecure=True,
                                                 transport=transport, **ONCE)
    return made


def strangers(names, other, ca):
    names.names.update({"other.test": [NEW], "far.test": ["169.254.169.254"]})
    return {f"{name}-{transport}": target("otc-vpc", other.url_of(f"{name}.test"), ca=ca,
                                          transport=transport, **ONCE)
            for transport in TRANSPORTS for name in ("other", "far")}


def each(function, *arguments):
    for transport in TRANSPORTS:
        for argument in arguments or ("",):
            def part(arguments=(transport, argument)[:1 + bool(argument)]):
                function(*arguments)
            yield ", ".join(filter(None, (argument, transport))), part


def create(world, name):
    return world.gateway.create(name, CANONICAL["net"])


def well(world, name):
    answer = create(world, name)
    assert answer.status == 201, repr(answer)
    return answer


def unreachable(world, answer):
    told = problem(answer, (503, 504), ("upstream_unreachable", "upstream_timeout"))
    assert told["retryable"] is True, told
    assert answer.took < DEADLINE + 1.0 * world.binary.slow, f"{answer.took:.2f} s"
    return told


def becomes_well(world, name, seconds):
    end = time.monotonic() + seconds
    while create(world, name).status != 201:
        assert time.monotonic() < end, f"{name} does not become well"
        time.sleep(0.1)


def case_no_address(world):
    def part(transport, name):
        told = unreachable(world, create(world, f"{name}-{transport}"))
        assert told["status"] == 503 and f"{name}-{transport}.test" in told["detail"], told
        assert UNTOLD[name][1] in told["detail"].lower(), told
        well(world, f"well-{transport}")
    yield from each(part, *UNTOLD)


def case_a_name_that_comes(world):
    """What did not resolve is asked for again after a moment."""
    def part(transport):
        unreachable(world, create(world, f"comes-{transport}"))
        world.names.names[f"comes-{transport}.test"] = [NEW]
        becomes_well(world, f"comes-{transport}", 5)
    yield from each(part)


def case_a_silent_name_server(world):
    """In time; and nobody else waits, whether its name is known or has to be asked for."""
    def part(transport):
        answers, most = [], 0.7 * world.binary.slow
        threads = [threading.Thread(target=lambda n=number: answers.append(create(
            world, f"silent{n}-{transport}"))) for number in range(SILENT)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert well(world, f"two-{transport}").took < most, "one that is asked for"
        rounds = 0
        while any(thread.is_alive() for thread in threads):
            answer = world.gateway.call("GET", LOGS % f"well-{transport}")
            assert answer.status == 200 and answer.took < most, f"{answer.took:.2f} s: {answer!r}"
            rounds += 1
            time.sleep(0.05)
        assert rounds >= 3 and len(answers) == SILENT, (rounds, answers)
        for answer in answers:
            unreachable(world, answer)
    yield from each(part)


def case_several_addresses(world):
    """One of them refuses: the other one is taken."""
    def part(transport, name):
        well(world, f"{name}-{transport}")
    yield from each(part, "two-first", "two-last")


def case_a_name_that_moves(world):
    """The old address refuses all at once: the connections to it that were kept are gone, and the
    name is asked for again long before its time."""
    def part(transport):
        name, host, last = f"moves-{transport}", f"moves-{transport}.test", len(world.cloud.requests)
        old = Cloud(CLOUD_KEYS, address=OLD[transport], port=world.port)
        world.names.names[host], world.names.ttl[host] = [OLD[transport]], 300
        well(world, name)
        well(world, name)
        assert (len(old.requests), old.connections, len(world.cloud.requests)) == (2, 1, last)
        world.names.names[host] = [NEW]
        time.sleep(2.0)
        old.stop()
        becomes_well(world, name, 3)
        assert len(world.cloud.requests) == last + 1, world.cloud.requests
        well(world, name)
    yield from each(part)


def case_a_name_that_wanders(world):
    """The old address goes on to answer: after its time the new one is asked."""
    old = {transport: Cloud(CLOUD_KEYS, address=OLD[transport], port=world.port)
           for transport in TRANSPORTS}
    for transport, cloud in old.items():
        cloud.close_after_reply = True
        host = f"wanders-{transport}.test"
        world.names.names[host], world.names.ttl[host] = [OLD[transport]], 1
        well(world, f"wanders-{transport}")
        world.names.names[host] = [NEW]
    for transport, cloud in old.items():
        end, last = time.monotonic() + 7, len(world.cloud.requests)
        while len(world.cloud.requests) == last:
            assert time.monotonic() < end, "it stays where it was"
            well(world, f"wanders-{transport}")
            time.sleep(0.1)
        cloud.stop()


def case_a_name_of_somebody_else(world):
    """An address of ours, or of the link: without the name's certificate nothing is said to it."""
    def part(transport, name):
        unreachable(world, create(world, f"{name}-{transport}"))
        assert not world.other.requests, world.other.requests
        well(world, f"well-{transport}")
    yield from each(part, "other", "far")

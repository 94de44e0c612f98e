"""A gateway with a store, its cloud, and weather of its own; and what several of them do at once."""
import threading
import time

from cloud import Cloud
from gateway import CLOUD_KEYS, Gateway, target
from weather import Weather

LOGS = "/v1/targets/%s/flow-logs"


class Place:
    """A gateway with a store, its cloud, and the weather there."""

    def __init__(self, world, store=None, stalled=False, clock=0, password=False, cloud=None,
                 **more):
        self.binary, self.weather, self.shared = world.binary, Weather(), cloud
        self.cloud = cloud or Cloud(None if password else CLOUD_KEYS)
        if password:
            more["credentials"] = {"scheme": "keystone-password", "endpoint": self.cloud.url,
                                   "user": "u", "domain": "d", "project": "p",
                                   "password": {"value": "token-password-2"}}
        self.weather.set_clock(clock)
        if stalled:
            self.weather.stall()
        targets = {"net": target("otc-vpc", self.cloud.url, **{"timeout_ms": 9000,
                                                               "total_timeout_ms": 20000, **more}),
                   "memory": {"dialect": "memory", "settle_ms": 0}}
        self.gateway = Gateway(world.binary, targets, env=self.weather.env,
                               store=store or self.weather.store)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.weather.stall_file.unlink(missing_ok=True)
        try:
            seen = self.gateway.secrets_seen()
            self.gateway.done()
            assert not seen, f"secrets in the output: {seen}"
        finally:
            if not self.shared:
                self.cloud.stop()
            self.weather.done()

    def create(self, body, key=None, name="net", **more):
        headers = {"Idempotency-Key": f'"{key}"'} if key else {}
        return self.gateway.create(name, body, headers=headers, **more)

    def until_ready(self):
        comes_true(lambda: self.gateway.admin("/readyz").status == 200, "ready", 30)

    def there(self, body):
        """How many of this the cloud has."""
        return len([log for log in self.cloud.systems.networks.values()
                    if log["resource_id"] == body["resource_id"]])

    def sent(self, body):
        return len([request for request in self.cloud.writes()
                    if request.json()["flow_log"]["resource_id"] == body["resource_id"]])

    def goes_on(self):
        """What needs no store is answered as ever."""
        for ask in (lambda: self.gateway.call("GET", LOGS % "net"),
                    lambda: self.gateway.call("GET", LOGS % "memory"),
                    lambda: self.gateway.admin("/healthz"), lambda: self.gateway.admin("/metrics")):
            answer = ask()
            assert answer.status == 200 and answer.took < 1.0 * self.binary.slow, repr(answer)

    def told(self):
        """How often its log says that the store failed, and that it is back."""
        text = self.gateway.err.read_text()
        return text.count("the store cannot be written"), text.count("can be written again")


class Later:
    """A request on a thread of its own."""

    def __init__(self, ask):
        self.answer, self.trouble = None, None
        self.thread = threading.Thread(target=self._run, args=(ask,))
        self.thread.start()

    def _run(self, ask):
        try:
            self.answer = ask()
        except Exception as trouble:  # told where the answer is wanted
            self.trouble = trouble

    def is_over(self):
        return not self.thread.is_alive()

    def get(self):
        self.thread.join()
        if self.trouble:
            raise self.trouble
        return self.answer


def together(parts):
    """They take their time, most of it waiting, so they take it together."""
    running = {label: Later(part) for label, part in parts.items()}
    for label, part in running.items():
        yield label, part.get


def comes_true(question, what, seconds=10):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)

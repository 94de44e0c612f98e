"""Clouds that fail one call in a hundred, each in its own way: a server that spoils what passes to
the doors of a process that plays the clouds."""
import collections
import random
import time

from cloud import Cloud
from relay import Relay

SLOW_S = 1.0  # longer than anything a cloud does, shorter than the targets' timeout


class Rough(Cloud):
    def __init__(self, port, seed, tls=None):
        super().__init__(tls=tls)
        self.systems, self.dice, self.share = Relay(port), random.Random(seed), 0.01
        self.spoilt, self.calls = collections.Counter(), 0

    def _turn(self, link):
        request = link.read_request()
        with self._lock:
            self.calls += 1
            step = self.dice.choice(STEPS) if self.dice.random() < self.share else passes
            self.spoilt[step.__name__] += step is not passes
        return step(self, link, request)

    def stop(self):
        super().stop()
        self.systems.close()


def passes(cloud, link, request):
    status, headers, body = cloud.systems.answer(request)
    if status == 204:
        link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        link.reply(status, body, headers)
    return True


# ------------------------------------------------------------------- nothing of it was done

def reset(cloud, link, request):
    link.reset()


def says_500(cloud, link, request):
    link.reply(500, b"<html>no</html>", [("Content-Type", "text/html")])
    return True


def says_503_with_retry_after(cloud, link, request):
    link.reply(503, b"<html>later</html>", [("Content-Type", "text/html"), ("Retry-After", "1")])
    return True


# --------------------------------------------------------------------------------- it was done

def done_and_reset(cloud, link, request):
    cloud.systems.answer(request)
    link.reset()


def done_and_500(cloud, link, request):
    cloud.systems.answer(request)
    return says_500(cloud, link, request)


def done_and_never_told(cloud, link, request):
    cloud.systems.answer(request)
    link.hold()


def done_and_slow(cloud, link, request):
    status, headers, body = cloud.systems.answer(request)
    time.sleep(SLOW_S)
    if status == 204:
        link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        link.reply(status, body, headers)
    return True


def done_and_truncated(cloud, link, request):
    """What comes is whole for HTTP, and no document."""
    status, headers, body = cloud.systems.answer(request)
    link.reply(200 if status == 204 else status, body[:len(body) // 2] or b"{", headers)
    return True


def done_and_half_told(cloud, link, request):
    status, headers, body = cloud.systems.answer(request)
    length = [("Content-Length", str(len(body) + 1))]
    link.reply(200 if status == 204 else status, body[:len(body) // 2], headers + length)
    link.close()


def done_and_closed(cloud, link, request):
    """The reply is good; that the connection is not kept is not said."""
    passes(cloud, link, request)
    return False


STEPS = (reset, says_500, says_503_with_retry_after, done_and_reset, done_and_500,
         done_and_never_told, done_and_slow, done_and_truncated, done_and_half_told,
         done_and_closed)

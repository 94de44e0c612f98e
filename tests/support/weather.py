"""Bad weather around the real binary: a disk that hangs, a clock that is wrong, a name server of the
test's own. All three by a small library that is preloaded (preload/weather.c)."""
import atexit
import functools
import os
import pathlib
import shlex
import socket
import struct
import subprocess
import tempfile
import threading

from gateway import environment

SOURCE = pathlib.Path(__file__).resolve().parent / "preload" / "weather.c"


@functools.cache
def library():
    folder = tempfile.TemporaryDirectory(prefix="sluice-preload-")
    atexit.register(folder.cleanup)
    path = pathlib.Path(folder.name) / "weather.so"
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-std=gnu17", "-D_GNU_SOURCE", "-O1",
                    "-fPIC", "-shared", "-o", path, SOURCE], check=True)
    return str(path)


class Weather:
    """One gateway's weather: `disk` is a folder for its store, `env` what it is started with."""

    def __init__(self, names=None):
        self.home = tempfile.TemporaryDirectory(prefix="sluice-weather-")
        here = pathlib.Path(self.home.name)
        self.disk, self.stall_file, self.clock = here / "disk", here / "stall", here / "clock"
        self.disk.mkdir()
        self.env = {**environment(), "LD_PRELOAD": library(), "WEATHER_DISK": str(self.disk),
                    "WEATHER_STALL": str(self.stall_file), "WEATHER_CLOCK": str(self.clock)}
        self.env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        if names:
            self.env["WEATHER_DNS"] = str(names.port)

    @property
    def store(self):
        return {"sqlite": str(self.disk / "journal.db")}

    def stall(self):
        self.stall_file.touch()

    def move(self):
        self.stall_file.unlink()

    def set_clock(self, ahead_s):
        next_file = self.clock.with_suffix(".next")
        next_file.write_text(str(ahead_s))
        next_file.rename(self.clock)

    def done(self):
        self.home.cleanup()


class Names:
    """A name server: `names[name]` is a list of addresses, an error's number (RFC 1035 4.1.1), or
    None for one of which nothing is ever said."""

    NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5

    def __init__(self):
        self.names, self.ttl, self.asked = {}, {}, []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def times(self, name):
        """How often its IPv4 addresses were asked for."""
        return self.asked.count(name)

    def stop(self):
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            question, peer = self._socket.recvfrom(4096)
            if not question:
                return
            answer = self._answer(question)
            if answer:
                self._socket.sendto(answer, peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        if kind == 1:
            self.asked.append(name)
        found = self.names.get(name, self.NXDOMAIN)
        if found is None:
            return None
        records, code = ([], found) if isinstance(found, int) else (found if kind == 1 else [], 0)
        ttl = self.ttl.get(name, 60)
        return (question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
                + question[12:at + 5]
                + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, ttl, 4)
                           + socket.inet_aton(address) for address in records))

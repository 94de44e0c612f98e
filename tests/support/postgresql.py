"""A PostgreSQL server of the test's own: a temporary cluster under an unprivileged user, a socket in
its directory, no TCP. The package postgresql brings the programs."""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time


def _user():
    """Who runs the server: it refuses to be root's."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


class Postgresql:
    def __init__(self, password):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        assert found, "initdb is not there (package postgresql)"
        self.tools = os.path.dirname(found[-1])
        self.folder = tempfile.mkdtemp(prefix="sluice-pg-")
        os.chmod(self.folder, 0o755)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        secret = os.path.join(self.folder, "password")
        with open(secret, "w", encoding="ascii") as file:
            file.write(password)
        os.chmod(secret, 0o644)
        self.data = os.path.join(self.folder, "data")
        self.process, self.password = None, password
        self._tool("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256",
                   f"--pwfile={secret}", "--no-locale", "-E", "UTF8", "--no-sync")
        self.start()

    def _tool(self, name, *arguments):
        subprocess.run([os.path.join(self.tools, name), *arguments], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL, **_user())

    def string(self, password=None, database="postgres"):
        """What `store.postgresql` is."""
        return (f"host={self.folder} user=postgres dbname={database} connect_timeout=2 "
                f"password={password or self.password}")

    def ask(self, sql, database="postgres"):
        return subprocess.run([os.path.join(self.tools, "psql"), "-XAtq", "-h", self.folder, "-U",
                               "postgres", "-d", database, "-c", sql], capture_output=True,
                              check=False, env={**os.environ, "PGPASSWORD": self.password},
                              text=True)

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.tools, "postgres"), "-D", self.data, "-k", self.folder, "-c",
                 "listen_addresses="], stdout=log, stderr=log, cwd=self.folder, **_user())
        end = time.monotonic() + 60
        while self.ask("SELECT 1").stdout.strip() != "1":
            assert self.process.poll() is None and time.monotonic() < end, "no PostgreSQL"
            time.sleep(0.1)

    def stop(self, how=signal.SIGQUIT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def _signal_all(self, what):
        for pid in (self.process.pid, *self._children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def _children(self):
        task = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(task, encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def freeze(self):
        """It keeps its connections and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self):
        self._signal_all(signal.SIGCONT)

    def done(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

"""What a process holds while it lives: resident memory, descriptors, threads, the journal's file;
and whether these are flat."""
import pathlib
import re
import statistics
import time

MIB = 1 << 20


def read_metrics(text):
    """Each metric's sum over its labels, and each line as it is."""
    sums = {}
    for name, labels, value in re.findall(r"^(\w+)(\{[^}]*\})? ([0-9.e+-]+)$", text, re.M):
        sums[name] = sums.get(name, 0) + float(value)
        if labels:
            sums[name + labels] = float(value)
    return sums


class Figures:
    """One process, looked at now and then."""

    def __init__(self, process, journal=None):
        self.process, self.rows, self.began = process, [], time.monotonic()
        self.files = [pathlib.Path(journal + end) for end in ("", "-wal")] if journal else []

    def look(self):
        pid = self.process.process.pid
        self.rows.append({
            "at": time.monotonic() - self.began, "memory": self.process.memory_kb() * 1024,
            "anonymous": self.process.memory_kb("RssAnon") * 1024, "descriptors": descriptors(pid),
            "threads": len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())),
            "journal": sum(file.stat().st_size for file in self.files if file.exists())})
        return self.rows[-1]

    def thirds(self, what):
        """The medians of the second and of the last third; the first is for warming up."""
        values, third = [row[what] for row in self.rows], len(self.rows) // 3
        return (statistics.median(values[third:2 * third]), statistics.median(values[2 * third:]))

    def trend(self, what):
        """What a minute adds, by the least squares of the last two thirds."""
        rows = self.rows[len(self.rows) // 3:]
        at, values = [row["at"] for row in rows], [row[what] for row in rows]
        return statistics.linear_regression(at, values).slope * 60

    def grown(self, what, share, least):
        """What is wrong when the last third is above the second by this share, and by `least`."""
        before, after = self.thirds(what)
        if after - before <= max(share * before, least):
            return None
        return f"{what} grew from {before:.0f} to {after:.0f}, {self.trend(what):+.1f} a minute"

    def told(self, what, unit=1):
        before, after = self.thirds(what)
        return f"{before / unit:.2f} -> {after / unit:.2f} ({self.trend(what) / unit:+.3f} a minute)"


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))

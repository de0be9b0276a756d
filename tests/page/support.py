"""The observer and the programs it observes, as processes."""

import json
import os
import socket
import subprocess
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path

INTERVAL = 0.5
RELEASES = tomllib.loads((Path(__file__).parents[2] / "observer/go/versions.toml").read_text())
VERSIONS = [release["version"] for release in RELEASES["release"]]
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]


def go1(minor):
    """The patch of a minor release that the tests build with."""
    return next(version for version in VERSIONS if version.startswith(f"1.{minor}."))


GO = go1(RELEASES["default"].removeprefix("1."))


def observer_binary():
    return os.environ["OBSERVER_BIN"]


def fixture(name, version=GO, variant="default"):
    path = Path(os.environ["OBSERVER_FIXTURES"], f"{name}-{version}-{variant}")
    assert path.is_file(), f"{path} is not there; run cargo xtask test"
    return path


def until(what, find, seconds=30.0):
    """Waits for something that is not false."""
    end = time.monotonic() + seconds
    while True:
        found = find()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def free_port():
    """One below those that the kernel gives to whoever asks for any: nobody is given it before the observer has it."""
    for port in range(20_000 + os.getpid() % 5_000, 30_000):
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


class Observer:
    """`observer node` at work."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}/"
        self.log = tempfile.TemporaryFile()
        self.process = None
        self.start()

    def start(self):
        command = [observer_binary(), "node", "--table", "off", "--listen", self.address]
        command.append(f"--interval={int(INTERVAL * 1000)}ms")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until("the observer is ready", self.ready, 30)

    def ready(self):
        assert self.process.poll() is None, f"the observer ended:\n{self.said()}"
        try:
            return self.get("readyz")
        except OSError:
            return None

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def rows(self):
        return json.loads(self.get("api/v1/containers"))["rows"]

    def row(self, pid):
        found = [row for row in self.rows() if row["processes"][0]["pid"] == pid]
        return found[0] if found else None

    def megabytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Workload:
    """The workload fixture: it does what it is told, and tells what it knows of itself."""

    def __init__(self, version=GO, path=None, arguments=()):
        self.path = path or fixture("workload", version)
        self.process = subprocess.Popen(
            [self.path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = json.loads(self.process.stdout.readline())["pid"]
        self.name = Path(self.path).name

    def run(self, command):
        self.process.stdin.write(f"{command}\n")
        answer = json.loads(self.process.stdout.readline())
        assert not answer.get("error"), answer
        return answer

    def report(self):
        return self.run("report")["report"]

    def stop(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()

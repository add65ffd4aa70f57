#!/usr/bin/env python3
"""Measures whole uploads with Cloakroom and with typical alternatives in the same run, and prints tables of figures.

    stack/bin/python bench/whole.py CORPUS/avatar CORPUS/medium … [--cloakroom target/release/cloakroom]
                                    [--uploads 300] [--clients 8] [--rounds 5]

The engines' addresses come from CLOAKROOM_TEST_AMQP and CLOAKROOM_TEST_POSTGRES, as for the tests. Each stack is an api and
two workers, with bytes in folders. In every round the stacks take turns, in another order each time. In its turn a stack is
started on a new database and warmed up. Then clients upload the folder's pictures one after the other and wait for a 202
only. The turn ends when every upload is ready. Figures are medians over the rounds. CPU time is that of user and system
from /proc, without the clients' own.
"""

import argparse
import http.client
import itertools
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

HERE = Path(__file__).resolve().parent
AMQP, POSTGRES = os.environ["CLOAKROOM_TEST_AMQP"], os.environ["CLOAKROOM_TEST_POSTGRES"]
TICK = 1000 / os.sysconf("SC_CLK_TCK")
# The number of users that upload. There are several, because every upload counts the unclaimed pictures of its user.
PEOPLE = 20
WARM = 40
PATIENCE = 600
COLUMNS = ["api", "workers", "broker", "database", "together", "pictures/s", "api MiB", "worker MiB"]


class Stack:
    """How a stack is started and reached: environment, commands, path, headers."""

    def __init__(self, args, folder, postgres, port):
        self.folder, self.postgres, self.port = folder, postgres, port
        self.cloakroom = str(Path(args.cloakroom).resolve())
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOAKROOM_")}
        self.path, self.headers = "/pictures", [{}]


class Cloakroom(Stack):
    name = "cloakroom"

    def commands(self):
        settings = {
            "DATA_DIR": self.folder,
            "HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "QUEUE__URL": AMQP,
            "QUEUE__PREFIX": "whole",
            "RECORDS__URL": self.postgres,
            "STAGING__URL": f"file://{self.folder}/staging",
            "BLOBS__URL": f"file://{self.folder}/blobs",
            "UPLOADS__MAX_BYTES": "16 MiB",
            "UPLOADS__MAX_UNCLAIMED": "1000000",
            "UPLOADS__MAX_UNCLAIMED_BYTES": "1 TiB",
            "UPLOADS__MAX_REQUESTS_PER_MINUTE": "10000000",
        }
        self.environment |= {f"CLOAKROOM__{name}": str(value) for name, value in settings.items()}
        self.run("migrate", "up")
        for n in range(PEOPLE):
            self.run("user", "add", f"person{n}", f"person{n}@example.org")
        tokens = [self.run("token", "issue", f"person{n}", "--lifetime", "1h") for n in range(PEOPLE)]
        self.path = "/api/dropbox/pictures"
        self.headers = [{"authorization": f"Bearer {token}", "prefer": "respond-async"} for token in tokens]
        # The allocator as docker-compose.yml has it.
        api = ["env", "MIMALLOC_PURGE_DELAY=0", self.cloakroom, "api"]
        return api, [["env", "MIMALLOC_PURGE_DELAY=200", self.cloakroom, "worker"]] * 2

    def run(self, *arguments):
        command = [self.cloakroom, *arguments]
        quietly = self.environment | {"CLOAKROOM__LOG__LEVEL": "error"}
        return subprocess.run(command, env=quietly, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Peer(Stack):
    def commands(self):
        self.environment |= {
            "STACK_AMQP": AMQP, "STACK_POSTGRES": self.postgres, "STACK_FOLDER": self.folder, "STACK_PORT": str(self.port)
        }
        for place in ("staging", "blobs"):
            Path(self.folder, place).mkdir()
        with psycopg.connect(self.postgres, autocommit=True) as records:
            records.execute("CREATE TABLE uploads (id uuid PRIMARY KEY, state text NOT NULL)")
        return self.processes()


class Celery(Peer):
    name = "FastAPI, Celery, Pillow-SIMD"

    def processes(self):
        api = "-m uvicorn celery_api:app --loop uvloop --http httptools --no-access-log --log-level warning --port"
        # Two worker processes, and a parent process that feeds them.
        worker = "-m celery -A celery_worker worker --pool prefork --concurrency 2 --loglevel warning"
        quiet = "--without-gossip --without-mingle --without-heartbeat"
        return [sys.executable, *api.split(), str(self.port)], [[sys.executable, *worker.split(), *quiet.split()]]


class Express(Peer):
    name = "express, amqplib, sharp"

    def processes(self):
        return ["node", "express_api.mjs"], [["node", "express_worker.mjs"]] * 2


def stat(pid):
    """The fields of /proc/PID/stat after the name. The first of them is the state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return []


def pids():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def family(pid):
    """A process and all its descendants."""
    return [pid] + [below for child in pids() if stat(child)[1:2] == [str(pid)] for below in family(child)]


def server(address):
    """The processes of the server at an address on this machine: the process that listens there, and all its descendants."""
    port = int(address.rsplit("@", 1)[1].split("/")[0].split(":")[1])
    sockets = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in sockets if line[1].endswith(f":{port:04X}") and line[3] == "0A"}

    def has_it(pid):
        try:
            return any(os.readlink(fd) in inodes for fd in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False

    return family(min(filter(has_it, pids())))


def spent(processes):
    """Milliseconds of all threads and of children that have ended, such as the connections of a database server."""
    return sum(int(field) for pid in processes for field in stat(pid)[11:15]) * TICK


def peak(pid):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"gave up waiting until {what}")
        # The polls are rare enough not to affect the measurement.
        time.sleep(0.1)


def listens(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def form(picture):
    """The body of a form as a browser would send it."""
    head = f'--whole\r\nContent-Disposition: form-data; name="Profile"; filename="{picture.name}"\r\n'
    return head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + picture.read_bytes() + b"\r\n--whole--\r\n"


def hand_in(stack, bodies, uploads, clients):
    count, failed = itertools.count(), []

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=PATIENCE)
        while (n := next(count)) < uploads and not failed:
            headers = {"content-type": "multipart/form-data; boundary=whole", **stack.headers[n % len(stack.headers)]}
            connection.request("POST", stack.path, bodies[n % len(bodies)], headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 202:
                failed.append(f"{stack.name}: {answer.status} {said[:200]}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(failed[0])


def turn(kind, args, bodies):
    """Runs one stack from its start to its end, and returns its figures."""
    space = f"whole{time.time_ns()}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    postgres = f"{POSTGRES.rsplit('/', 1)[0]}/{space}"
    running = []
    folder = Path(args.folder, space)
    folder.mkdir()
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {space}")
        try:
            stack = kind(args, str(folder), postgres, port)
            api, workers = stack.commands()
            with open(f"{folder}/log", "w") as log:
                for command in (api, *workers):
                    options = {"env": stack.environment, "cwd": HERE / "peers", "stdout": log, "stderr": log}
                    running.append(subprocess.Popen(command, **options))
            with psycopg.connect(postgres, autocommit=True) as records:
                return measure(stack, args, bodies, running, records)
        except Exception:
            sys.stderr.write(Path(f"{folder}/log").read_text()[-4000:])
            raise
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)
            admin.execute(f"DROP DATABASE {space} WITH (FORCE)")


def measure(stack, args, bodies, running, records):
    ready = lambda n: records.execute("SELECT count(*) FROM uploads WHERE state = 'ready'").fetchone()[0] >= n
    until(f"{stack.name} listens", lambda: listens(stack.port))
    # Connections, pools and query plans are made once, before the measurement.
    hand_in(stack, bodies, WARM, args.clients)
    until(f"{stack.name} is warm", lambda: ready(WARM))
    # Writes of the previous stack that are not on the disk yet must not delay this stack.
    os.sync()

    def who():
        api, *workers = [family(process.pid) for process in running]
        return {"api": api, "workers": sum(workers, []), "broker": server(AMQP), "database": server(POSTGRES)}

    before, begun = {name: spent(found) for name, found in who().items()}, time.monotonic()
    hand_in(stack, bodies, args.uploads, args.clients)
    until(f"{stack.name} is done", lambda: ready(WARM + args.uploads))
    seconds, found = time.monotonic() - begun, who()
    figures = {name: (spent(processes) - before[name]) / args.uploads for name, processes in found.items()}
    figures["together"] = sum(figures.values())
    figures["pictures/s"] = args.uploads / seconds
    figures["api MiB"] = max(map(peak, found["api"]))
    figures["worker MiB"] = max(map(peak, found["workers"]))
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("pictures", type=Path, nargs="+", help="folders of pictures, or a picture")
    options.add_argument("--cloakroom", default="target/release/cloakroom")
    options.add_argument("--uploads", type=int, default=300)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    args = options.parse_args()
    # The files of all turns stay until the end, because a file system has work with deleted files for a while, and the
    # next stack would pay for it. For example, ext4 without a journal checks for minutes whether an inode number is
    # fresh before it gives it to a new file.
    with tempfile.TemporaryDirectory() as args.folder:
        compare(args)


def compare(args):
    kinds, dice = [Cloakroom, Celery, Express], random.Random(1)
    for pictures in args.pictures:
        files = sorted(pictures.iterdir()) if pictures.is_dir() else [pictures]
        bodies = [form(file) for file in files]
        size = sum(map(len, bodies)) // len(bodies) // 1000
        print(f"\n{pictures.name}: {size} kB, {args.uploads} uploads, {args.rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
        rounds = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind in dice.sample(kinds, len(kinds)):
                rounds[kind].append(turn(kind, args, bodies))
                last = rounds[kind][-1]
                print(f"{kind.name}: " + ", ".join(f"{c} {last[c]:.1f}" for c in COLUMNS), file=sys.stderr, flush=True)
        print("| CPU ms an upload | " + " | ".join(COLUMNS) + " | ours to it: CPU | pictures/s |")
        print("|---" * (len(COLUMNS) + 3) + "|")
        middle = {kind: {c: statistics.median(row[c] for row in rows) for c in COLUMNS} for kind, rows in rounds.items()}
        ours = middle[Cloakroom]
        for kind, row in middle.items():
            cpu, pace = ours["together"] / row["together"], ours["pictures/s"] / row["pictures/s"]
            print(f"| {kind.name} | " + " | ".join(f"{row[c]:.1f}" for c in COLUMNS) + f" | {cpu:.2f} | {pace:.2f} |", flush=True)


if __name__ == "__main__":
    main()

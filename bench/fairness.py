#!/usr/bin/env python3
"""Measures how much a flood of heavy pictures of one or two users delays the pictures of other users.

    python3 -m venv peers && peers/bin/pip install pillow numpy
    peers/bin/python bench/fairness.py [--cloakroom target/release/cloakroom] [--engines] [--flood 40] [--small PHOTO]

The floods are WebP pictures of 7680 x 7680 pixels and about 1.2 MB, which take about a second each. Four other users send small
pictures, one after the other, and wait for the outcome of each: first on an idle service, then beside one flood, then
beside two. Without --engines the service is one process on a folder (`cloakroom up`). With --engines it is an api and two
workers on the RabbitMQ of CLOAKROOM_TEST_AMQP and the PostgreSQL of CLOAKROOM_TEST_POSTGRES, with bytes in folders. This
needs psycopg as well.
"""

import argparse
import concurrent.futures
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 600
SMALL_USERS = ["ann", "bob", "cleo", "dan"]


def webp(seed):
    import numpy as np
    from PIL import Image

    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(0, 256, (300, 300, 3), dtype=np.uint8)).resize((7680, 7680), Image.BILINEAR)
    for quality in (5, 10, 20, 40, 60, 80):
        file = io.BytesIO()
        coarse.save(file, "WEBP", quality=quality, method=0)
        if file.tell() > 1_200_000:
            break
    return file.getvalue()


def form(name, content):
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="Profile"; filename="{name}"\r\n\r\n'
    return boundary, head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


class Cloakroom:
    def __init__(self, args, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.program = str(Path(args.cloakroom).resolve())
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOAKROOM_")}
        settings = {"DATA_DIR": folder, "HTTP__LISTEN": f"127.0.0.1:{self.port}", "LOG__LEVEL": "error"}
        settings |= {"UPLOADS__MAX_REQUESTS_PER_MINUTE": "1000000", "UPLOADS__MAX_UNCLAIMED": "1000000"}
        settings |= {"UPLOADS__MAX_UNCLAIMED_BYTES": "1 TiB", "REALM__ADMIN_PASSWORD": "correct horse battery staple"}
        self.database = None
        roles = [["up"]]
        if args.engines:
            import psycopg

            self.server = os.environ["CLOAKROOM_TEST_POSTGRES"]
            self.database = f"fairness_{uuid.uuid4().hex}"
            psycopg.connect(self.server, autocommit=True).execute(f"CREATE DATABASE {self.database}")
            settings["RECORDS__URL"] = self.server.rsplit("/", 1)[0] + "/" + self.database
            settings["QUEUE__URL"] = os.environ["CLOAKROOM_TEST_AMQP"]
            settings["QUEUE__PREFIX"] = self.database
            roles = [["api"], ["worker"], ["worker"]]
        self.environment |= {f"CLOAKROOM__{name}": str(value) for name, value in settings.items()}
        if args.engines:
            self.run("migrate", "up")
        self.processes = [subprocess.Popen([self.program, *role], env=self.environment, cwd=folder) for role in roles]
        self.until(lambda: self.request("GET", "/livez", None)[0] == 200)
        self.tokens = {}
        for user in [*SMALL_USERS, "flood1", "flood2"]:
            self.run("user", "add", user, f"{user}@example.org")
            self.tokens[user] = self.run("token", "issue", user, "--lifetime", "4h").strip()

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return done.stdout

    @staticmethod
    def until(condition):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"gave up after {PATIENCE} s")

    def request(self, method, path, user, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = dict(headers or {})
        if user:
            headers["Authorization"] = f"Bearer {self.tokens[user]}"
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        status, content = answer.status, answer.read().decode()
        connection.close()
        return status, content

    def upload(self, user, content, prefer):
        boundary, body = form("picture", content)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Prefer": prefer}
        status, number = self.request("POST", "/api/dropbox/pictures", user, body, headers)
        if status not in (200, 202):
            raise SystemExit(f"{user}: {status} {number}")
        return status, number

    def state(self, user, number):
        return json.loads(self.request("GET", f"/uploads/{number}", user)[1])["state"]

    def end(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        if self.database:
            import psycopg

            psycopg.connect(self.server, autocommit=True).execute(f"DROP DATABASE {self.database} WITH (FORCE)")


def small_ones(cloakroom, content, go_on):
    """Returns how long small pictures take. Each user sends one after the other while `go_on` is true."""

    def one_user(user):
        times = []
        while go_on(len(times)):
            begun = time.monotonic()
            status, number = cloakroom.upload(user, content, "wait=30")
            if status == 202:
                cloakroom.until(lambda: cloakroom.state(user, number) != "accepted")
            times.append(time.monotonic() - begun)
            time.sleep(0.2)
        return times

    with concurrent.futures.ThreadPoolExecutor(len(SMALL_USERS)) as users:
        return [took for times in users.map(one_user, SMALL_USERS) for took in times]


def flood(cloakroom, user, pictures, done):
    begun = time.monotonic()
    numbers = [cloakroom.upload(user, picture, "respond-async")[1] for picture in pictures]
    sent = time.monotonic() - begun
    for number in numbers:
        cloakroom.until(lambda: cloakroom.state(user, number) != "accepted")
    states = [cloakroom.state(user, number) for number in numbers]
    done.append((user, sent, time.monotonic() - begun, {state: states.count(state) for state in set(states)}))


def told(name, times):
    times = sorted(times)
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)]
    print(f"| {name} | {len(times)} | {at(0.5):.3f} | {at(0.95):.3f} | {times[-1]:.3f} |", flush=True)
    return statistics.median(times)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cloakroom", default=HERE.parent / "target/release/cloakroom")
    arguments.add_argument("--engines", action="store_true")
    arguments.add_argument("--flood", type=int, default=40)
    arguments.add_argument("--small", default=HERE.parent / "tests/pictures/astronaut.jpg")
    args = arguments.parse_args()
    small, pictures = Path(args.small).read_bytes(), [webp(seed) for seed in range(4)]
    print(f"floods of {args.flood} WebP of {', '.join(str(len(picture)) for picture in pictures)} bytes in turn")
    with tempfile.TemporaryDirectory() as folder:
        cloakroom = Cloakroom(args, folder)
        try:
            print("| other users' small pictures | number | p50 s | p95 s | longest s |\n|---|---|---|---|---|")
            small_ones(cloakroom, small, lambda sent: sent < 3)
            idle = told("idle", small_ones(cloakroom, small, lambda sent: sent < 15))
            ends = []
            for floods in (["flood1"], ["flood1", "flood2"]):
                done = []
                sending = [
                    threading.Thread(
                        target=flood,
                        args=(cloakroom, user, [pictures[n % len(pictures)] for n in range(args.flood)], done),
                    )
                    for user in floods
                ]
                for thread in sending:
                    thread.start()
                time.sleep(1)
                times = small_ones(cloakroom, small, lambda sent: any(thread.is_alive() for thread in sending))
                told(f"beside {len(floods)} flood{'s'[: len(floods) - 1]}", times)
                limit = max(3 * idle, 1.5)
                late = sum(took > limit for took in times)
                ends += [f"{user}: sent in {sent:.1f} s, done after {took:.1f} s, {states}" for user, sent, took, states in done]
                ends.append(f"{late} of {len(times)} small pictures took longer than {limit:.1f} s")
            print("\n" + "\n".join(ends))
        finally:
            cloakroom.end()


if __name__ == "__main__":
    main()

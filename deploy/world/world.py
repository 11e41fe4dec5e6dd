"""world - the local world and the stages on it, from Python: for the demo and the end-to-end tests.

Servers are started and stopped by up and down beside this file; stages are started here, each in a
session of its own, with its process id noted in the world's pids/, so that down finds it too.
"""
import json
import os
import shutil
import signal
import subprocess
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))


class Failure(Exception):
    """What was expected and did not happen; the text is for the user."""


def wait_until(condition, deadline, what, progress=None, pause=0.05):
    """Polls until condition() is true; says what it waited for after `deadline` seconds. The one
    place that sleeps. progress() is called about once a second."""
    end = time.monotonic() + deadline
    told = time.monotonic()
    while True:
        result = condition()
        if result:
            return result
        now = time.monotonic()
        if now > end:
            last = f"; at the end: {progress()}" if progress else ""
            raise Failure(f"waited {deadline} s in vain for {what}{last}")
        if progress and now - told > 1:
            print(f"      ... {progress()}", flush=True)
            told = now
        time.sleep(pause)


class World:
    """One world below build/, with its own configuration file."""

    def __init__(self, name, base, contacts=1000):
        self.name, self.base, self.contacts = name, int(base), contacts
        self.folder = os.path.join(TOP, "build", name)
        self.env = dict(os.environ, TIDEWAY_WORLD=name, TIDEWAY_PORT_BASE=str(base),
                        TIDEWAY_CONTACTS=str(contacts))
        self.stages = []

    def script(self, name, *words, quiet=False):
        result = subprocess.run([os.path.join(TOP, "deploy/world", name), *words], env=self.env,
                                stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE if quiet else None,
                                stderr=subprocess.STDOUT if quiet else None, check=False)
        if result.returncode:
            raise Failure(f"deploy/world/{name} failed (exit {result.returncode})\n"
                          f"{result.stdout or ''}")

    def wipe(self):
        """Deletes what an earlier run left. Stops it first, should it run."""
        if os.path.isdir(self.folder):
            self.script("down", "--quiet", quiet=True)
            shutil.rmtree(self.folder)

    def up(self, *parts, quiet=True):
        self.script("up", *parts, quiet=quiet)
        out = subprocess.run(["bash", "-c", f". '{self.folder}/env' && env -0"], text=True,
                             stdout=subprocess.PIPE, env=self.env, check=True).stdout
        self.env.update(line.split("=", 1) for line in out.split("\0") if "=" in line)

    def down(self):
        for stage in self.stages:
            stage.signal(signal.SIGTERM)
        for stage in self.stages:
            try:
                stage.wait(10)
            except Failure:
                stage.kill()
        self.script("down", "--quiet", quiet=True)

    def path(self, *names):
        path = os.path.join(self.folder, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def log(self, name):
        return self.path("log", f"{name}.log")

    def tideway(self, *words, config, check=True):
        """Runs build/tideway; returns (exit status, stdout, stderr)."""
        args = [os.path.join(BUILD, "tideway"), *words]
        for file in config:
            args += ["--config", file]
        r = subprocess.run(args, env=self.env, capture_output=True, text=True, check=False)
        if check and r.returncode:
            raise Failure(f"{' '.join(args)} exited with {r.returncode}:\n{r.stdout}{r.stderr}")
        return r.returncode, r.stdout, r.stderr

    def status(self, config, flow=None):
        """{(flow, stage): {...}} as `tideway status --json` tells it."""
        only = ("--flow", flow) if flow else ()
        rows = json.loads(self.tideway("status", "--json", *only, config=config)[1])
        return {(r["flow"], r["stage"]): r for r in rows}

    def stage(self, program, flow, config, name=None, options=(), env=None):
        stage = Stage(self, program, flow, config, name or f"{program}.{flow}", options, env)
        self.stages.append(stage)
        return stage


class Stage:
    """A running stage; `name` is unique in its world and names its log."""

    def __init__(self, world, program, flow, config, name, options, env):
        self.world, self.program, self.flow, self.name = world, program, flow, name
        args = [os.path.join(BUILD, program), "--flow", flow, *options]
        for file in config:
            args += ["--config", file]
        with open(world.log(name), "ab") as log:
            self.process = subprocess.Popen(args, env=dict(world.env, **(env or {})), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        self.pid_file = world.path("pids", f"{name}.pid")
        with open(self.pid_file, "w", encoding="ascii") as f:
            f.write(f"{self.process.pid}\n")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def wait(self, deadline=15):
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not ended {deadline} s after it was asked to; "
                          f"see {self.world.log(self.name)}") from None
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)
        if self in self.world.stages:
            self.world.stages.remove(self)
        return code

    def stop(self):
        """SIGTERM, and the exit status must be 0."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        if code:
            raise Failure(f"{self.name} ended with {code} after SIGTERM; its last words:\n"
                          f"{self.tail()}")

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()

    def tail(self, lines=8):
        with open(self.world.log(self.name), encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def expect_alive(self):
        if not self.running():
            raise Failure(f"{self.name} ended by itself (exit {self.process.returncode}):\n"
                          f"{self.tail()}")


def topic_keys(world, topic, extra=()):
    """(partition, offset, key, value length) of every committed message, by kcat."""
    out = subprocess.run(["kcat", "-b", world.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t", topic,
                          "-X", "isolation.level=read_committed", "-X", "fetch.wait.max.ms=20", "-f", "%p\\t%o\\t%k\\t%S\\n",
                          *extra], capture_output=True, text=True, check=True).stdout
    return [(int(p), int(o), k, int(s)) for p, o, k, s in
            (line.split("\t") for line in out.splitlines())]


def each_message(world, topic, *options):
    """The decoded messages of a topic, one after the other: deploy/world/decode."""
    with subprocess.Popen([os.path.join(TOP, "deploy/world/decode"), topic, *options], env=world.env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as decode:
        for line in decode.stdout:
            yield json.loads(line)
        why = decode.stderr.read()
    if decode.returncode:
        raise Failure(f"decode {topic} exited with {decode.returncode}: {why}")


def topic_messages(world, topic, *options):
    return list(each_message(world, topic, *options))

"""case - what an end-to-end test works with: sandboxes of its own, a deployment name of its own on
the shared broker and registry, and the stages that it starts."""
import json
import os
import re
import subprocess

import yaml

import reader
from world import BUILD, TOP, Failure, Stage, each_message, topic_messages, wait_until

STAGES = {"contacts": ("extract-dataverse", "transform-contact", "load-campaign"),
          "loyalty-cards": ("extract-dataverse", "transform-custom-entity", "load-campaign"),
          "email-events": ("extract-campaign-logs", "transform-marketing-event", "load-dataverse")}
# Laid over deploy/tideway.yaml; written as JSON, which is YAML.
QUICK = {"connections": {"kafka": {"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}},
         # After a kill a loader waits one request_timeout before it writes.
         "flows": {flow: {"poll": "200ms", "request_timeout": "2s"} for flow in STAGES}}


def strict():
    """The fields of the example, but a text that is too long is a reject."""
    with open(os.path.join(TOP, "deploy/tideway.yaml"), encoding="utf-8") as f:
        fields = yaml.safe_load(f)["flows"]["contacts"]["fields"]
    return {"flows": {"contacts": {"fields": [
        {key: value for key, value in field.items() if key != "too_long"} for field in fields]}}}


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Sandbox:
    """One of ours, with its data in memory."""

    def __init__(self, world, name, port, options):
        self.url = f"http://127.0.0.1:{port}"
        with open(world.log(name), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, name.split(".")[0]), "--listen", f"127.0.0.1:{port}", *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.pid_file = world.path("pids", f"{name}.pid")
        with open(self.pid_file, "w", encoding="ascii") as f:
            f.write(f"{self.process.pid}\n")
        self.control = reader.Client(self.url)

        def answers():
            expect(self.process.poll() is None, f"{name} has ended; see {world.log(name)}")
            try:
                self.control.get("/_sandbox/stats")
                return True
            except OSError:
                return False
        wait_until(answers, 90, f"{name} to answer")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)

    def fault(self, **what):
        self.control.request("POST", "/_sandbox/faults", what)

    def no_faults(self):
        self.control.request("DELETE", "/_sandbox/faults")

    def requests(self):
        """[(route, method, status, count)]"""
        return [(r["route"], r["method"], r["status"], r["count"])
                for r in self.control.get("/_sandbox/stats")["requests"]]

    def count(self, route=None, method=None, status=None):
        return sum(n for r, m, s, n in self.requests()
                   if route in (None, r) and method in (None, m) and status in (None, s))

    def clear(self):
        self.control.request("DELETE", "/_sandbox/stats")

    def history(self, key):
        return self.control.get(f"/_sandbox/history?key={key}")


class Case:
    def __init__(self, world, name, slot):
        self.world, self.slot = world, slot
        self.name = "t-" + re.sub(r"[^a-z0-9]+", "-", name.lower())[:50]
        self.stages, self.sandboxes = [], []
        self.env = dict(world.env)
        self.opted_out = set()

    # ---- setting up -----------------------------------------------------------------------------

    def setup(self, *flows, contacts=200, overlay=None, dynamics=(), campaign=(), strangers=0):
        """Sandboxes, topics and configuration for the flows."""
        port = self.world.base + 40 + 2 * self.slot
        self.exports = os.path.join(self.world.folder, "exports", self.name)
        os.makedirs(self.exports)
        self.dynamics_port = port
        self.dynamics_box = self.sandbox("sandbox-dataverse", port, "--contacts", str(contacts),
                                         "--seed", "5", *dynamics)
        self.campaign_box = self.sandbox("sandbox-campaign", port + 1, "--exports", self.exports,
                                         "--contacts", str(strangers), *campaign)
        d, c = self.dynamics_box.url, self.campaign_box.url
        sftp = self.env["CAMPAIGN_LOGS_URL"].rsplit("/exports/", 1)[0]
        self.env.update(
            DATAVERSE_URL=d, DATAVERSE_TOKEN_URL=f"{d}/sandbox/oauth2/v2.0/token",
            CAMPAIGN_URL=f"{c}/acme/campaign", CAMPAIGN_TOKEN_URL=f"{c}/ims/token/v3",
            TIDEWAY_SANDBOX_DATAVERSE=d, TIDEWAY_SANDBOX_CAMPAIGN=c,
            CAMPAIGN_LOGS_URL=f"{sftp}/exports/{self.name}/")
        self.world_env = _Env(self.world, self.env)
        self.configure(overlay)
        self.dynamics, self.campaign = reader.Dynamics(self.env), reader.Campaign(self.env)
        for flow in flows:
            self.tideway("topics", "create", "--flow", flow)
        return self

    def configure(self, overlay=None, base=None):
        """The configuration: deploy/tideway.yaml, and over it QUICK, and over that the overlay."""
        tree = merge(dict(QUICK, name=self.name), overlay or {})
        self.config = [base or os.path.join(TOP, "deploy/tideway.yaml"),
                       self.world.write(f"config/{self.name}.yaml", json.dumps(tree, indent=1))]

    def sandbox(self, program, port, *options):
        box = Sandbox(self.world, f"{program}.{self.name}", port, options)
        self.sandboxes.append(box)
        return box

    def tideway(self, *words, check=True):
        return self.world_env.tideway(*words, config=self.config, check=check)

    def status(self, flow):
        return {k[1]: v for k, v in self.world_env.status(self.config, flow).items()}

    def start(self, flow, *programs, name=None, options=(), env=None):
        """Starts stages of a flow, all of them if none is named; returns the last one."""
        stage = None
        for program in programs or STAGES[flow]:
            stage = Stage(self.world_env, program, flow, self.config,
                          f"{self.name}.{name or program + '.' + flow}", options, env)
            self.world_env.stages.append(stage)
            self.stages.append(stage)
        return stage

    def close(self):
        for stage in self.stages:
            if stage.running():
                stage.signal(15)
        for stage in self.stages:
            try:
                stage.wait(10)
            except Failure:
                stage.kill()
        for box in self.sandboxes:
            box.stop()

    # ---- looking --------------------------------------------------------------------------------

    def wait(self, condition, deadline, what):
        def checked():
            for stage in self.world_env.stages:
                stage.expect_alive()
            return condition()
        return wait_until(checked, deadline, what)

    def topic(self, suffix):
        return f"{self.name}.{suffix}"

    def messages(self, suffix):
        return topic_messages(self.world_env, self.topic(suffix))

    def agree(self, deadline=30, cards=False, events=False):
        """Waits until both sides agree in every field."""
        wrong = ["nothing was compared"]

        def check():
            for stage in self.world_env.stages:
                stage.expect_alive()
            wrong[:] = reader.compare_contacts(self.dynamics, self.campaign, self.opted_out)[1]
            if cards and not wrong:
                wrong[:] = reader.compare_cards(self.dynamics, self.campaign, 3)[1]
            if events and not wrong:
                wrong[:] = reader.compare_events(self.dynamics, self.campaign)[2]
            return not wrong
        try:
            wait_until(check, deadline, "both sides to agree", pause=0.2)
        except Failure as e:
            raise Failure(f"{e}; {len(wrong)} differences: " + "; ".join(wrong[:5])) from None

    def drained(self, flow, stage, deadline=30):
        self.wait(lambda: self.status(flow)[stage]["backlog"] == 0, deadline, f"{stage} to be done")

    def log(self, stage):
        with open(self.world.log(stage.name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def each_version_once(self, suffix):
        """Every (key, version) of a change topic is there once, in order; returns {key: [version]}.
        Deletes carry the highest version seen so far."""
        seen = {}
        for m in each_message(self.world_env, self.topic(suffix)):
            value = m["value"]
            if value is None:
                continue
            expect("error" not in m, f"{suffix}: {m}")
            mark = (value["epoch"], value["version"], value["op"], value["origin"], value["observed_at"])
            seen.setdefault(m["key"], []).append(mark)
        for key, marks in seen.items():
            expect(len({m[:3] for m in marks}) == len(marks), f"{suffix}: {key} has a version twice: {marks}")
            order = [m[:2] for m in marks]
            expect(order == sorted(order), f"{suffix}: {key} is out of order: {marks}")
        return seen


class _Env:
    """The world as a case sees it: the same servers, its own environment and stages."""

    def __init__(self, world, env):
        self.folder, self.env, self.stages = world.folder, env, []
        self.path, self.log = world.path, world.log
        self._world = world

    def tideway(self, *words, config, check=True):
        return type(self._world).tideway(self, *words, config=config, check=check)

    def status(self, config, flow=None):
        return type(self._world).status(self, config, flow)


def merge(under, over):
    """A copy of one tree of dictionaries with another laid over it."""
    out = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out

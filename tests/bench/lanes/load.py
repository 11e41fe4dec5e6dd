"""load - load-campaign beside a bare curl_multi loop against the same sandbox: updates, unchanged
records, latency, and goodput under a quota."""
import os
import re
import statistics
import subprocess
import time

from case import Case
from changes import Changes
from cost import cost
from world import BUILD, wait_until

UPDATES, UNCHANGED, RUNS, FLIGHT = 40000, 400000, int(os.environ.get("RUNS", "3")), 64
BODY = {"firstName": "Ada", "lastName": "King of Lovelace", "email": "ada@example.com",
        "phone": "+44 20 7946 0000", "cusJobTitle": "?"}


class Bench(Changes):
    """A loader's input, and what the process that reads it costs."""

    def fill_topic(self, count, version, title, times=1):
        row = dict(BODY, cusJobTitle=title)
        for i in range(count):
            self.add(f"k{i}", version, row=row)
        kept = self.messages
        for _ in range(times):
            self.messages = kept
            self.send()

    def done(self, count, calls):
        """(seen, total): writes in Campaign, or, where none are made, committed offsets."""
        if calls:
            return self.case.campaign_box.count("profile", None, 200) + \
                self.case.campaign_box.count("profile", None, 201), count
        return count - self.case.status(self.flow)["load-campaign"]["backlog"], count

    def run(self, name, count, calls=True):
        """(records a second, CPU seconds, peak MiB): from the first that is done to the last."""
        self.clear()
        stage = self.start(name)
        self.case.wait(lambda: "partitions assigned\" count=4" in self.case.log(stage), 30, "partitions")
        begun, began = 0, time.monotonic()
        if calls:
            begun = wait_until(lambda: self.done(count, calls)[0], 60, "the first call", pause=0.005)
            began = time.monotonic()
        wait_until(lambda: self.done(count, calls)[0] >= count, 600, f"{count} records", pause=0.01)
        rate = (count - begun) / (time.monotonic() - began)
        self.drained()
        cpu, peak = cost(stage)
        stage.stop()
        return rate, cpu, peak

    def bare(self, count, flight):
        c = self.case
        body = '{"firstName":"Ada","lastName":"King of Lovelace","email":"ada@example.com"' \
               ',"phone":"+44 20 7946 0000","cusJobTitle":"%d"}' % time.monotonic_ns()
        out = subprocess.run(
            [os.path.join(BUILD, "tests/bench-curl-multi"),
             f"{c.campaign_box.url}/acme/campaign/profileAndServicesExt/profile/", "k", str(count),
             str(flight), body, f"Authorization: {c.campaign.headers['Authorization']}",
             "X-Api-Key: sandbox", "Content-Type: application/json"],
            capture_output=True, text=True, check=True).stdout.split()
        return float(out[0]), float(out[1])


def begin(world, name, slot, flight=FLIGHT, campaign=()):
    case = Case(world, name, slot)
    fields = [{"from": a, "to": b} for a, b in (
        ("firstname", "firstName"), ("lastname", "lastName"), ("emailaddress1", "email"),
        ("telephone1", "phone"), ("jobtitle", "cusJobTitle"))]
    case.setup("contacts", contacts=1, campaign=campaign, overlay={"flows": {"contacts": {
        "max_in_flight": flight, "on_unknown": "post", "fields": fields}}})
    return case, Bench(case, "profile")


def rates(world):
    case, topic = begin(world, "bench-load", 0)
    topic.fill_topic(UPDATES, 1, "0")
    topic.run("insert", UPDATES)
    ours, limits, unchanged = [], [], []
    for i in range(RUNS):
        limits.append(topic.bare(UPDATES, FLIGHT))
        topic.fill_topic(UPDATES, 2 + i, str(i + 1))
        ours.append(topic.run(f"update-{i}", UPDATES))
        topic.fill_topic(UPDATES, 2 + i, str(i + 1), UNCHANGED // UPDATES)
        unchanged.append(topic.run(f"unchanged-{i}", UNCHANGED, calls=False))
    limit = statistics.median(x[0] for x in limits)
    rate = statistics.median(o[0] for o in ours)
    yield {"lane": "load", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(o[1] for o in ours) / UPDATES * 1e6,
           "limit_cpu_s_per_million": statistics.median(x[1] for x in limits) / UPDATES * 1e6,
           "rss_mib": statistics.median(o[2] for o in ours), "runs": RUNS}
    rate = statistics.median(u[0] for u in unchanged)
    yield {"lane": "load-unchanged", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(u[1] for u in unchanged) / UNCHANGED * 1e6,
           "rss_mib": statistics.median(u[2] for u in unchanged), "runs": RUNS}
    case.close()


def paced(world, rate=20000, seconds=10):
    """What it holds resident while records come at this rate, and none of them is new."""
    case, topic = begin(world, "bench-paced", 0)
    topic.fill_topic(UPDATES, 1, "0")
    topic.run("insert", UPDATES)
    for i in range(UPDATES):
        topic.add(f"k{i}", 1, row=dict(BODY, cusJobTitle="0"))
    step = rate // 10
    texts = [b"".join(k.encode() + b"<K>" + v + b"<M>" for k, v in topic.messages[i:i + step])
             for i in range(0, UPDATES, step)]
    stage = topic.start("paced")
    case.wait(lambda: "partitions assigned\" count=4" in case.log(stage), 30, "partitions")
    with subprocess.Popen(["kcat", "-b", case.env["KAFKA_BROKERS"], "-P", "-t", topic.topic, "-X",
                           "topic.partitioner=murmur2_random", "-K", "<K>", "-D", "<M>"],
                          stdin=subprocess.PIPE) as kcat:
        began = time.monotonic()
        for n in range(10 * seconds):
            kcat.stdin.write(texts[n % len(texts)])
            kcat.stdin.flush()
            due = began + (n + 1) / 10
            wait_until(lambda d=due: time.monotonic() >= d, 5, "its time", pause=0.005)
        took = time.monotonic() - began
    with open(f"/proc/{stage.process.pid}/status", encoding="ascii") as f:
        resident = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024
    topic.drained()
    cpu, peak = cost(stage)
    stage.stop()
    yield {"lane": "load-paced", "rate": 10 * seconds * step / took, "cpu_s_per_million":
           cpu / (10 * seconds * step) * 1e6, "rss_mib": resident, "runs": 1,
           "peak_mib": peak}  # the peak is of reading the state at the start
    case.close()


def latency(world):
    for delay in (20, 200):
        for flight in (1, 8, 64):
            case, topic = begin(world, f"bench-latency-{delay}-{flight}", 1, flight,
                                ("--delay-ms", str(delay)))
            stage = topic.start()
            case.wait(lambda s=stage: "partitions assigned" in case.log(s), 20, "partitions")
            # Half of what can be in flight at a time, one after the other has come.
            some = max(1, flight // 2)
            for n in range(max(8, 300 // some) if delay == 20 else 12):
                for i in range(some):
                    topic.add(f"n{n}-{i}", 1, row=BODY)
                done = topic.calls().get("POST", 0) + some
                topic.send()
                wait_until(lambda d=done: topic.calls().get("POST", 0) >= d, 30, "the calls")
            topic.drained()
            stage.stop()
            p50, p99 = re.search(r"p50_ms=(\d+) p99_ms=(\d+)", case.log(stage)).groups()
            yield {"lane": f"load-latency-{delay}ms-{flight}", "runs": 1, "p50_ms": int(p50),
                   "p99_ms": int(p99)}
            case.close()


def quota(world):
    case, topic = begin(world, "bench-quota", 0, FLIGHT, ("--rate", "100", "--retry-after", "1"))
    topic.fill_topic(9000, 1, "0")
    stage = topic.start()

    def served():
        return sum(n for r, m, s, n in case.campaign_box.requests() if m == "POST" and s == 201)
    case.wait(lambda: served() > 500, 60, "the first requests")
    first, began = served(), time.monotonic()
    refused = case.campaign_box.count(status=429)
    wait_until(lambda: time.monotonic() > began + 60, 90, "a minute")
    rate = (served() - first) / (time.monotonic() - began)
    refused = case.campaign_box.count(status=429) - refused
    stage.kill()
    yield {"lane": "load-quota", "rate": rate, "limit_rate": 100.0, "ratio": rate / 100, "runs": 1,
           "answers_429": refused}
    case.close()


def lane(world):
    yield from rates(world)
    yield from paced(world)
    yield from latency(world)
    yield from quota(world)

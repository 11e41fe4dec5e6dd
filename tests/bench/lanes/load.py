"""load - load-campaign beside a bare curl_multi loop against the same sandbox: updates, unchanged
records, latency, and goodput under a quota."""
import os
import re
import statistics
import subprocess
import time

from case import Case
from changes import Changes
from world import BUILD, wait_until

UPDATES, UNCHANGED, RUNS, FLIGHT = 20000, 100000, int(os.environ.get("RUNS", "3")), 64
BODY = {"firstName": "Ada", "lastName": "King of Lovelace", "email": "ada@example.com",
        "phone": "+44 20 7946 0000", "cusJobTitle": "?"}


class Bench(Changes):
    """A loader's input, and what the process that reads it costs."""

    def fill_topic(self, count, version, title):
        row = dict(BODY, cusJobTitle=title)
        for i in range(count):
            self.add(f"k{i}", version, row=row)
        self.send()

    def run(self, name, count):
        """(seconds from the first record to the last commit, CPU seconds, peak MiB, log)"""
        began = time.monotonic()
        stage = self.start(name)
        self.case.wait(lambda: "partitions assigned\" count=4" in self.case.log(stage), 30, "partitions")
        first = time.monotonic()
        wait_until(lambda: self.case.status(self.flow)["load-campaign"]["backlog"] == 0, 600,
                   f"{count} records", pause=0.02)
        took = time.monotonic() - first
        with open(f"/proc/{stage.process.pid}/stat", encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
        cpu = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        with open(f"/proc/{stage.process.pid}/status", encoding="ascii") as f:
            peak = int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024
        stage.stop()
        return took, cpu, peak, self.case.log(stage), first - began

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
    ours, limits, cpu, peaks, unchanged = [], [], [], [], []
    for i in range(RUNS):
        limits.append(topic.bare(UPDATES, FLIGHT)[0])
        topic.fill_topic(UPDATES, 2 + 2 * i, str(i + 1))
        took, used, peak, _, _ = topic.run(f"update-{i}", UPDATES)
        ours.append(UPDATES / took)
        cpu.append(used / UPDATES * 1e6)
        peaks.append(peak)
        for part in range(UNCHANGED // UPDATES):
            topic.fill_topic(UPDATES, 3 + 2 * i, str(i + 1))
        took, used, _, _, _ = topic.run(f"unchanged-{i}", UNCHANGED)
        unchanged.append((UNCHANGED / took, used / UNCHANGED * 1e6))
    limit = statistics.median(limits)
    rate = statistics.median(ours)
    yield {"lane": "load", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(cpu), "rss_mib": statistics.median(peaks), "runs": RUNS}
    rate = statistics.median(u[0] for u in unchanged)
    yield {"lane": "load-unchanged", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(u[1] for u in unchanged), "runs": RUNS}
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
    yield from latency(world)
    yield from quota(world)

"""metrics - what the stages tell Prometheus, read by its own parser, beside what the sandboxes, the
topics and `tideway status` have counted; and clients that ask badly."""
import os
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import reader
from answers import one
from case import STAGES, expect
from changes import CONTRACTS, Changes, with_flows
from events import FLOW, SENDING, TRACKING, contacts_of, events_of, put_file, sending, setup, tracking
from prometheus_client.parser import text_string_to_metric_families
from world import TOP, topic_keys

ON = ("--metrics", "0")
TABLE = re.compile(r"\| `((?:tideway|process)_\w+)` \|[^|]*\|[^|]*\|([^|]*)\|")


def url(case, stage):
    found = []

    def told():
        found[:] = re.findall(r'msg=metrics url=(\S+)', case.log(stage))
        return found
    case.wait(told, 20, f"{stage.name} to say where its metrics are")
    return found[-1]


def get(address, **headers):
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as r:
        return r.headers["Content-Type"], r.read().decode()


class Page:
    """One answer of a stage."""

    def __init__(self, case, stage):
        kind, self.text = get(url(case, stage))
        expect(kind == "text/plain; version=0.0.4; charset=utf-8", kind)
        self.families, self.samples = {}, {}
        for family in text_string_to_metric_families(self.text):
            expect(family.documentation and family.type != "unknown", f"{family.name} is not described")
            self.families[family.name] = family.type
            for s in family.samples:
                labels = dict(s.labels)
                own = (labels.pop("flow", None), labels.pop("stage", None))
                expect(own == ((None, None) if s.name.startswith("process_") else (stage.flow, stage.program)),
                       f"{s.name} has the labels {s.labels}")
                key = (s.name, tuple(sorted(labels.items())))
                expect(key not in self.samples, f"{key} is there twice")
                self.samples[key] = s.value

    def value(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))), 0)

    def by(self, name, label, **only):
        """{value of the label: sum}, of samples with the other labels."""
        found = {}
        for (n, labels), value in self.samples.items():
            labels = dict(labels)
            if n == name and all(labels.get(k) == v for k, v in only.items()):
                found[labels[label]] = found.get(labels[label], 0) + value
        return {k: v for k, v in found.items() if v}

    def within(self, name, seconds):
        return self.value(name + "_bucket", le=f"{seconds:g}")


def until(case, stage, good, what, deadline=20):
    """A page is at most a second old, so it is asked for again."""
    pages = []

    def check():
        pages[:] = [Page(case, stage)]
        return good(pages[0])
    case.wait(check, deadline, what)
    return pages[0]


def stage_of(case, program):
    return next(s for s in case.stages if s.program == program)


def stages_on_the_page(program):
    """The metrics that deploy/METRICS.md promises of a stage."""
    letter = {"extract": "E", "transform": "T", "load": "L"}[program.split("-")[0]]
    with open(os.path.join(TOP, "deploy/METRICS.md"), encoding="utf-8") as f:
        rows = TABLE.findall(f.read())
    return {name for name, stages in rows
            if letter in re.findall(r"\b[ETL]\b", stages) or f"`{program}`" in stages}


def test_every_stage_has_the_metrics_of_the_page(case):
    """All seven stages: what they serve is what deploy/METRICS.md promises of each, in the form that
    Prometheus reads, and /healthz says ok."""
    case.setup(*STAGES, contacts=20)
    for flow in STAGES:
        case.start(flow, options=ON)
    case.agree(60, cards=True)
    for stage in case.stages:
        page = Page(case, stage)
        promised = {n[:-6] if n.endswith("_total") else n for n in stages_on_the_page(stage.program)}
        expect(page.families.keys() == promised,
               f"{stage.program}: only served {sorted(page.families.keys() - promised)}, only promised "
               f"{sorted(promised - page.families.keys())}")
        expect(page.value("process_resident_memory_bytes") > 1e6, "no memory is told")
        expect(abs(page.value("process_start_time_seconds") - time.time()) < 300, "the start is told wrongly")
        expect(time.time() - page.value("tideway_snapshot_timestamp_seconds") < 10, "the page is old")
        expect(get(url(case, stage).replace("/metrics", "/healthz"))[1] == "ok\n", "not healthy")
        expect(page.value("tideway_rejected_total") == 0, "something was rejected")


def test_a_flow_of_contacts_is_counted_alike_on_all_sides(case):
    """Created, updated, unchanged, deleted, calls and requests: metrics, `tideway status` and the sandbox
    tell the same numbers; each stage's output is the next one's input."""
    case.setup("contacts", contacts=60)
    case.start("contacts", options=ON)
    case.agree()
    extractor, transformer, loader = case.stages
    case.drained("contacts", "load-campaign")
    before = until(case, loader, lambda p: p.value("tideway_records_total", outcome="created") == 60, "60 profiles")
    case.campaign_box.clear()
    ids = contacts_of(case)
    for contact in ids[:20]:
        case.dynamics.request("PATCH", f"/contacts({contact})", {"jobtitle": "counted"})
    for contact in ids[50:]:
        case.dynamics.request("DELETE", f"/contacts({contact})")

    def arrived(page):
        return page.by("tideway_records_total", "outcome").get("updated", 0) >= 20 and \
            page.by("tideway_records_total", "outcome").get("deleted", 0) >= 10
    until(case, loader, arrived, "the changes to be written")
    case.drained("contacts", "load-campaign")
    requests = {}
    page = until(case, loader, lambda p: p.value("tideway_lag_records") == 0 and
                 p.value("tideway_outstanding_records") == 0, "the loader to be done")
    for route, _, status, n in case.campaign_box.requests():
        if route != "other":  # ours, to the sandbox itself
            requests[str(status)] = requests.get(str(status), 0) + n
    told, was = (p.by("tideway_requests_total", "status", target="campaign") for p in (page, before))
    difference = {k: n - was.get(k, 0) for k, n in told.items() if n != was.get(k, 0)}
    expect(difference == requests, f"campaign counted {requests}, the loader {difference}")
    outcomes = page.by("tideway_records_total", "outcome")
    status = case.status("contacts")["load-campaign"]["total"]
    calls = status.pop("calls")
    expect(outcomes == {k: n for k, n in status.items() if n}, f"metrics {outcomes}, status {status}")
    expect(outcomes["updated"] == 20 and outcomes["deleted"] == 10 and outcomes["created"] == 60, str(outcomes))
    expect(sum(page.by("tideway_calls_total", "call").values()) == calls, "calls differ from those of status")
    expect(sum(requests.values()) == calls - sum(before.by("tideway_calls_total", "call").values()),
           "calls differ from those of Campaign")
    expect(page.value("tideway_latency_seconds_count") == 90 == page.within("tideway_latency_seconds", 900),
           "90 records were written, another number was timed")
    expect(page.value("tideway_in_flight_requests") == 0, "in flight")
    expect(page.value("tideway_known_keys") == 50, f"{page.value('tideway_known_keys')} keys are known")
    expect(page.value("tideway_assigned_partitions") == 4, "partitions")
    expect(page.value("tideway_transactions_total", outcome="committed") > 0, "no transaction was counted")
    written = len(topic_keys(case.world_env, case.topic("crm.contact")))
    page = until(case, extractor, lambda p: p.value("tideway_records_total", outcome="written") == written,
                 "the extractor's count")
    expect(page.value("tideway_leading") == 1, "nobody leads")
    expect(time.time() - page.value("tideway_last_step_timestamp_seconds") < 20, "the last step")
    output = len(topic_keys(case.world_env, case.topic("campaign.profile")))
    page = until(case, transformer, lambda p: p.value("tideway_input_records_total") == written,
                 "the transformer's count")
    made = page.by("tideway_records_total", "outcome")
    tombstones = sum(1 for m in case.messages("campaign.profile") if m["value"] is None)
    expect(made["written"] in (output, output - tombstones) and sum(made.values()) == written,
           f"{made}, {output} in the topic, {tombstones} of them tombstones")
    loader.stop()
    counts = [line for line in case.log(loader).splitlines() if "msg=counts" in line][-1]
    for word, n in outcomes.items():
        expect(f" {word}={n:.0f}" in counts, f"{word} is {n:.0f} in the metrics, and the log says {counts}")
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning")
    again = case.start("contacts", "load-campaign", name="again", options=ON)
    case.drained("contacts", "load-campaign")
    page = until(case, again, lambda p: p.value("tideway_lag_records") == 0 and
                 p.value("tideway_input_records_total") == output, "the replay to be counted whole")
    outcomes = page.by("tideway_records_total", "outcome")
    expect(outcomes.keys() <= {"unchanged", "older", "coalesced"} and outcomes["unchanged"] > 0 and
           not page.by("tideway_calls_total", "call"), f"a replay of what is there: {outcomes}")


def test_dead_letters_unknown_answers_and_quotas_are_counted_by_name(case):
    """Rejects by reason as the dead letters say, answers that nobody documented, 429: each has its
    number."""
    case.setup("contacts", contacts=1)
    topic = Changes(case, "profile")
    stage = topic.start(options=ON)
    topic.put("k", 1, cusJobTitle="1").drained()
    box = case.campaign_box
    box.fault(method="PATCH", path="*/profile/bad*", status=500, count=3,
              body="RST-360011 An error has occurred The value 'x' is not valid for the 'a' enumeration")
    for i in range(3):
        topic.add(f"bad{i}", 1, row={"cusJobTitle": "1"})
    topic.send().drained()
    box.fault(method="PATCH", path="*/profile/quota", status=429, count=2, headers={"Retry-After": "1"})
    topic.put("quota", 1, cusJobTitle="1").drained()
    box.fault(method="PATCH", path="*/profile/odd", status=500, count=2, body="a text that nobody knows")
    topic.put("odd", 1, cusJobTitle="1").drained()
    page = until(case, stage, lambda p: p.value("tideway_unknown_answers_total") == 2, "the unknown answers")
    expect(page.by("tideway_rejected_total", "reason") == {"invalid-value": 3}, str(page.by(
        "tideway_rejected_total", "reason")))
    expect(len(topic.rejected()) == 3 == page.value("tideway_records_total", outcome="rejected"), "rejected")
    expect(page.value("tideway_quota_answers_total") == 2 ==
           page.value("tideway_requests_total", target="campaign", status="429"), "429")
    expect(page.value("tideway_retries_total") == 4, "retries")


def test_a_target_that_is_away_is_seen_and_is_no_reason_to_restart(case):
    """While Campaign answers 503 the breaker is open, the lag stays, and /healthz says ok; afterwards both
    are 0 again."""
    case.setup("contacts", contacts=1)
    topic = Changes(case, "profile")
    stage = topic.start(options=ON)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path="*", status=503, count=1000000)
    for i in range(40):
        topic.add(f"k{i}", 2, row={"cusJobTitle": "2"})
    topic.send()
    page = until(case, stage, lambda p: p.value("tideway_breaker_open") == 1 and
                 p.value("tideway_lag_records") >= 40, "the breaker")
    expect(page.value("tideway_breaker_opened_total") >= 1 and page.value("tideway_outstanding_records") == 40 and
           page.value("tideway_retries_total") >= 10, page.text)
    expect(get(url(case, stage).replace("/metrics", "/healthz"))[1] == "ok\n", "not healthy")
    case.campaign_box.no_faults()
    page = until(case, stage, lambda p: p.value("tideway_lag_records") == 0, "the rest", 60)
    expect(page.value("tideway_breaker_open") == 0 and page.value("tideway_outstanding_records") == 0, page.text)
    expect(page.value("tideway_requests_total", target="campaign", status="503") >= 10, "503")


def test_parked_records_are_a_number_that_falls(case):
    """Children without their parent are counted as parked, and are no longer waiting when it has come."""
    with_flows(case, {"contracts": CONTRACTS})
    parents, children = Changes(case, "profile"), Changes(case, "cusContract")
    parents.start("parents")
    stage = children.start("children", options=ON)
    for i in range(7):
        children.add(f"c{i}", 1, row={"product": "one", "holder": "p", "premium": 1.0})
    children.send()
    page = until(case, stage, lambda p: p.value("tideway_parked_records") == 7, "seven to wait")
    expect(page.value("tideway_records_total", outcome="parked") == 7, "parked")
    parents.put("p", 1, lastName="Parent").drained()
    page = until(case, stage, lambda p: p.value("tideway_parked_records") == 0, "none to wait")
    expect(page.value("tideway_records_total", outcome="parked") == 7, "parked is what happened, not what is")
    expect(page.value("tideway_records_total", outcome="created") + page.value(
        "tideway_records_total", outcome="updated") == 7, str(page.by("tideway_records_total", "outcome")))


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def test_events_are_counted_from_file_to_timeline_with_their_age(case):
    """Who is no contact, codes that nobody named, events by kind, calls to Dynamics, and how old events
    are when they are on the timeline: in the bucket where they belong."""
    setup(case, stages=False, overlay=events_of(case, since="2020-01-01T00:00:00Z"))
    a, b = contacts_of(case)[:2]
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(a, 1, time=ago(2000)) + sending(b, 2, time=ago(2000)) +
             sending("", 3) + sending("no-guid", 4) + sending(a, 5, status=77) +
             sending(a, 6, status=2, kind=2, reason=3, time=ago(100)))
    put_file(case, "acs_tracking_1.csv", TRACKING + tracking(a, 7, kind=2, time=ago(100)) +
             tracking(a, 8, kind=1, time=ago(100)))
    case.dynamics_box.clear()
    extractor = case.start(FLOW, "extract-campaign-logs", options=ON)
    case.start(FLOW, "transform-marketing-event", options=ON)
    loader = case.start(FLOW, "load-dataverse", options=ON)
    page = until(case, extractor, lambda p: p.value("tideway_files_total", outcome="read") == 2, "both files", 40)
    expect(page.by("tideway_skipped_total", "reason") == {"not_a_contact": 2},
           str(page.by("tideway_skipped_total", "reason")))
    expect(page.by("tideway_rejected_total", "reason") == {"unknown-code": 1},
           str(page.by("tideway_rejected_total", "reason")))
    expect(page.by("tideway_events_total", "kind") == {"send": 2, "bounce": 1, "open": 1, "click": 1},
           str(page.by("tideway_events_total", "kind")))
    expect(page.value("tideway_records_total", outcome="written") == 5, "written")
    expect(page.by("tideway_requests_total", "status", target="campaign-logs").get("done", 0) >= 3, "SFTP")
    page = until(case, loader, lambda p: p.value("tideway_freshness_seconds_count") == 5, "five activities", 40)
    case.drained(FLOW, "load-dataverse")
    expect(page.value("tideway_records_total", outcome="created") == 5, "created")
    expect(page.within("tideway_freshness_seconds", 60) == 0 and page.within("tideway_freshness_seconds", 900) == 3
           and page.within("tideway_freshness_seconds", 1800) == 3
           and page.within("tideway_freshness_seconds", 14400) == 5, page.text)
    expect(page.within("tideway_latency_seconds", 300) == 5, "they waited in the topic for minutes")
    sent = sum(n for route, method, _, n in case.dynamics_box.requests() if "UpsertMultiple" in route)
    expect(sent == page.value("tideway_calls_total", call="UpsertMultiple") > 0,
           f"Dynamics has counted {sent} calls, the loader {page.by('tideway_calls_total', 'call')}")
    total = case.status(FLOW)["load-dataverse"]["total"]
    expect(total["created"] == 5 and total["calls"] == sum(page.by("tideway_calls_total", "call").values()),
           f"status says {total}")


def test_clients_that_say_nothing_or_nonsense_hold_up_nobody(case):
    """Thirty connections that stay silent, others that send garbage or never end: the loader goes on
    as if they were not there, and who asks well is served."""
    topic = one(case)
    topic.case.stages[-1].stop()
    stage = topic.start("asked", options=ON)
    address = urllib.parse.urlsplit(url(case, stage))
    where = (address.hostname, address.port)
    silent = [socket.create_connection(where, 10) for _ in range(30)]
    for words in (b"\r\n" * 1000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000, os.urandom(5000),
                  b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100000,
                  b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500):
        s = socket.create_connection(where, 10)
        s.setblocking(False)
        try:
            s.send(words)
        except OSError:  # closed already
            pass
        silent.append(s)
    began = time.monotonic()
    for i in range(200):
        topic.add(f"k{i}", 2, row={"cusJobTitle": "2"})
    topic.send().drained(10)
    expect(time.monotonic() - began < 10 and topic.counts()["created"] >= 200, "the loader was held up")
    page = until(case, stage, lambda p: p.value("tideway_records_total", outcome="created") == 200, "the page", 30)
    expect(page.value("process_open_fds") < 200, "connections are kept")
    for s in silent:
        s.close()
    for path, status in (("/", 404), ("/metrics/", 404)):
        try:
            get(f"http://{where[0]}:{where[1]}{path}")
            expect(False, f"{path} is answered")
        except urllib.error.HTTPError as e:
            expect(e.code == status, f"{path}: {e.code}")
    client = reader.Client(f"http://{where[0]}:{where[1]}")
    try:
        client.request("PUT", "/metrics", {})
        expect(False, "PUT is taken")
    except reader.ApiError as e:
        expect(" 405" in str(e), str(e))


def test_a_port_that_is_taken_ends_the_start(case):
    """With what to do; 111, because the last process of the place may still be stopping. What can never
    be an address is 100."""
    case.setup("contacts", contacts=1)
    first = case.start("contacts", "load-campaign", options=ON)
    where = urllib.parse.urlsplit(url(case, first)).netloc
    second = case.start("contacts", "load-campaign", name="second", options=("--metrics", where))
    expect(second.wait(20) == 111, second.tail())
    expect(f"{where} is in use" in second.tail() and "--metrics" in second.tail(), second.tail())
    for wrong in ("nonsense", "192.0.2.1:9100", ":9100"):
        third = case.start("contacts", "load-campaign", name="third", options=("--metrics", wrong))
        expect(third.wait(20) == 100 and "metrics" in third.tail(), third.tail())

"""answers - every documented answer of Campaign, in both dialects, and what a loader makes of it; and
how fast it goes against a quota."""
import json
import re
import time
from datetime import datetime

from case import expect
from changes import Changes

SORRY = "An error has occurred - please contact your administrator."
# Adobe, "Recommendations & limitations" of the migration to v8 (column ACS) and "API troubleshooting":
# status, body, and the reason of the dead letter.
REFUSED = {
    "key-mismatch": (500, f"RST-360011 {SORRY} RST-360012 Inconsistent operation on resource 'service' "
                          "Cannot update key 'SVC3' to 'SVC4'."),
    "invalid-value": (500, f"RST-360011 {SORRY} The value 'invalid' is not valid for the "
                           "'nms:recipient:gender' enumeration of the '@gender' field"),
    "read-only": (500, "Cannot update the 'age' property that is read-only / 'age' property is not "
                       "valid for the 'profile' resource."),
    "refused": (404, f"404 - Not Found (\"RST-360011 {SORRY} Error rc=-2003\")"),
    "http-413": (413, "too large"),
}
AGAIN = [
    dict(status=401, body=json.dumps({"error_code": "401013", "message": "Oauth token is not valid"})),
    dict(status=403, body=json.dumps({"error_code": "403023", "message": "Profile is not valid"})),
    dict(status=429), dict(status=502, body=json.dumps({"code": 502, "message": "Oops. Something went "
                                                        "wrong. Check your URI and try again."})),
    dict(status=503, headers={"Retry-After": "1"}), dict(status=504),
    dict(status=500, body=json.dumps({"code": 500, "message": "Oops. Something went wrong. Check your "
                                      "URI and try again."})),
    dict(status=200, body="<html>Sign in</html>"), dict(status=500, body="<html>RST-1</html>"),
    dict(status=500, empty=True), dict(close=True), dict(close=True, after=True), dict(torn=True),
    dict(status=302), dict(status=404, body="<html>"), dict(status=400, body="<html>blocked</html>"),
    dict(status=405), dict(status=407, body="<html>"), dict(status=409), dict(status=425), dict(status=200, body="x" * (2 << 20)),
]


def one(case, dialect="acs", flows=None):
    overlay = {"connections": {"campaign": {"dialect": dialect}}, "flows": {"contacts": flows or {}}}
    if dialect == "v8":
        overlay["flows"]["contacts"]["fields"] = [{"from": "lastname", "to": "lastName"},
                                                  {"from": "jobtitle", "to": "cusJobTitle"},
                                                  {"from": "statecode", "to": "gender",
                                                   "values": {"0": "male", "1": "female"}}]
    case.setup("contacts", contacts=1, overlay=overlay, campaign=("--dialect", dialect))
    topic = Changes(case, "profile")
    topic.start()
    topic.put("k", 1, cusJobTitle="1").drained()
    return topic


def value(case, key="k"):
    found = case.campaign.find("profile", key)
    return found and found["cusJobTitle"]


def test_each_refusal_is_a_dead_letter_with_its_reason(case):
    """Permanent 500s and 4xx: rejected at once, with the code and without what is quoted; the next
    version is written although it is what Campaign had."""
    topic = one(case)
    version = 1
    for number, (reason, (status, text)) in enumerate(REFUSED.items(), 1):
        case.campaign_box.fault(method="PATCH", path="*/profile/k", status=status, count=1,
                                body=json.dumps(text))
        version += 2
        topic.clear().put("k", version, cusJobTitle="refused")
        case.wait(lambda n=number: len(topic.rejected()) == n, 20, f"a dead letter for {reason}")
        topic.put("k", version + 1, cusJobTitle="1").drained()
        expect(topic.calls() == {"PATCH": 1}, f"{reason}: {topic.calls()}")
    out = case.tideway("rejected", "ls")[1]
    for reason in REFUSED:
        expect(f" {reason} " in out or reason in out, f"{reason} is not in: {out}")
    expect("SVC4" not in out and "'invalid'" not in out, f"quoted values are shown: {out}")


def passing(case, dialect):
    topic = one(case, dialect)
    for number, fault in enumerate(AGAIN, 2):
        case.campaign_box.fault(method="PATCH", path="*/profile/k", count=1, **fault)
        topic.put("k", number, cusJobTitle=str(number))
        case.wait(lambda n=number: value(case) == str(n), 40, f"the write after {fault}"[:100])
    topic.drained()
    expect(not topic.rejected(), "something was rejected")
    for number, fault in enumerate(AGAIN):
        if fault.get("after") or fault.get("status") in (401, 403):
            continue
        case.campaign_box.fault(method="POST", path="*/profile", count=1, **fault)
        topic.put(f"new{number}", 1, cusJobTitle="1")
        case.wait(lambda n=number: value(case, f"new{n}") == "1", 40, f"an insert after {fault}"[:100])
    topic.drained()
    names = [p["externalId"] for p in case.campaign.rows("profile")]
    expect(len(names) == len(set(names)), "an insert was made twice")


def test_each_passing_trouble_is_tried_again(case):
    """Gateway errors, pages, nothing, torn and oversized answers: the record arrives in the end, once,
    and nothing is rejected."""
    passing(case, "acs")


def test_each_passing_trouble_is_tried_again_in_v8(case):
    """The same in the other dialect, where a bare 500 to an insert may mean that it is there."""
    passing(case, "v8")


def test_an_insert_of_what_is_there_becomes_an_update(case):
    """on_unknown: post meets a record of the key: "already exists", and one PATCH, no dead letter."""
    topic = one(case, flows={"on_unknown": "post"})
    for i in range(10):
        case.campaign.request("POST", "/profile", {"externalId": f"there{i}", "lastName": "Before"})
    topic.clear()
    for i in range(10):
        topic.add(f"there{i}", 1, row={"cusJobTitle": "1"})
    topic.send().costs("inserts of what is there", POST=10, PATCH=10)
    expect(all(value(case, f"there{i}") == "1" for i in range(10)), "not updated")
    counts = topic.counts()
    expect((counts["created"], counts["updated"], counts["rejected"]) == (1, 10, 0), str(counts))


def test_an_insert_whose_answer_is_lost_is_not_sent_again(case):
    """on_unknown: post; the insert was done, its answer is torn, lost or a gateway's: a PATCH finds out,
    and no second POST is made."""
    topic = one(case, flows={"on_unknown": "post"})
    for i, fault in enumerate((dict(close=True, after=True), dict(torn=True, after=True),
                               dict(status=502, after=True), dict(status=504, after=True))):
        case.campaign_box.fault(method="POST", path="*/profile", count=1, **fault)
        topic.put(f"n{i}", 1, cusJobTitle="1").drained()
        expect(value(case, f"n{i}") == "1", f"{fault}: it is not there")
    expect(case.campaign_box.count("profile", "POST", 500) == 0, "an insert was sent twice")
    expect(not topic.rejected(), "a dead letter")


# Adobe, as above: an invalid PKey in the URI, in both columns.
BAD_PKEY = {"acs": (500, "'O5iRp40EGA' attribute unknown (see definition of 'Profiles (nms:recipient)' schema). "
                         "XTK-170036 Unable to parse expression '@id = @O5iRp40EGA'."),
            "v8": (404, "Unable to decrypt PKey. (PKey=@O5iRp40EGA)")}


def test_a_pkey_that_is_refused_is_looked_up_again(case):
    """address: filter, both dialects: a PKey that Campaign takes no more is looked up once more, and the
    record is written; one that it has just given and does not take is a dead letter, not the end."""
    with open("tests/sandbox/campaign/resources/cusLoyaltyCard.json", encoding="utf-8") as f:
        name, about = next(iter(json.load(f)["filters"].items()))
    case.setup("contacts", contacts=1)
    case.tideway("topics", "create", "--flow", "loyalty-cards")
    topic = Changes(case, "cusLoyaltyCard")
    for number, (dialect, (status, text)) in enumerate(BAD_PKEY.items()):
        case.campaign_box.stop()
        case.campaign_box = case.sandbox("sandbox-campaign", case.dynamics_port + 1, "--dialect", dialect,
                                         "--custom-keys", "no")
        case.configure({"connections": {"campaign": {"dialect": dialect}}, "flows": {"loyalty-cards": {
            "on_unknown": "post", "address": "filter", "address_filter": {
                "name": about["v8"] if dialect == "v8" else name,
                "parameter": next(iter(about["parameters"]))}}}})
        stage = topic.start(dialect)
        key = f"k-{dialect}"
        topic.put(key, 1, note="1", active=True).drained()
        case.campaign_box.fault(method="PATCH", path="*/cusLoyaltyCard/*", status=status, count=1,
                                body=json.dumps(text))
        topic.clear().put(key, 2, note="2", active=True)
        topic.costs(f"a PKey that is refused once by {dialect}", GET=2, PATCH=1)
        case.campaign_box.fault(method="PATCH", path="*/cusLoyaltyCard/*", status=status, count=2,
                                body=json.dumps(text))
        topic.put(key, 3, note="3", active=True)
        case.wait(lambda n=number: len(topic.rejected()) == n + 1, 20, "a dead letter")
        topic.put(key, 4, note="4", active=True).drained()
        notes = [r["note"] for r in case.campaign.rows("cusLoyaltyCard") if r["cardId"] == key]
        expect(notes == ["4"], f"{dialect}: {notes}")
        stage.stop()
    expect("bad-pkey" in case.tideway("rejected", "ls")[1], "no reason")


def test_what_was_done_is_reported(case):
    """Created, updated, deleted, unchanged, rejected by reason and calls by kind: in the log at the end,
    in status in all and of this hour, over a kill and a second loader."""
    topic = one(case)
    for i in range(10):
        topic.add(f"n{i}", 1, row={"cusJobTitle": "1"})
    topic.send().drained()
    case.campaign_box.fault(method="PATCH", path="*/profile/n0", status=400, count=1, body="RST-1 bad")
    for i in range(10):
        topic.add(f"n{i}", 2, row={"cusJobTitle": "2"})
        topic.add(f"n{i}", 3, row={"cusJobTitle": "2"})
    topic.send()
    case.wait(lambda: len(topic.rejected()) == 1, 20, "the dead letter")
    topic.drained()
    case.stages[-1].kill()
    stage = topic.start("second")
    for i in range(1, 4):
        topic.add(f"n{i}", 4, row={"cusJobTitle": "2"})
    topic.add("n4", 4, op="delete").send().drained()
    case.campaign_box.fault(method="PATCH", path="*/profile/n5", status=400, count=1, body="RST-1 bad")
    topic.put("n5", 4, cusJobTitle="3")
    case.wait(lambda: len(topic.rejected()) == 2, 20, "the next dead letter")
    topic.drained()
    status = case.status("contacts")["load-campaign"]
    want = {"created": 11, "deleted": 1, "rejected": 2}
    expect({k: status["total"][k] for k in want} == want, str(status["total"]))
    same = status["total"]["unchanged"] + status["total"]["coalesced"]
    expect(same >= 12, f"{same} of 13 were unchanged or coalesced")
    if status["hour"] != status["total"]:  # the hour has turned in between
        expect(all(status["hour"][k] <= n for k, n in status["total"].items()), str(status["hour"]))
    stage.stop()
    log = case.log(stage)
    line = next(x for x in log.splitlines() if "msg=counts" in x)
    for word in ("created=0", "deleted=1", "unchanged=3", "rejected=1", "requests=2"):
        expect(word in line, f"{word} is not in: {line}")
    for words in ("msg=calls kind=delete count=1", "msg=calls kind=patch count=1",
                  'msg="rejected in all" reason=refused count=1'):
        expect(words in log, f"{words} is not in: {log[-800:]}")


def test_credentials_that_are_refused_pause_the_loader(case):
    """401 with every token: one new token, then a pause for all, not a storm; the record arrives when
    the credentials are good again."""
    topic = one(case)
    case.campaign_box.fault(path="/acme/campaign/*", status=401, count=1000000, body=json.dumps(
        {"error_code": "401013", "message": "Oauth token is not valid"}))
    for i in range(50):
        topic.add(f"n{i}", 1, row={"cusJobTitle": "1"})
    topic.clear().send()
    case.wait(lambda: case.campaign_box.count(status=401) > 0, 20, "a 401")
    end = time.monotonic() + 6
    case.wait(lambda: time.monotonic() > end, 10, "a while")
    refused, tokens = case.campaign_box.count(status=401), case.campaign_box.count("token")
    expect(refused <= 70 and tokens <= 3, f"{refused} requests, {tokens} tokens in 6 s")
    case.campaign_box.no_faults()
    topic.drained(60)
    expect(not topic.rejected(), "a 401 became a dead letter")


def test_unknown_answers_are_bounded_and_counted(case):
    """An answer that nobody documented becomes a dead letter after some tries, while others pass."""
    topic = one(case)
    case.campaign_box.fault(method="PATCH", path="*/profile/k", status=500, count=1000000,
                            body=json.dumps("a text that nobody has documented"))
    topic.put("k", 2, cusJobTitle="2")
    number = iter(range(100000))

    def others():
        topic.put(f"o{next(number)}", 1, cusJobTitle="1")
        return len(topic.rejected()) == 1
    case.wait(others, 90, "the dead letter")
    case.stages[-1].stop()
    counts = re.search(r"unknown_answers=(\d+)", case.log(case.stages[-1]).split("msg=counts")[-1])
    expect(counts and 6 <= int(counts[1]) <= 10, f"unknown answers: {counts and counts[1]}")


def test_v8_refuses_without_a_word(case):
    """v8: a duplicate key and a bad value are both a bare 500. An insert that is one is resolved by a
    PATCH; a bad value ends as a dead letter; 429 is obeyed."""
    topic = one(case, "v8", {"on_unknown": "post"})
    case.campaign.request("POST", "/profile", {"externalId": "there", "lastName": "Before"})
    topic.put("there", 1, cusJobTitle="1").drained()
    expect(value(case, "there") == "1", "a duplicate was not resolved")
    topic.add("bad", 1, row={"cusJobTitle": "x" * 5000}).send()
    case.wait(lambda: len(topic.rejected()) == 1, 60, "the dead letter")
    topic.put("k", 2, cusJobTitle="2").drained()
    expect(value(case) == "2", "the next record")


def test_two_loaders_share_a_quota(case):
    """100 requests a second for two: within a minute each has 40 to 60 % of it, 429 are under 2 %."""
    case.setup("contacts", contacts=1, campaign=("--rate", "100", "--retry-after", "1"),
               overlay={"flows": {"contacts": {"on_unknown": "post"}}})
    topic = Changes(case, "profile")
    stages = [topic.start("a")]
    for i in range(13000):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    topic.send()
    stages.append(topic.start("b"))

    def counts():
        """The time and the requests of the last line of each."""
        found = [re.findall(r"ts=(\S+).*?msg=progress records=[1-9].*?requests=(\d+)", case.log(s))
                 for s in stages]
        return [(datetime.fromisoformat(f[-1][0]).timestamp(), int(f[-1][1])) if f else (0, 0)
                for f in found]
    case.wait(lambda: all(c[0] for c in counts()), 60, "both to work")
    end = time.monotonic() + 55
    case.wait(lambda: time.monotonic() > end, 65, "a minute, nearly")
    before, began = counts(), time.monotonic()
    refused = case.campaign_box.count(status=429)
    end = began + 31
    case.wait(lambda: time.monotonic() > end, 40, "thirty seconds more")
    after = counts()
    done = [31 * (a[1] - b[1]) / (a[0] - b[0]) for a, b in zip(after, before)]
    share = done[0] / sum(done)
    refused = case.campaign_box.count(status=429) - refused
    expect(0.4 <= share <= 0.6, f"the first has {share:.2f} of {done}")
    expect(refused < 0.02 * sum(done), f"{refused} answers of {sum(done)} were 429")


def test_the_budget_of_a_second_holds(case):
    """max_requests_per_second is not exceeded, whatever Campaign would take."""
    case.setup("contacts", contacts=1, overlay={"connections": {"campaign": {"max_requests_per_second": 50}}})
    topic = Changes(case, "profile")
    for i in range(200):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    topic.send()
    topic.start()
    case.wait(lambda: topic.calls().get("PATCH", 0) > 20, 20, "the first calls")
    began, first = time.monotonic(), sum(topic.calls().values())
    case.wait(lambda: sum(topic.calls().values()) >= first + 200, 20, "200 calls more")
    rate = (sum(topic.calls().values()) - first) / (time.monotonic() - began)
    expect(rate < 60, f"{rate:.0f} requests a second")


def test_the_budget_of_a_day_survives_kills_and_is_shared(case):
    """max_requests_per_day is used up by one loader, which is killed; two that come after it send
    nothing more on that day, and nothing is rejected."""
    case.setup("contacts", contacts=1, overlay={
        "flows": {"contacts": {"on_unknown": "post"}},
        "connections": {"campaign": {"max_requests_per_day": 40}}})
    topic = Changes(case, "profile")
    topic.clear()
    for i in range(100):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    topic.send()
    stages = [topic.start("first")]

    def full(stage):
        case.wait(lambda: "max_requests_per_day is reached" in case.log(stage), 30, "the budget")
    full(stages[0])
    used = sum(topic.calls().values())
    expect(used == 40, f"{used} requests")
    committed = case.status("contacts")["load-campaign"]["total"]["calls"]
    case.wait(lambda: case.status("contacts")["load-campaign"]["total"]["calls"] == used, 20,
              f"all calls to be committed, not {committed}")
    stages[0].kill()
    stages = [topic.start("second"), topic.start("third")]
    for stage in stages:
        full(stage)
    case.wait(lambda: all("msg=progress" in case.log(s) for s in stages), 30, "both to work a while")
    expect(sum(topic.calls().values()) == used, f"{topic.calls()} after a kill, not {used}")
    expect(not topic.rejected(), "something was rejected")

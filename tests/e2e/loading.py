"""loading - what targets do to a loader, and rebalances and kills at the wrong moment: order stays,
nothing is lost, and nothing that only waits becomes a dead letter."""
import io
import json
import os
import signal
import struct
import subprocess
import time

import reader
from case import expect
from changes import Changes
from extraction import wired
from failures import java, topics
from wire import Wire
from world import World, topic_keys, wait_until

DUPLICATE = json.dumps(
    "A 'Profile' with the same key 'x' already exists. PGS-220000 PostgreSQL error: ERROR: duplicate "
    "key value violates unique constraint \"x\" DETAIL: Key (semail)=(a@example.com) already exists.")
DEAD = "rejected.contacts.load-campaign"
OOPS = json.dumps({"code": 500, "message": "Oops. Something went wrong. Check your URI and try again."})

# Answers that take long are waited for.
SLOW = {"flows": {"contacts": {"request_timeout": "15s"}}}


def loader(case, program="load-campaign"):
    return next(s for s in case.stages if s.program == program and s.running())


def rejected(case, stage="load-campaign", flow="contacts"):
    return topic_keys(case.world_env, case.topic(f"rejected.{flow}.{stage}"))


def headers(case, suffix):
    return subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                           case.topic(suffix), "-f", "%h\\n"], capture_output=True, text=True,
                          check=True).stdout


def put(case, suffix, key, value, *options):
    """Writes one message, as somebody else's producer might."""
    words = ["kcat", "-b", case.env["KAFKA_BROKERS"], "-P", "-t", case.topic(suffix), "-X",
             "topic.partitioner=murmur2_random", *options]
    if value is None:
        subprocess.run([*words, "-Z", "-K", ":"], input=f"{key}:\n".encode(), check=True)
        return
    path = case.world.path("config", f"{case.name}.message")
    with open(path, "wb") as f:
        f.write(value)
    subprocess.run([*words, "-k", key, path], check=True)


def encode(case, suffix, datum, number=None, schema=None):
    import avro.io
    import avro.schema
    latest = reader.Client(case.env["REGISTRY_URL"]).get(
        f"/subjects/{case.topic(suffix)}-value/versions/latest")
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(schema or latest["schema"])).write(
        datum, avro.io.BinaryEncoder(out))
    return b"\0" + struct.pack(">I", number or latest["id"]) + out.getvalue()


def title(case, key):
    return case.campaign.find("profile", key)["cusJobTitle"]


def titles(case, key):
    return [h["body"].get("cusJobTitle") for h in case.campaign_box.history(key)
            if h["body"].get("cusJobTitle", "").isdigit()]


def update_all(case, value):
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    case.dynamics.update_many("contacts", "contact", "contactid", {i: {"jobtitle": value} for i in ids})
    return ids


# ---- answers ---------------------------------------------------------------------------------------

def test_a_value_that_another_record_has_is_a_dead_letter(case):
    """Campaign says "already exists" about a key that it does not know: another attribute must be
    unique. The record is rejected after one more look, not tried for ever."""
    case.setup("contacts", contacts=2)
    case.campaign_box.fault(method="POST", path="*/profile", status=500, body=DUPLICATE, count=1000000)
    case.start("contacts")
    case.wait(lambda: len(rejected(case)) == 2, 20, "two dead letters")
    posts = case.campaign_box.count(method="POST", status=500)
    expect(posts <= 4, f"{posts} POSTs for 2 records")
    expect("duplicate-key" in headers(case, "rejected.contacts.load-campaign"), "no reason")
    case.drained("contacts", "load-campaign")


def outage(case, body, content_type):
    case.setup("contacts", contacts=40)
    case.start("contacts")
    case.agree()
    case.campaign_box.fault(path="/acme/campaign/*", status=500, count=1000000, body=body,
                            headers={"Content-Type": content_type})
    case.campaign_box.clear()
    update_all(case, "1")
    # The breaker opens, and now and then one request tries.
    case.wait(lambda: case.campaign_box.count(status=500) >= 12, 40, "answers of 500")
    loader = next(s for s in case.stages if "load-campaign" in s.name)
    case.wait(lambda: "the target is away" in case.log(loader), 20, "the breaker")
    expect(case.campaign_box.count(status=500) < 40 * 3, "the outage is met with requests")
    expect(not rejected(case), f"{len(rejected(case))} dead letters in an outage")
    case.campaign_box.no_faults()
    case.agree(60)
    expect(not rejected(case), "dead letters after the outage")


def test_an_outage_of_the_gateway_fills_no_dead_letters(case):
    """The gateway's 500 is an outage, however long."""
    outage(case, OOPS, "application/json")


def test_an_outage_with_answers_that_nobody_knows_fills_no_dead_letters(case):
    """While nothing goes through, an unknown answer says nothing about a record."""
    outage(case, "<html>Server Error</html>", "text/html")


def test_an_unknown_answer_to_one_record_is_a_dead_letter_in_the_end(case):
    """While others go through, a record that always gets an unknown 500 is rejected."""
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    bad = case.dynamics.rows("contacts")[3]["contactid"]
    case.campaign_box.fault(method="PATCH", path="*" + bad, status=500, count=1000000,
                            body="An error has occurred")
    number = [0]

    def more():
        number[0] += 1
        update_all(case, str(number[0]))
        return rejected(case)
    wait_until(more, 60, "a dead letter", pause=0.5)
    expect({k for _, _, k, _ in rejected(case)} == {bad}, "other records were rejected")


def test_a_token_that_is_no_good_is_renewed_once(case):
    """Tokens are revoked while many requests are out: late answers to the old one ask for no more."""
    case.setup("contacts", contacts=300)
    case.start("contacts")
    case.agree()
    case.drained("contacts", "load-campaign")
    case.campaign_box.fault(method="PATCH", delay_ms=50, probability=0.5, count=1000000)
    case.campaign_box.clear()
    update_all(case, "1")
    wait_until(lambda: case.campaign_box.count("profile", "PATCH", 200) > 60, 20, "some", pause=0.01)
    case.campaign_box.control.request("POST", "/_sandbox/revoke-tokens")
    case.wait(lambda: case.campaign_box.count("profile", "PATCH", 200) >= 300, 30, "all writes")
    refused = case.campaign_box.count(status=401)
    expect(refused > 5, f"only {refused} requests met the revocation")
    expect(case.campaign_box.count("token") == 1, f"{case.campaign_box.count('token')} tokens")


def test_what_products_say_about_a_record_shows_nothing_of_it(case):
    """Headers and logs hold codes and known words, never the values that an answer quotes."""
    case.setup("contacts", contacts=10)
    case.start("contacts")
    case.agree()
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    said = [json.dumps({"error_code": "400", "message": 'The value "Zweigmann" is not valid'}),
            json.dumps("RST-360011 An error has occurred. The value 'O'Zweigmann' is not valid for "
                       "the 'x' enumeration, see <Zweigmann>, (Zweigmann) and “Zweigmann”"),
            "Zweigmann is unknown here"]
    for i, (key, text) in enumerate(zip(ids, said)):
        case.campaign_box.fault(method="PATCH", path="*" + key, status=(400, 500, 400)[i], count=1,
                                body=text)
        case.dynamics.update("contacts", key, {"jobtitle": "1"})
    # The first and the last are documented nowhere: they are asked again, and the log says why.
    case.wait(lambda: len(rejected(case)) == 1, 20, "the dead letter")
    case.drained("contacts", "load-campaign")
    shown = headers(case, "rejected.contacts.load-campaign") + case.log(loader(case))
    expect("Zweigmann" not in shown, "a name is shown")
    expect("RST-360011" in shown and "error code 400" in shown, "the codes are not shown")


# ---- order -----------------------------------------------------------------------------------------

def test_a_frozen_loader_does_not_bring_back_an_old_version(case):
    """A loader is frozen with a request out until its partitions are another's, and thaws to an answer
    that says: again. It is not its record any more."""
    case.setup("contacts", contacts=40, overlay=SLOW)
    case.start("contacts")
    case.agree()
    frozen = loader(case)
    key = case.dynamics.rows("contacts")[7]["contactid"]
    case.drained("contacts", "load-campaign")
    case.campaign_box.fault(method="PATCH", path="*" + key, delay_ms=12000, status=503, count=1)
    case.dynamics.update("contacts", key, {"jobtitle": "1"})
    case.wait(lambda: case.campaign_box.control.get("/_sandbox/stats")["in_flight_max"] and any(
        m["value"] and m["value"]["row"]["cusJobTitle"] == "1"
        for m in case.messages("campaign.profile")), 20, "the first version")
    case.drained("contacts", "transform-contact")
    wait_until(lambda: case.status("contacts")["load-campaign"]["backlog"] > 0, 10, "it to be out")
    frozen.signal(signal.SIGSTOP)
    case.world_env.stages.remove(frozen)
    case.start("contacts", "load-campaign", name="other")
    wait_until(lambda: title(case, key) == "1", 40, "the other one to write the first")
    case.dynamics.update("contacts", key, {"jobtitle": "2"})
    wait_until(lambda: title(case, key) == "2", 20, "the other one to write the second")
    frozen.signal(signal.SIGCONT)
    wait_until(lambda: "partitions lost" in case.log(frozen) or not frozen.running(), 20,
               "the frozen one to see that it lost its partitions")
    wait_until(lambda: case.campaign_box.count(status=503) >= 1, 20, "the late answer")
    case.dynamics.update("contacts", case.dynamics.rows("contacts")[8]["contactid"], {"jobtitle": "3"})
    case.agree(30)
    end = time.monotonic() + 4  # a retry would be out by then
    wait_until(lambda: time.monotonic() > end, 10, "a while")
    expect(titles(case, key) == ["1", "2"], f"writes of the key: {titles(case, key)}")


def test_a_loader_that_lets_go_waits_for_what_is_out(case):
    """A second loader joins while slow requests are out: each is answered before its partition moves,
    so nothing is written twice and no version comes back."""
    case.setup("contacts", contacts=60, overlay=SLOW)
    case.start("contacts")
    case.agree()
    case.drained("contacts", "load-campaign")
    case.campaign_box.fault(method="PATCH", delay_ms=3000, count=60)
    case.campaign_box.clear()
    ids = update_all(case, "1")
    case.wait(lambda: case.campaign_box.control.get("/_sandbox/stats")["in_flight_max"] >= 30, 20,
              "many requests to be out")
    second = case.start("contacts", "load-campaign", name="second")
    case.wait(lambda: "partitions assigned\" count=2" in case.log(second), 40, "the second to have two")
    case.agree(40)
    twice = [i for i in ids if titles(case, i) != ["1"]]
    expect(not twice, f"{len(twice)} of 60 records were written more than once")


def test_a_loader_that_is_stopped_with_a_request_out_leaves_word_of_it(case):
    """A request is out for longer than a stop waits: the next loader knows of it, and waits until it has
    landed before it writes."""
    topic = Changes(case.setup("contacts", contacts=1, overlay=SLOW), "profile")
    stage = topic.start("first")
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path="*/profile/k", delay_ms=14000, count=1)
    topic.put("k", 2, cusJobTitle="2")
    case.wait(lambda: case.status("contacts")["load-campaign"]["backlog"] > 0, 10, "it to be out")
    end = time.monotonic() + 1
    case.wait(lambda: time.monotonic() > end, 5, "a moment")
    stage.signal(signal.SIGTERM)
    case.world_env.stages.remove(stage)
    wait_until(lambda: not stage.running(), 20, "it to stop")
    topic.put("k", 3, cusJobTitle="3")
    after = topic.start("next")
    topic.drained(60)
    expect("left requests behind" in case.log(after), "no word of it")
    seen = [h["body"]["cusJobTitle"] for h in topic.history("k")]
    expect(seen[-1] == "3" and seen == sorted(seen), f"writes: {seen}")


def test_a_late_refusal_while_a_second_loader_joins_is_not_sent_again(case):
    """A record is out for long and then refused with 503 while its partition moves to another."""
    case.setup("contacts", contacts=30, overlay=SLOW)
    case.start("contacts")
    case.agree()
    case.drained("contacts", "load-campaign")
    keys = [next(k for p, _, k, _ in topic_keys(case.world_env, case.topic("campaign.profile"))
                 if p == partition) for partition in range(4)]
    for key in keys:
        case.campaign_box.fault(method="PATCH", path="*" + key, delay_ms=6000, status=503, count=1)
        case.dynamics.update("contacts", key, {"jobtitle": "1"})
    wait_until(lambda: case.status("contacts")["load-campaign"]["backlog"] >= 4, 10, "they to be out")
    second = case.start("contacts", "load-campaign", name="second")
    case.wait(lambda: "partitions assigned\" count=2" in case.log(second), 40, "the second to have two")
    for key in keys:
        wait_until(lambda k=key: title(case, k) == "1", 30, "the first version")
        case.dynamics.update("contacts", key, {"jobtitle": "2"})
    case.agree(30)
    for key in keys:
        expect(titles(case, key) == ["1", "2"], f"writes of a key: {titles(case, key)}")


# ---- what stands in the topics -----------------------------------------------------------------------

def test_a_delete_is_a_record_and_a_tombstone_and_either_deletes(case):
    """Both topics hold the delete and then a tombstone, so that compaction forgets the key; a loader
    that meets only the tombstone, because compaction took the rest, deletes all the same."""
    case.setup("contacts", contacts=10)
    case.start("contacts")
    case.agree()
    gone, bare = [c["contactid"] for c in case.dynamics.rows("contacts")[:2]]
    case.dynamics.delete("contacts", gone)
    case.agree()
    for suffix in ("crm.contact", "campaign.profile"):
        mine = [m["value"] and m["value"]["op"] for m in case.messages(suffix) if m["key"] == gone]
        expect(mine[-2:] == ["delete", None], f"{suffix} ends with {mine}")
    put(case, "campaign.profile", bare, None)
    wait_until(lambda: not any(p["externalId"] == bare for p in case.campaign.rows("profile")), 20,
               "the bare tombstone to delete")
    expect(not rejected(case), "there are dead letters")


def test_a_consent_flag_in_the_topic_is_never_written_as_false(case):
    """Whoever wrote the record: the loader opts nobody in."""
    case.setup("contacts", contacts=10)
    case.start("contacts")
    case.agree()
    import datetime
    key = case.dynamics.rows("contacts")[2]["contactid"]
    case.campaign.update("profile", key, {"blackListEmail": True})
    schema = json.loads(reader.Client(case.env["REGISTRY_URL"]).get(
        f"/subjects/{case.topic('campaign.profile')}-value/versions/latest")["schema"])
    fields = next(f for f in schema["fields"] if f["name"] == "row")["type"][1]["fields"]
    row = {f["name"]: None for f in fields}
    row.update(blackListEmail=False, lastName="Foreign")
    put(case, "campaign.profile", key, encode(case, "campaign.profile", {
        "op": "upsert", "id": key, "epoch": 2 ** 42, "version": 2 ** 42, "modified_at": None,
        "observed_at": datetime.datetime.now(datetime.timezone.utc), "origin": "delta", "row": row}))
    wait_until(lambda: case.campaign.find("profile", key)["lastName"] == "Foreign", 20, "the record")
    expect(case.campaign.find("profile", key)["blackListEmail"] is True, "somebody was opted in")


def test_large_records_pass_or_are_dead_letters(case):
    """A row of a megabyte travels like any other; junk of the largest size is a dead letter; no stage
    ends."""
    wire = wired(case, 5)
    case.start("contacts")
    case.agree()
    put(case, "crm.contact", "junk", b"x" * 9000000, "-X", "message.max.bytes=9437184")
    case.wait(lambda: len(rejected(case, "transform-contact")) == 1, 20, "the junk to be rejected")
    size = rejected(case, "transform-contact")[0][3]
    expect(size == 9000000, f"the dead letter has {size} bytes")
    large = case.dynamics.rows("contacts")[0]["contactid"]

    @wire.rule
    def _(e):  # a memo column may hold 1,048,576 characters
        if e.is_page("contacts") and e.is_delta() and large.encode() in e.body:
            page = e.json()
            for row in page["value"]:
                if row.get("contactid") == large:
                    row["jobtitle"] = "x" * 1100000
            e.answer(200, page)
    case.dynamics.update("contacts", large, {"jobtitle": "large"})
    case.wait(lambda: len(rejected(case, "transform-contact")) == 2, 20,
              "the large row to be found too long for Campaign")
    change = case.dynamics.rows("contacts")[1]["contactid"]
    case.dynamics.update("contacts", change, {"jobtitle": "1"})
    wait_until(lambda: title(case, change) == "1", 40, "the flow to go on")


def test_a_body_larger_than_the_loader_takes_is_a_dead_letter(case):
    """Four and a half megabytes in one attribute: rejected, never sent cut off."""
    topic = Changes(case.setup("contacts", contacts=1), "profile")
    topic.start()
    topic.put("k", 1, cusJobTitle="1").drained()
    topic.clear().put("k", 2, cusJobTitle="x" * 4500000)
    case.wait(lambda: len(topic.rejected()) == 1, 20, "the dead letter")
    expect("too-large" in headers(case, DEAD), "no reason")
    topic.put("k", 3, cusJobTitle="3").drained()
    expect(topic.calls() == {"PATCH": 1} and len(topic.history("k")) == 2, f"{topic.calls()}")


# ---- kills and rebalances ----------------------------------------------------------------------------

def largest(case, size):
    """Sets what the dead-letter topic takes."""
    java(case, "kafka.admin.ConfigCommand", "--bootstrap-server", case.env["KAFKA_BROKERS"], "--alter",
         "--topic", case.topic(DEAD), "--add-config", f"max.message.bytes={size}")


def acl(case, *words):
    java(case, "org.apache.kafka.tools.AclCommand", "--bootstrap-server", case.env["KAFKA_BROKERS"], "--topic",
         case.topic(DEAD), *words)


def gives_up(case, stage, why):
    """It says which topic refuses what, and ends with 111, in a bounded time."""
    case.world_env.stages.remove(stage)
    wait_until(lambda: not stage.running(), 60, f"the loader to give up: {why}")
    log = case.log(stage)
    expect(stage.process.returncode == 111, f"{why}: it ended with {stage.process.returncode}")
    expect(case.topic(DEAD) in log.splitlines()[-1] and why in log, f"{why} is not said: {log[-600:]}")


def test_a_dead_letter_that_its_topic_refuses_ends_with_111(case):
    """Too large for the topic, no right to write to it, the topic deleted: the loader says so, ends with
    111, and has not acknowledged the record; mended, the dead letter is written."""
    topic = Changes(case.setup("contacts", contacts=1), "profile")
    topic.start("first")
    topic.put("k", 1, cusJobTitle="1").drained()
    number = iter(range(2, 100))

    def refuse(how, why):
        stage = case.stages[-1]
        case.campaign_box.fault(method="PATCH", path="*/profile/k", status=400, count=1000, body="RST-1 bad")
        how()
        version = next(number)
        topic.put("k", version, cusJobTitle=str(version))
        gives_up(case, stage, why)
        expect(case.status("contacts")["load-campaign"]["backlog"] > 0, f"{why}: acknowledged")

    def mended(count):
        stage = topic.start(f"mended-{next(number)}")
        case.wait(lambda: len(topic.rejected()) == count, 30, "the dead letter")
        topic.drained()
        return stage
    refuse(lambda: largest(case, 10), "Message size too large")
    largest(case, 9437184)
    mended(1)
    refuse(lambda: acl(case, "--add", "--allow-principal", "User:*", "--operation", "Read"),
           "Topic authorization failed")
    acl(case, "--remove", "--force")
    mended(2)
    refuse(lambda: topics(case, "--delete", "--topic", case.topic(DEAD)), "is gone")
    case.tideway("topics", "create", "--flow", "contacts")
    mended(1)


def test_an_outage_of_the_broker_is_no_refusal(case):
    """Nothing can be produced for longer than refusals are borne: the loader is still there afterwards,
    and the dead letter is written."""
    # The broker is shared: this test runs its own.
    own = World("e2e-stopped", case.world.base + 30, 50)
    own.wipe()
    try:
        own.up("broker", "registry", quiet=True)
        case.env.update(KAFKA_BROKERS=own.env["KAFKA_BROKERS"], REGISTRY_URL=own.env["REGISTRY_URL"])
        topic = Changes(case.setup("contacts", contacts=1), "profile")
        stage = topic.start()
        case.campaign_box.fault(method="PATCH", path="*/profile/*", status=400, count=100000,
                                body="RST-1 bad", delay_ms=100)
        for i in range(1000):
            topic.add(f"k{i}", 1, row={})
        topic.send()
        case.wait(lambda: case.campaign_box.count(status=400) > 0, 20, "the first refused write")
        with open(own.path("pids", "broker.pid"), encoding="ascii") as f:
            broker = int(f.read())
        os.kill(broker, signal.SIGSTOP)
        end = time.monotonic() + 25
        wait_until(lambda: not stage.running() or time.monotonic() > end, 40, "an outage")
        os.kill(broker, signal.SIGCONT)
        expect(stage.running(), f"it ended: {case.log(stage)[-600:]}")
        topic.drained(60)
        expect(len(topic.rejected()) == 1000, f"{len(topic.rejected())} dead letters")
    finally:
        for stage in case.stages:
            stage.kill()
        own.down()


def test_a_dead_letter_is_acknowledged_only_when_it_is_written(case):
    """The dead-letter topic takes nothing: the loader ends and the record's offset stays, so the next one
    meets it again, and the dead letter is written."""
    case.setup("contacts", contacts=5)
    case.start("contacts")
    case.agree()
    case.drained("contacts", "load-campaign")
    largest(case, 10)
    stage = loader(case)
    bad = case.dynamics.rows("contacts")[1]["contactid"]
    case.campaign_box.fault(method="PATCH", path="*" + bad, status=400, count=2, body="RST-1 bad")
    case.dynamics.update("contacts", bad, {"jobtitle": "1"})
    case.world_env.stages.remove(stage)
    expect(stage.wait(30) == 111, "the loader ended otherwise")
    expect(case.status("contacts")["load-campaign"]["backlog"] > 0, "the record was acknowledged")
    largest(case, 9437184)
    case.start("contacts", "load-campaign")
    case.wait(lambda: len(rejected(case)) == 1, 30, "the dead letter")
    expect(rejected(case)[0][2] == bad, "it is another record")
    case.drained("contacts", "load-campaign")


def test_events_that_dynamics_did_not_acknowledge_are_sent_again(case):
    """Dynamics answers nothing but 503 while the loader waits beyond its commit interval and is
    killed: every event arrives afterwards."""
    case.setup("email-events", "contacts", contacts=60)
    case.start("contacts")
    case.agree()
    case.start("email-events")
    case.dynamics_box.fault(method="POST", path="*UpsertMultiple*", status=503, count=100000)
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.wait(lambda: case.dynamics_box.count(status=503) >= 8, 40, "batches to be refused")
    loader(case, "load-dataverse").kill()
    case.dynamics_box.no_faults()
    case.start("email-events", "load-dataverse")
    case.agree(40, events=True)


def test_a_transformer_that_waits_for_the_registry_goes_on_after_a_rebalance(case):
    """One record waits for its schema; a second transformer takes its partition over. The first one
    goes on with the partitions that it kept."""
    case.setup("contacts", contacts=80)
    registry = Wire(case.world.base + 55 + case.slot, case.world.base + 2)
    case.sandboxes.append(registry)
    env = {"REGISTRY_URL": registry.url + "/apis/ccompat/v7"}
    case.start("contacts", "extract-dataverse")
    first = case.start("contacts", "transform-contact", name="first", env=env)
    case.wait(lambda: len(topic_keys(case.world_env, case.topic("campaign.profile"))) == 80, 20, "80")
    case.drained("contacts", "transform-contact")
    topic = case.topic("crm.contact")
    client = reader.Client(case.env["REGISTRY_URL"])
    schema = json.loads(client.get(f"/subjects/{topic}-value/versions/latest")["schema"])
    schema["doc"] = "another"
    number = client.request("POST", f"/subjects/{topic}-value/versions",
                            {"schema": json.dumps(schema)})["id"]
    away = [True]

    @registry.rule
    def _(e):
        if away[0] and e.path.endswith(f"/schemas/ids/{number}"):
            e.answer(503)
    old = next(m for m in case.messages("crm.contact") if m["value"] and m["partition"] == 0)
    raw = subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-q", "-t", topic, "-p", "0",
                          "-o", str(old["offset"]), "-c", "1", "-f", "%s"], capture_output=True,
                         check=True).stdout
    put(case, "crm.contact", old["key"], b"\0" + struct.pack(">I", number) + raw[5:], "-p", "0")
    case.wait(lambda: "msg=waiting" in case.log(first), 20, "the first to wait")
    second = case.start("contacts", "transform-contact", name="second", env=env)
    case.wait(lambda: "partitions assigned\" count=2" in case.log(second), 30, "the second to have two")
    away[0] = False
    update_all(case, "after")
    case.start("contacts", "load-campaign")
    case.agree(60)

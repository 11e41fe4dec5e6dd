"""memory - what load-campaign remembers of Campaign: one call a change and none for nothing, and the
ways in which a call that is saved could be a write that is lost."""
import json
import random
import signal

import reader
from case import expect
from changes import SHOPS, Changes, with_flows
from failures import java, topics
from world import topic_keys, wait_until

PATCHES = "*/profile/*"


def profiles(case, overlay=None, campaign=(), start=True):
    case.setup("contacts", contacts=1, overlay=overlay, campaign=campaign)
    topic = Changes(case, "profile")
    if start:
        topic.start()
    return topic


def titled(case, key):
    found = case.campaign.find("profile", key)
    return found and found["cusJobTitle"]


def never_back(topic, keys):
    """The target never went from a newer version to an older one."""
    for key in keys:
        seen = [int(h["body"]["cusJobTitle"]) for h in topic.history(key)
                if h["body"].get("cusJobTitle", "").isdigit()]
        expect(seen == sorted(seen), f"{key} went back: {seen}")


# ---- calls -----------------------------------------------------------------------------------------

def test_calls_of_profiles_are_1_2_1_1_0(case):
    """Insert 1 with on_unknown: post, 2 with patch; update 1; delete 1; unchanged 0; a replay 0."""
    topic = profiles(case)
    topic.clear()
    for i in range(20):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "a"})
    topic.send().costs("20 inserts by patch", PATCH=20, POST=20)
    for i in range(20):
        topic.add(f"k{i}", 2, row={"cusJobTitle": "b"})
    topic.send().costs("20 updates", PATCH=20)
    for i in range(20):
        topic.add(f"k{i}", 3, row={"cusJobTitle": "b"})
    topic.send().costs("20 unchanged")
    for i in range(10):
        topic.add(f"k{i}", 4, op="delete").tombstone(f"k{i}")
    topic.send().costs("10 deletes", DELETE=10)
    for i in range(10):
        topic.tombstone(f"k{i}")  # also when it comes late
    topic.send().costs("10 tombstones")
    counts = topic.counts()
    want = {"created": 20, "updated": 20, "deleted": 10, "unchanged": 20, "calls": 70, "rejected": 0}
    expect({k: counts[k] for k in want} == want, f"status says {counts}")
    case.stages[-1].stop()
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning")
    topic.start("again")
    topic.costs("a replay")
    case.stages[-1].stop()
    case.configure({"flows": {"contacts": {"on_unknown": "post"}}})
    topic.start("post")
    for i in range(20):
        topic.add(f"p{i}", 1, row={"cusJobTitle": "a"})
    topic.send().costs("20 inserts by post", POST=20)
    topic.delete("never-there", 5)
    topic.costs("a delete of what the loader does not know", DELETE=1)


def test_calls_of_custom_resources_by_key_and_by_filter(case):
    """address: key as profiles; address: filter one more for update and delete: 1, 2, 2, 0."""
    case.setup("contacts", contacts=1, overlay={"flows": {"loyalty-cards": {"on_unknown": "post"}}})
    case.tideway("topics", "create", "--flow", "loyalty-cards")
    topic = Changes(case, "cusLoyaltyCard")
    stage = topic.start()

    def all_four(prefix, insert, update, delete):
        for version, what, calls in ((1, "insert", insert), (2, "update", update), (3, "same", {})):
            for i in range(5):
                topic.add(f"{prefix}{i}", version, row={"note": "a" if version == 1 else "b", "active": True})
            topic.send().costs(f"{what} {prefix}", **calls)
        for i in range(5):
            topic.add(f"{prefix}{i}", 4, op="delete")
        topic.send().costs(f"delete {prefix}", **delete)
    topic.clear()
    all_four("key", {"POST": 5}, {"PATCH": 5}, {"DELETE": 5})
    stage.stop()
    case.campaign_box.stop()
    case.campaign_box = case.sandbox("sandbox-campaign", case.dynamics_port + 1, "--custom-keys", "no")
    name, parameter = filter_of("cusLoyaltyCard")
    case.configure({"flows": {"loyalty-cards": {
        "on_unknown": "post", "address": "filter",
        "address_filter": {"name": name, "parameter": parameter}}}})
    topic.start("filter")
    topic.clear()
    all_four("filter", {"POST": 5}, {"GET": 5, "PATCH": 5}, {"GET": 5, "DELETE": 5})


def test_a_resource_that_is_not_linked_to_profiles(case):
    """Under customResources, beside profileAndServicesExt: insert 1, update 1, unchanged 0, delete 1, an
    insert that may be there 2, all at that root."""
    with_flows(case, {"shops": dict(SHOPS, on_unknown="post")})
    with open(case.world.path("config", f"{case.name}-metadata/campaign.cusShop.json"), encoding="utf-8") as f:
        expect(json.load(f)["path"] == "customResources/cusShop", "metadata pull found it elsewhere")
    topic = Changes(case, "cusShop")
    stage = topic.start()
    topic.clear()
    root = reader.Client(case.env["CAMPAIGN_URL"] + "/customResources")
    root.headers = case.campaign.headers

    def shops():
        return {r["shopId"]: (r["shopName"], r["city"]) for r in root.get("/cusShop?_lineCount=100")["content"]}
    for version, name, calls in ((1, "a", {"POST": 5}), (2, "b", {"PATCH": 5}), (3, "b", {})):
        for i in range(5):
            topic.add(f"s{i}", version, row={"shopName": name, "city": "Oslo"})
        topic.send().costs(f"version {version}", **calls)
        want = {f"s{i}": (name, "Oslo") for i in range(5)}
        expect(shops() == want, f"version {version}: {shops()}")
    for i in range(4):
        topic.add(f"s{i}", 4, op="delete")
    topic.send().costs("deletes", DELETE=4)
    topic.put("s4", 5, shopName="c").costs("an empty value", PATCH=1)
    expect(shops() == {"s4": ("c", "")}, f"after deletes: {shops()}")
    stage.stop()
    case.overlay["flows"]["shops"]["on_unknown"] = "patch"
    case.configure(case.overlay)
    topic.start("patch")
    topic.put("s5", 1, shopName="d").costs("an insert by patch", PATCH=1, POST=1)
    counts = topic.counts()
    want = {"created": 6, "updated": 6, "deleted": 4, "unchanged": 5, "rejected": 0}
    expect({k: counts[k] for k in want} == want, f"status says {counts}")
    expect(len(case.campaign_box.history("s5")) == 1, "no history of s5")


def filter_of(resource):
    with open(f"tests/sandbox/campaign/resources/{resource}.json", encoding="utf-8") as f:
        filters = json.load(f)["filters"]
    name = next(iter(filters))
    return name, next(iter(filters[name]["parameters"]))


def test_a_wiped_memory_costs_calls_and_no_wrong_write(case):
    """Without its state topic everything is written once more, with the same result."""
    topic = profiles(case)
    for i in range(50):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    topic.send().drained()
    case.stages[-1].stop()
    topics(case, "--delete", "--topic", case.topic("loaded.profile"))
    wait_until(lambda: "created" in case.tideway("topics", "create", "--flow", "contacts")[1], 20,
               "the topic to be gone and made anew")
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning")
    topic.clear().start("again")
    topic.costs("a replay without memory", PATCH=50)
    topic.put("k1", 2, cusJobTitle="2")
    topic.costs("an update after it", PATCH=1)


def test_a_wiped_memory_loses_no_delete(case):
    """on_unknown: post, and a key that only the lost state knew is deleted: one call, and it is gone. A
    delete of what was never there is one call for nothing."""
    topic = profiles(case, {"flows": {"contacts": {"on_unknown": "post"}}})
    topic.put("k", 1, cusJobTitle="1").drained()
    case.stages[-1].stop()
    topics(case, "--delete", "--topic", case.topic("loaded.profile"))
    wait_until(lambda: "created" in case.tideway("topics", "create", "--flow", "contacts")[1], 20,
               "the topic to be gone and made anew")
    topic.delete("k", 2).clear().start("again")
    topic.costs("a delete without memory", DELETE=1)
    expect(not case.campaign.find("profile", "k"), "it is still there")
    topic.delete("never", 2).costs("a delete of what was never there", DELETE=1)
    expect(not topic.rejected(), "a dead letter")


def test_another_number_of_partitions_ends_with_100(case):
    """State in other partitions than its keys would be no guard: the loader says so and stops."""
    topic = profiles(case)
    topic.put("a", 1, cusJobTitle="1").drained()
    case.stages[-1].stop()
    topics(case, "--alter", "--topic", case.topic("campaign.profile"), "--partitions", "8")
    stage = topic.start("again")
    case.world_env.stages.remove(stage)
    wait_until(lambda: not stage.running(), 20, "the loader to end")
    log = case.log(stage)
    expect(stage.process.returncode == 100 and "loaded.profile has 4 partitions" in log, log[-500:])
    for own in ("loaded", "parked"):
        topics(case, "--alter", "--topic", case.topic(f"{own}.profile"), "--partitions", "8")
    stage = topic.start("both")
    case.world_env.stages.remove(stage)
    wait_until(lambda: not stage.running(), 20, "the loader to end")
    log = case.log(stage)
    expect(stage.process.returncode == 100 and "had 4 partitions, now it has 8" in log, log[-500:])


def test_adopted_keys_are_updated_and_never_inserted(case):
    """tideway adopt seeds the memory: with on_unknown: post an adopted key is PATCHed."""
    topic = profiles(case, {"flows": {"contacts": {"on_unknown": "post"}}}, start=False)
    keys = [f"old{i}" for i in range(30)]
    for key in keys:
        case.campaign.request("POST", "/profile", {"externalId": key, "lastName": "Before"})
    path = case.world.write(f"config/{case.name}.keys", "\n".join(keys) + "\n")
    out = case.tideway("adopt", "--flow", "contacts", "--keys", path)[1]
    expect("30 keys adopted" in out, out)
    out = case.tideway("adopt", "--flow", "contacts", "--keys", path)[1]
    expect("0 keys adopted, 30 were known" in out, out)
    topic.start()
    topic.clear()
    for key in keys[:10]:
        topic.add(key, 1, row={"cusJobTitle": "x"})
    topic.put("new", 1, cusJobTitle="x")
    topic.costs("10 adopted and one new", PATCH=10, POST=1)
    code, _, err = case.tideway("adopt", "--flow", "contacts", "--keys", path, check=False)
    expect(code == 100 and "stop" in err, f"adopt beside a loader: {code} {err}")


def test_check_finds_a_key_that_identifies_nothing(case):
    """Where externalId is no identification key, `tideway check` says so."""
    case.setup(contacts=1, campaign=("--external-id-key", "no"))
    code, _, err = case.tideway("check", check=False)
    expect(code == 100 and "identification key" in err, f"check: {code} {err}")


# ---- the six ways ----------------------------------------------------------------------------------

def test_way_1_the_state_is_not_written_before_the_answer(case):
    """B is out when the loader dies; the next one does not take B for done."""
    topic = profiles(case)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, close=True, delay_ms=300, count=100000)
    topic.clear().put("k", 2, cusJobTitle="2")
    case.wait(lambda: case.campaign_box.count(method="PATCH") > 0 or case.log(
        case.stages[-1]).count("waiting") > 0, 20, "the request to be out")
    case.stages[-1].kill()
    case.campaign_box.no_faults()
    topic.start("next")
    case.wait(lambda: titled(case, "k") == "2", 20, "the write after the crash")


def test_way_2_offset_and_state_are_one(case):
    """B is written and not committed when the loader dies; C is what A was, and must be written."""
    topic = profiles(case)
    for i in range(20):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    topic.send().drained()
    for round_ in range(5):
        version = 10 * round_ + 2
        for i in range(20):
            topic.add(f"k{i}", version, row={"cusJobTitle": str(100 + round_)})
        topic.send()
        case.wait(lambda r=round_: titled(case, "k0") == str(100 + r), 20, "B")
        case.stages[-1].kill()
        for i in range(20):
            topic.add(f"k{i}", version + 1, row={"cusJobTitle": "1"})
        topic.send()
        topic.start(f"next-{round_}")
        topic.drained()
        wrong = [k for k in range(20) if titled(case, f"k{k}") != "1"]
        expect(not wrong, f"round {round_}: C was taken for unchanged: {wrong}")


def test_way_3_a_key_with_an_unknown_outcome_is_not_skipped(case):
    """B was carried out and its answer lost; while it waits to be sent again C comes, equal to A: it
    goes instead of B, and is not skipped."""
    topic = profiles(case)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, close=True, after=True, count=3)
    topic.put("k", 2, cusJobTitle="2")
    case.wait(lambda: titled(case, "k") == "2", 20, "B")
    topic.put("k", 3, cusJobTitle="1")
    case.wait(lambda: titled(case, "k") == "1", 20, "C to be written although it is what A was")
    topic.drained()
    expect(topic.counts()["coalesced"] >= 1, f"B was not replaced: {topic.counts()}")


def alter(case, topic, **settings):
    java(case, "kafka.admin.ConfigCommand", "--bootstrap-server", case.env["KAFKA_BROKERS"], "--alter",
         "--entity-type", "topics", "--entity-name", case.topic(topic), "--add-config",
         ",".join(f"{k}={v}" for k, v in settings.items()))


def killed_before_the_answer(case, version):
    """k is in the state at version 1, and at another in Campaign: its answer was lost, the loader killed."""
    topic = profiles(case)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, close=True, after=True, count=100000)
    topic.put("k", version, cusJobTitle=str(version))
    case.wait(lambda: titled(case, "k") == str(version), 20, "the write")
    case.stages[-1].kill()
    case.campaign_box.no_faults()
    return topic


def compacted_away(case):
    """A is in the state, B in Campaign and not committed, its loader dead; the topic has C, equal to A,
    and no B any more."""
    topic = killed_before_the_answer(case, 2)
    before = [m for m in topic_keys(case.world_env, topic.topic) if m[2] == "k"]
    partition = before[0][0]
    alter(case, "campaign.profile", **{"segment.ms": 100, "min.cleanable.dirty.ratio": 0.001,
                                       "min.compaction.lag.ms": 0, "max.compaction.lag.ms": 100})
    topic.put("k", 3, cusJobTitle="1")
    filler = iter(range(100000))

    def compacted():
        topic.add(f"f{next(filler)}", 1, row={}).send()  # rolls segments
        left = [m for m in topic_keys(case.world_env, topic.topic) if m[2] == "k"]
        return len(left) == 1 and left[0][0] == partition
    wait_until(compacted, 90, "B to be compacted away", pause=0.5)
    alter(case, "campaign.profile", **{"segment.ms": 86400000, "min.cleanable.dirty.ratio": 0.1,
                                       "min.compaction.lag.ms": 604800000,
                                       "max.compaction.lag.ms": 691200000})
    return topic


def test_way_4_nothing_is_skipped_where_a_record_was_compacted_away(case):
    """B was written and not committed, and is compacted away before the loader comes back: C, which
    is what A was, must be written."""
    topic = compacted_away(case)
    topic.start("next")
    topic.drained()
    expect(titled(case, "k") == "1", "C was taken for unchanged, and B stayed")


def test_way_4_also_where_the_offsets_of_the_group_are_gone(case):
    """A broker forgets the offsets of a group that has no members, after seven days by default: a state
    without an offset is not "nobody was here before"."""
    topic = compacted_away(case)
    java(case, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
         case.env["KAFKA_BROKERS"], "--delete", "--group", case.topic("contacts.load-campaign"))
    topic.start("next")
    topic.drained()
    expect(titled(case, "k") == "1", "C was taken for unchanged, and B stayed")


def test_way_5_a_frozen_loader_writes_nothing_when_it_wakes(case):
    """A loader stands still with records in its hands; another takes over and writes newer ones; when
    the first wakes, it writes none of its own."""
    topic = profiles(case)
    keys = [f"k{i}" for i in range(200)]
    for key in keys:
        topic.add(key, 1, row={"cusJobTitle": "1"})
    topic.send().drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, delay_ms=200, count=100000)
    frozen = case.stages[-1]
    for key in keys:
        topic.add(key, 2, row={"cusJobTitle": "2"})
    topic.send()
    case.wait(lambda: case.campaign_box.count("profile", "PATCH", 200) > 10, 20, "some writes")
    frozen.signal(signal.SIGSTOP)
    case.world_env.stages.remove(frozen)
    topic.start("other")
    for key in keys:
        topic.add(key, 3, row={"cusJobTitle": "3"})
    topic.send()
    case.wait(lambda: all(titled(case, k) == "3" for k in keys), 60, "the newer ones")
    frozen.signal(signal.SIGCONT)
    case.world_env.stages.append(frozen)
    for key in keys[:50]:
        topic.add(key, 4, row={"cusJobTitle": "4"})
    topic.send().drained()
    never_back(topic, keys)
    expect("the process stood still" in case.log(frozen), "it did not notice")


def test_way_6_nothing_deleted_comes_back(case):
    """After a delete an older upsert that is sent again changes nothing, whether or not the tombstone
    is there still; a record that is created again does come."""
    topic = profiles(case)
    topic.put("k", 5, cusJobTitle="1").drained()
    topic.delete("k", 5, observed=9).drained()
    topic.clear().put("k", 4, cusJobTitle="old")
    topic.add("k", 5, row={"cusJobTitle": "1"}).send()
    topic.costs("older upserts of a deleted key")
    expect(not case.campaign.find("profile", "k"), "it came back")
    case.stages[-1].stop()
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning")
    topic.start("again")
    topic.costs("a replay over a delete")
    topic.put("k", 6, cusJobTitle="new").drained()
    expect(titled(case, "k") == "new", "a record that was created again did not come")


def test_another_mapping_writes_the_same_version_again(case):
    """The guard is "older than": the same version with other content is written."""
    topic = profiles(case)
    topic.put("k", 5, cusJobTitle="1").drained()
    topic.clear().put("k", 5, cusJobTitle="2").costs("the same version, other content", PATCH=1)
    topic.put("k", 4, cusJobTitle="0").costs("an older version")
    expect(titled(case, "k") == "2" and topic.counts()["older"] == 1, str(topic.counts()))


# ---- replays ---------------------------------------------------------------------------------------

def test_a_forced_replay_wins_attributes_back(case):
    """What somebody edited in Campaign stays with a plain replay, and is overwritten with --force;
    from a time and from offsets, too. Older versions are never written on the way."""
    topic = profiles(case)
    for version in (1, 2, 3):
        for i in range(10):
            topic.add(f"k{i}", version, row={"cusJobTitle": str(version)})
        topic.send().drained()
    case.campaign.update("profile", "k1", {"cusJobTitle": "edited"})
    number = iter(range(100))

    def replay(*words):
        case.stages[-1].stop()
        case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", *words)
        topic.clear().start(f"replay-{next(number)}")
        topic.drained()
    replay("--from", "beginning")
    expect(titled(case, "k1") == "edited" and not topic.calls(), f"a plain replay: {topic.calls()}")
    replay("--from", "beginning", "--force")
    expect(titled(case, "k1") == "3" and topic.calls() == {"PATCH": 10}, f"forced: {topic.calls()}")
    case.campaign.update("profile", "k1", {"cusJobTitle": "edited"})
    replay("--from", "2026-01-01T00:00:00Z", "--force")
    expect(titled(case, "k1") == "3" and topic.calls() == {"PATCH": 10}, f"from a time: {topic.calls()}")
    places = {m[2]: (m[0], m[1]) for m in topic_keys(case.world_env, topic.topic)}
    partition, offset = places["k1"]
    case.campaign.update("profile", "k1", {"cusJobTitle": "edited"})
    replay("--from", f"{partition}:{offset}", "--force")
    expect(titled(case, "k1") == "3", "from an offset")
    never_back(topic, [f"k{i}" for i in range(10)])
    topic.put("k2", 4, cusJobTitle="4").drained()
    topic.clear().put("k2", 5, cusJobTitle="4").costs("after the forced range unchanged is unchanged")
    for words in (("--from", "yesterday"), ("--from", "0:999999"), ("--from", "0:1,"), ("--from", "9:0")):
        code, _, err = case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", *words,
                                    check=False)
        expect(code == 100 and err, f"{words}: {code} {err}")


def test_a_complete_replay_sweeps_what_its_topic_has_no_more(case):
    """Keys that Campaign was given and a complete replay does not meet are deleted; too many are not;
    what was adopted stays."""
    topic = profiles(case)
    for i in range(40):
        topic.add(f"k{i}", 1, row={"cusJobTitle": "1"})
    for version in range(2, 32):  # its offset becomes a large one
        topic.add("k9", version, row={"cusJobTitle": "1"})
    topic.send().drained()
    case.stages[-1].stop()
    # What a topic looks like whose deletes are all compacted away.
    topics(case, "--delete", "--topic", topic.topic)
    wait_until(lambda: "created" in case.tideway("topics", "create", "--flow", "contacts")[1], 20,
               "the topic to be made anew")
    case.campaign.request("POST", "/profile", {"externalId": "adopted"})
    path = case.world.write(f"config/{case.name}.keys", "adopted\n")
    case.tideway("adopt", "--flow", "contacts", "--keys", path)
    for i in range(10):
        topic.add(f"k{i}", 31 if i == 9 else 1, row={"cusJobTitle": "1"})
    topic.send()

    def replay(name, *words):
        case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning",
                     *words)
        topic.clear().start(name)
        topic.drained()
    replay("few", "--max-deletes", "1")
    log = case.log(case.stages[-1])
    case.wait(lambda: "would delete too much" in case.log(case.stages[-1]), 10, "the guard")
    expect(not topic.calls().get("DELETE"), f"{topic.calls()} {log[-300:]}")
    case.stages[-1].stop()
    replay("all")
    case.wait(lambda: topic.calls().get("DELETE") == 30, 20, "30 deletes")
    left = {p["externalId"] for p in case.campaign.rows("profile") if p["externalId"]}
    expect(left == {f"k{i}" for i in range(10)} | {"adopted"}, f"left: {sorted(left)}")
    case.stages[-1].stop()
    topic.clear().start("after")
    topic.costs("a start after the sweep")
    topic.tombstone("k9").send().costs("a tombstone, at an offset below those of the old topic", DELETE=1)


def made_anew(case, flow, topic):
    topics(case, "--delete", "--topic", topic)
    wait_until(lambda: "created" in case.tideway("topics", "create", "--flow", flow)[1], 20,
               "the topic to be gone and made anew")


def test_a_sweep_leaves_alone_what_became_a_dead_letter(case):
    """The topic has only a version of the key that cannot be read; the ones before it were compacted
    away. The source has the key, so its record stays; one that the topic has no more goes."""
    topic = profiles(case)
    for key in ("k", "o", "gone"):
        topic.put(key, 1, cusJobTitle="1")
    topic.drained()
    case.stages[-1].stop()
    made_anew(case, "contacts", topic.topic)
    topic.messages.append(("k", b"no record"))
    topic.send().put("o", 1, cusJobTitle="1")
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning")
    topic.clear().start("again")
    case.wait(lambda: not case.campaign.find("profile", "gone"), 20, "the sweep")
    topic.drained()
    expect(len(topic.rejected()) == 1, "no dead letter")
    expect(case.campaign.find("profile", "k") and topic.calls() == {"DELETE": 1}, f"{topic.calls()}")


def by_filter(case, **more):
    """Loyalty cards whose key is not unique in Campaign: a second insert is a second row."""
    case.setup("contacts", contacts=1, campaign=("--custom-keys", "no"))
    case.tideway("topics", "create", "--flow", "loyalty-cards")
    topic = Changes(case, "cusLoyaltyCard")
    name, parameter = filter_of("cusLoyaltyCard")
    case.configure({"flows": {"loyalty-cards": dict({
        "address": "filter", "address_filter": {"name": name, "parameter": parameter}}, **more)}})
    topic.start("one")
    return topic


def notes(case, key="k"):
    return [r["note"] for r in case.campaign.rows("cusLoyaltyCard") if r["cardId"] == key]


def test_an_insert_is_not_sent_again_by_the_next_owner(case):
    """on_unknown: post and address: filter; the insert was done, its answer lost, and the loader killed
    before it could look: the next one looks, and there is one row."""
    topic = by_filter(case, on_unknown="post")
    case.campaign_box.fault(method="POST", path="*/cusLoyaltyCard", close=True, after=True, count=1)
    case.campaign_box.fault(method="GET", path="*/cusLoyaltyCard/by*", status=503, count=100000)
    topic.put("k", 1, note="1", active=True)
    case.wait(lambda: case.campaign_box.count("fault", "GET", 503) > 0, 20, "a look that fails")
    case.stages[-1].kill()
    case.campaign_box.no_faults()
    topic.start("two")
    topic.drained()
    expect(notes(case) == ["1"], str(notes(case)))


# ---- order and coalescing --------------------------------------------------------------------------

def test_later_versions_replace_the_one_that_waits(case):
    """While the first version of a key is out, twenty more come: one more call, the last version."""
    topic = profiles(case)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, delay_ms=1500, count=1)
    topic.clear().put("k", 2, cusJobTitle="2")
    case.wait(lambda: case.stages[-1].running(), 5, "the loader")
    for version in range(3, 23):
        topic.add("k", version, row={"cusJobTitle": str(version)})
    topic.send().drained()
    expect(titled(case, "k") == "22", titled(case, "k"))
    expect(topic.calls()["PATCH"] <= 3 and topic.counts()["coalesced"] >= 18,
           f"{topic.calls()} {topic.counts()}")


def test_an_opt_out_is_not_lost_between_two_versions(case):
    """A version that opts out is replaced by one that says nothing of it: the opt-out is written.
    Written once: a profile that was re-subscribed in Campaign stays so when its contact is renamed, also
    after a restart; a forced replay, and an opt-out that was withdrawn and is there again, are written."""
    topic = profiles(case)
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, delay_ms=1000, count=1)
    topic.put("k", 2, cusJobTitle="2")
    topic.add("k", 3, row={"cusJobTitle": "3", "blackListEmail": True})
    topic.add("k", 4, row={"cusJobTitle": "4"}).send()
    topic.drained()
    found = case.campaign.find("profile", "k")
    expect(found["cusJobTitle"] == "4" and found["blackListEmail"], str(found))
    topic.put("k", 5, cusJobTitle="5", blackListPhone=True).drained()
    case.campaign.update("profile", "k", {"blackListPhone": False})
    topic.put("k", 6, cusJobTitle="6", blackListPhone=True).drained()
    found = case.campaign.find("profile", "k")
    expect(found["cusJobTitle"] == "6" and not found["blackListPhone"],
           "a renamed contact opted out again")
    case.stages[-1].stop()
    topic.start("again")
    topic.put("k", 7, cusJobTitle="7", blackListPhone=True).drained()
    found = case.campaign.find("profile", "k")
    expect(found["cusJobTitle"] == "7" and not found["blackListPhone"], "forgotten in a restart")
    case.stages[-1].stop()
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning",
                 "--force")
    topic.start("forced")
    topic.drained()
    expect(case.campaign.find("profile", "k")["blackListPhone"], "a forced replay writes opt-outs")
    case.campaign.update("profile", "k", {"blackListPhone": False})
    topic.put("k", 8, cusJobTitle="8").drained()
    topic.put("k", 9, cusJobTitle="9", blackListPhone=True).drained()
    expect(case.campaign.find("profile", "k")["blackListPhone"], "a new opt-out did not arrive")


def test_what_was_written_and_not_committed_is_read_before_anything_is_sent(case):
    """Two versions of a key, far apart in the topic, are written when the loader dies, and neither is
    committed. The next one writes the later one only: the older never lands on it."""
    topic = profiles(case, {"flows": {"contacts": {"on_unknown": "post", "max_in_flight": 100}}},
                     start=False)
    for round_ in range(4):
        topic.add("k", 10 * round_ + 2, row={"cusJobTitle": str(10 * round_ + 2)})
        for i in range(1500):
            topic.add(f"f{round_}-{i}", 1, row={})
        last = 10 * round_ + 3
        topic.add("k", last, row={"cusJobTitle": str(last)}).send(partition=0)
        stage = topic.start(f"killed-{round_}")
        wait_until(lambda v=last: str(v) in [h["body"].get("cusJobTitle") for h in topic.history("k")],
                   30, "the later version", pause=0.002)
        stage.kill()
        stage = topic.start(f"next-{round_}")
        topic.drained()
        stage.stop()
    never_back(topic, ["k"])


def test_kills_at_random_moments(case):
    """100 kill -9 under load with inserts, updates, deletes and children: Campaign equals the source,
    nothing is there twice, nothing went back."""
    dice = random.Random(5)
    case.setup("contacts", "loyalty-cards", contacts=1)
    topic, cards = Changes(case, "profile"), Changes(case, "cusLoyaltyCard")
    keys = [f"k{i}" for i in range(150)]
    want, version = {}, 0
    loaders = {topic: topic.start("p"), cards: cards.start("c")}
    for turn in range(100):
        for _ in range(3):
            version += 1
            for key in dice.sample(keys, 60):
                if dice.random() < 0.1 and key in want:
                    topic.add(key, version, op="delete")
                    cards.add(key, version, op="delete")
                    del want[key]
                else:
                    topic.add(key, version, row={"cusJobTitle": str(version)})
                    cards.add(key, version, row={"note": str(version), "contactId": key, "active": True})
                    want[key] = str(version)
            topic.send()
            cards.send()
        victim = dice.choice((topic, cards))
        case.wait(lambda: case.campaign_box.count() > 0, 20, "some calls")
        loaders[victim].kill()
        loaders[victim] = victim.start(f"{victim.resource}-{turn}")
    topic.drained(90)
    cards.drained(90)
    have = {p["externalId"]: p["cusJobTitle"] for p in case.campaign.rows("profile") if p["externalId"]}
    expect(have == want, f"{len(have)} profiles, wanted {len(want)}; "
           f"{[k for k in have.keys() | want.keys() if have.get(k) != want.get(k)][:5]}")
    notes = {c["cardId"]: c["note"] for c in case.campaign.rows("cusLoyaltyCard")}
    expect(notes == want, f"{len(notes)} cards, wanted {len(want)}")
    for key in keys:
        for resource, field in (("profile", "cusJobTitle"), ("cusLoyaltyCard", "note")):
            seen = [int(h["body"].get(field) or 0) if h["method"] != "DELETE" else None
                    for h in topic.history(key) if h["table"] == resource]
            alive = [n for n in seen if n]
            expect(alive == sorted(alive), f"{resource} {key} went back: {seen}")
    expect(not topic.rejected() and not cards.rejected(), "a kill made a dead letter")

"""order - what comes later in the topic is not always newer: a dead letter is sent again, a replay
begins, while a newer version waits.  None is written over what is newer than it."""
from case import expect
from changes import CONTRACTS
from memory import PATCHES, killed_before_the_answer, profiles, titled
from parents import both, field, waiting


def waits(case, topic):
    """Version 5 of k waits, because Campaign is busy."""
    topic.put("k", 1, cusJobTitle="1").drained()
    case.campaign_box.fault(method="PATCH", path=PATCHES, status=503, count=3)
    topic.put("k", 5, cusJobTitle="5")
    case.wait(lambda: case.campaign_box.count(method="PATCH", status=503) > 0, 20, "a 503")


def test_an_older_version_does_not_replace_a_newer_one_that_waits(case):
    """The older one is counted as such, and a newer one behind both is written."""
    topic = profiles(case)
    waits(case, topic)
    topic.put("k", 3, cusJobTitle="3").drained()
    expect(titled(case, "k") == "5", f"Campaign has {titled(case, 'k')}, {topic.counts()}")
    expect(topic.counts()["older"] == 1, str(topic.counts()))
    topic.put("k", 6, cusJobTitle="6").drained()
    expect(titled(case, "k") == "6", f"Campaign has {titled(case, 'k')}")


def test_an_older_delete_does_not_replace_a_newer_version_that_waits(case):
    topic = profiles(case)
    waits(case, topic)
    topic.delete("k", 3).drained()
    expect(titled(case, "k") == "5", f"Campaign has {titled(case, 'k')}, {topic.counts()}")


def test_the_next_owner_writes_no_older_version_over_one_that_may_be_written(case):
    """Version 5 was written, its answer lost, the loader killed; version 3 stands behind it."""
    topic = killed_before_the_answer(case, 5)
    topic.put("k", 3, cusJobTitle="3")
    topic.start("next")
    topic.drained()
    expect(titled(case, "k") == "5", f"Campaign has {titled(case, 'k')}")


def test_an_older_version_leaves_a_newer_one_that_waits_for_its_parent(case):
    """Whether the parent of the older one is there or not, and across a restart: it is not written, the
    newer one goes on waiting and is written when its parent comes."""
    parents, children = both(case, "contracts", CONTRACTS, "cusContract")
    parents.put("p1", 1, lastName="Parent").drained()
    for key in ("there", "missing", "later"):
        children.add(key, 5, row={"product": "five", "holder": "p2", "premium": 1.0})
    children.send().drained()
    waiting(children, 3)
    children.put("there", 3, product="three", holder="p1", premium=1.0)
    children.put("missing", 3, product="three", holder="p2", premium=1.0).drained()
    case.stages[-1].stop()
    children.start("again")
    children.put("later", 3, product="three", holder="p1", premium=1.0).drained()
    waiting(children, 3)
    expect(not case.campaign.rows("cusContract"), "an older version was written")
    parents.put("p2", 1, lastName="Parent").drained()
    for key in ("there", "missing", "later"):
        case.wait(lambda k=key: field(case, "cusContract", k, "product") == "five", 20, f"{key}, version 5")
    waiting(children, 0)

"""parents - children whose parent is late: none is lost, none is written twice, and nobody is asked
whether the parent has come.  The hosted integration drops a change of a child that comes before its
parent; the first test is that case."""
import json

from case import expect
from changes import CONTRACTS, VEHICLES, Changes, with_flows
from memory import made_anew

PKEYS = dict(CONTRACTS, links=[dict(CONTRACTS["links"][0], mode="pkey")])


def both(case, flow, settings, resource, campaign=(), overlay=None):
    with_flows(case, {flow: settings}, campaign, overlay)
    parents, children = Changes(case, "profile"), Changes(case, resource)
    parents.start("parents")
    children.start("children")
    return parents, children


def field(case, resource, key, name):
    found = case.campaign.find(resource, key)
    return found and found[name]


def waiting(children, number):
    children.case.wait(lambda: children.case.status(children.flow)["load-campaign"].get("waiting") == number,
                       20, f"{number} records to wait")


def test_updates_of_a_child_that_is_hidden_are_not_lost(case):
    """Cardinality 1, by join: the child is made at once, and hidden; its updates wait for the parent,
    and the last one is written when it arrives. Offsets go on, Campaign is not polled."""
    parents, children = both(case, "vehicles", VEHICLES, "cusVehicle")
    children.put("v1", 1, vehicleName="first", ownerId="p1").drained()
    children.put("v1", 2, vehicleName="second", ownerId="p1").drained()
    waiting(children, 1)
    children.clear().put("v1", 3, vehicleName="third", ownerId="p1").drained()
    children.put("other", 1, vehicleName="other", ownerId="p2").drained()
    expect(sum(children.calls().values()) <= 4, f"Campaign was polled: {children.calls()}")
    expect(not children.rejected() and not case.campaign.find("cusVehicle", "v1"), "it was seen")
    children.clear()
    parents.delete("p1", 1).drained()  # no arrival
    children.put("marker", 1, vehicleName="marker", ownerId="p9").drained()
    parents.put("p1", 2, lastName="Parent").drained()
    case.wait(lambda: field(case, "cusVehicle", "v1", "vehicleName") == "third", 20, "the last update")
    expect(children.calls() == {"PATCH": 2, "POST": 1}, f"a parent's delete was one: {children.calls()}")
    waiting(children, 0)
    children.put("v1", 4, vehicleName="fourth", ownerId="p1").drained()
    case.wait(lambda: field(case, "cusVehicle", "v1", "vehicleName") == "fourth", 20, "the next one")


def parked(case, settings, dialect):
    campaign = ("--dialect", dialect)
    overlay = {"connections": {"campaign": {"dialect": dialect}}}
    if dialect == "v8":  # v8 takes no items of location
        overlay["flows"] = {"contacts": {"fields": [{"from": "lastname", "to": "lastName"}]}}
    parents, children = both(case, "contracts", settings, "cusContract", campaign, overlay)
    for i in range(20):
        children.add(f"c{i}", 1, row={"product": "one", "holder": f"p{i}", "premium": 1.0})
    children.send().drained()
    waiting(children, 20)
    for i in range(20):
        children.add(f"c{i}", 2, row={"product": "two", "holder": f"p{i}", "premium": 2.0})
    children.send().drained()
    calls = children.clear().calls()
    case.stages[-1].kill()
    for i in range(10):
        parents.add(f"p{i}", 1, row={"lastName": "Parent"})
    parents.send().drained()
    children.start("again")
    case.wait(lambda: all(field(case, "cusContract", f"c{i}", "product") == "two" for i in range(10)),
              30, "the children of the parents that came while nobody listened")
    for i in range(10, 20):
        parents.add(f"p{i}", 1, row={"lastName": "Parent"})
    parents.send().drained()
    case.wait(lambda: all(field(case, "cusContract", f"c{i}", "product") == "two" for i in range(20)),
              30, "the others")
    waiting(children, 0)
    expect(not children.rejected() and not calls, f"dead letters, or {calls}")
    expect({len([h for h in children.history(f"c{i}") if h["method"] == "POST"]) for i in range(20)} == {1},
           "a contract was made twice")
    return children


def test_children_by_key_wait_for_their_parent_across_restarts(case):
    """Mode key, Standard: parked with their last version, released when the parent arrives."""
    parked(case, CONTRACTS, "acs")


def test_children_by_key_wait_for_their_parent_in_v8(case):
    """Mode key, v8, which explains nothing."""
    parked(case, CONTRACTS, "v8")


def test_children_by_pkey_wait_for_their_parent_and_look_it_up_once(case):
    """Mode pkey: a parent's PKey is looked up once, for all its children."""
    topic = parked(case, PKEYS, "acs")
    children = next(s for s in case.stages if s.flow == "contracts" and s.running())
    for i in range(30):
        topic.add(f"more{i}", 1, row={"product": "one", "holder": "p1", "premium": 1.0})
    topic.send().drained()
    expect(all(field(case, "cusContract", f"more{i}", "product") == "one" for i in range(30)), "contracts")
    children.stop()
    log = case.log(children)
    lookups = [int(line.split("count=")[1]) for line in log.splitlines() if "kind=pkey" in line]
    expect(lookups and sum(lookups) <= 20, f"look-ups: {lookups}")


# Adobe, as in answers.py: what a child whose parent is not there is told.
NO_PARENT = ("RST-360011 An error has occurred - please contact your administrator. Unable to find document "
             "with path 'Profile' from key 'p1' (document with schema 'profile' and name 'p1')")


def test_a_parent_that_comes_while_a_later_version_is_out_releases_it(case):
    """A child waits; its next version is out, and is told that there is no parent after the parent has
    come and was heard of: it is sent again, nobody waits for another arrival."""
    parents, children = both(case, "contracts", dict(CONTRACTS, request_timeout="10s"), "cusContract")
    children.put("c1", 1, product="one", holder="p1", premium=1.0).drained()
    waiting(children, 1)
    case.campaign_box.fault(method="POST", path="*/cusContract", status=404, delay_ms=4000, count=1,
                            body=json.dumps(NO_PARENT))
    children.clear().put("c1", 2, product="two", holder="p1", premium=2.0)
    case.wait(lambda: case.campaign_box.count("cusContract", "PATCH") > 0, 10, "the PATCH")
    parents.put("p1", 1, lastName="Parent").drained()
    case.wait(lambda: field(case, "cusContract", "c1", "product") == "two", 15, "the later version")
    waiting(children, 0)


def test_a_parents_key_that_looks_like_a_pkey_does_not_end_the_loader(case):
    """mode: key; Campaign says of it what it says of a resource without an identification key. The others
    are written, and then it is a dead letter."""
    parents, children = both(case, "contracts", CONTRACTS, "cusContract")
    children.put("c1", 1, product="one", holder="@gibberish", premium=1.0)
    case.wait(lambda: case.campaign_box.count("cusContract", "POST", 500) > 1, 20, "answers")
    parents.put("p1", 1, lastName="Parent").drained()
    number = iter(range(100000))

    def others():
        children.put(f"o{next(number)}", 1, product="one", holder="p1", premium=1.0)
        return len(children.rejected()) == 1
    case.wait(others, 90, "the dead letter")
    children.drained()
    expect(field(case, "cusContract", "o0", "product") == "one", "the others are not written")
    expect("bad-pkey" in case.tideway("rejected", "ls")[1], "no reason")


def test_an_orphan_becomes_a_dead_letter_that_names_its_parent(case):
    """After orphan_after a child whose parent never came is rejected, and the parent's key is named; a
    later version of it is a new case."""
    _, children = both(case, "contracts", dict(CONTRACTS, orphan_after="2s"), "cusContract")
    children.put("c1", 1, product="one", holder="nobody", premium=1.0).drained()
    case.wait(lambda: len(children.rejected()) == 1, 20, "the dead letter")
    out = case.tideway("rejected", "ls", "--flow", "contracts")[1]
    expect("orphan" in out and "nobody" in out, out)
    waiting(children, 0)


def test_parents_and_children_deleted_in_either_order_are_gone(case):
    """Parent first, children first, and a parent that Campaign keeps while a child refers to it. The
    delete of a child that is hidden waits for the parent, and is not forgotten."""
    parents, vehicles = both(case, "vehicles", VEHICLES, "cusVehicle",
                             overlay={"flows": {"contracts": CONTRACTS}})
    case.tideway("metadata", "pull")
    case.tideway("topics", "create", "--flow", "contracts")
    contracts = Changes(case, "cusContract")
    contracts.start("contracts")
    for i in range(6):
        parents.add(f"p{i}", 1, row={"lastName": "Parent"})
    parents.send().drained()
    for i in range(6):
        vehicles.add(f"v{i}", 1, row={"vehicleName": "one", "ownerId": f"p{i}"})
        contracts.add(f"c{i}", 1, row={"product": "one", "holder": f"p{i}", "premium": 1.0})
    vehicles.send().drained()
    contracts.send().drained()
    parents.add("p0", 2, op="delete").add("p1", 2, op="delete").send()  # refused while c0, c1 are there
    case.wait(lambda: case.campaign_box.count("profile", "DELETE", 500) > 0, 20, "the refusal")
    for i in range(6):
        contracts.add(f"c{i}", 2, op="delete").tombstone(f"c{i}")
    contracts.send().drained()
    for i in range(2, 6):
        parents.add(f"p{i}", 2, op="delete").tombstone(f"p{i}")
    parents.send().drained()
    for i in range(6):
        vehicles.add(f"v{i}", 2, op="delete").tombstone(f"v{i}")
    vehicles.send().drained()
    left = [r for r in ("profile", "cusVehicle", "cusContract") for _ in case.campaign.rows(r)]
    expect(not left, f"left: {left}")
    waiting(vehicles, 6)
    expect(not parents.rejected() and not vehicles.rejected() and not contracts.rejected(), "dead letters")


def test_a_sweep_leaves_alone_a_child_that_waits(case):
    """The topic has only a version whose parent is missing; what Campaign has is an earlier one, and
    stays. The version becomes a dead letter in the end."""
    parents, children = both(case, "contracts", dict(CONTRACTS, orphan_after="5s"), "cusContract")
    parents.put("p1", 1, lastName="Parent").drained()
    children.put("c1", 1, product="one", holder="p1", premium=1.0)
    children.put("gone", 1, product="one", holder="p1", premium=1.0).drained()
    case.stages[-1].stop()
    made_anew(case, "contracts", children.topic)
    children.put("c1", 2, product="two", holder="p2", premium=1.0)
    case.tideway("replay", "--flow", "contracts", "--stage", "load-campaign", "--from", "beginning")
    children.clear().start("again")
    case.wait(lambda: not case.campaign.find("cusContract", "gone"), 20, "the sweep")
    case.wait(lambda: len(children.rejected()) == 1, 20, "the dead letter")
    expect(field(case, "cusContract", "c1", "product") == "one", "the child is gone")

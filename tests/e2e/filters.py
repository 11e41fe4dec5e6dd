"""filters - records that are looked up before they are written: what the look-up says must be sure, or
there are two rows of one key."""
import json

from case import expect
from changes import CONTRACTS, VEHICLES
from memory import by_filter, filter_of, notes
from parents import both, waiting

LOOK = "*/cusLoyaltyCard/by*"


def test_an_empty_answer_to_a_look_up_does_not_mean_that_there_is_none(case):
    """200 with nothing, or with JSON that is no list, for a record that is there: asked again; an update
    makes no second row, a delete is not thrown away."""
    topic = by_filter(case)
    for i, bad in enumerate((dict(empty=True), dict(body="{}"), dict(body="[]"), dict(body="null"))):
        topic.put(f"u{i}", 1, note="1", active=True).put(f"d{i}", 1, note="1", active=True).drained()
        for method, key in (("put", f"u{i}"), ("delete", f"d{i}")):
            case.campaign_box.fault(method="GET", path=LOOK, status=200, count=1, **bad)
            if method == "put":
                topic.put(key, 2, note="2", active=True).drained()
            else:
                topic.delete(key, 2).drained()
        expect(notes(case, f"u{i}") == ["2"], f"{bad}: rows of the update: {notes(case, f'u{i}')}")
        expect(not notes(case, f"d{i}"), f"{bad}: the delete was thrown away")
    expect(not topic.rejected(), "a dead letter")


def test_an_empty_answer_about_a_parent_does_not_park_its_child(case):
    """mode: pkey; no arrival would come for a parent that is there."""
    settings = dict(CONTRACTS, links=[dict(CONTRACTS["links"][0], mode="pkey")])
    parents, children = both(case, "contracts", settings, "cusContract")
    parents.put("p1", 1, lastName="Parent").drained()
    case.campaign_box.fault(method="GET", path="*/profile/p1", status=200, empty=True, count=1)
    children.put("c1", 1, product="one", holder="p1", premium=1.0).drained()
    case.wait(lambda: case.campaign.find("cusContract", "c1"), 15, "the child")


def test_an_outage_of_writes_fills_no_dead_letters(case):
    """The database is read-only: look-ups are answered, inserts are not, with a text that nobody knows.
    That a record's own look-up works says nothing of the record."""
    topic = by_filter(case)
    case.campaign_box.fault(method="POST", path="*/cusLoyaltyCard", status=500, count=1000000,
                            body=json.dumps("a text that nobody has documented"))
    for i in range(5):
        topic.add(f"k{i}", 1, row={"note": "1", "active": True})
    topic.send()
    case.wait(lambda: case.campaign_box.count("fault", "POST", 500) >= 5 * 8, 90, "many answers")
    expect(not topic.rejected(), f"{len(topic.rejected())} dead letters in an outage")
    case.campaign_box.no_faults()
    topic.drained(60)
    expect(all(notes(case, f"k{i}") == ["1"] for i in range(5)), "not written, or twice")


def test_a_hidden_child_is_not_inserted_again(case):
    """By filter, keys not unique: a child whose parent is missing is made, and no filter finds it. Its
    update waits for the parent; so does an insert whose answer was lost. One that somebody removed, with
    its parent there, is made anew."""
    name, parameter = filter_of("cusVehicle")
    settings = dict(VEHICLES, address="filter", address_filter={"name": name, "parameter": parameter})
    parents, children = both(case, "vehicles", settings, "cusVehicle", campaign=("--custom-keys", "no"))

    def rows():
        return sorted(r["vehicleName"] for r in case.campaign.rows("cusVehicle"))
    children.put("v1", 1, vehicleName="first", ownerId="p1").drained()
    children.put("v1", 2, vehicleName="second", ownerId="p1").drained()
    case.campaign_box.fault(method="POST", path="*/cusVehicle", close=True, after=True, count=1)
    children.put("v2", 1, vehicleName="lost", ownerId="p1").drained()
    waiting(children, 2)
    parents.put("p1", 1, lastName="Parent").drained()
    waiting(children, 0)
    case.wait(lambda: rows() == ["lost", "second"], 15, f"one row each, not {rows()}")
    pkey = next(r["PKey"] for r in case.campaign.rows("cusVehicle") if r["vehicleId"] == "v1")
    case.campaign.request("DELETE", f"/cusVehicle/{pkey}")
    children.put("v1", 3, vehicleName="third", ownerId="p1").drained()
    expect(rows() == ["lost", "third"], f"{rows()}")

"""filters - records that are looked up before they are written: what the look-up says must be sure, or
there are two rows of one key."""
from case import expect
from changes import CONTRACTS
from memory import by_filter, notes
from parents import both

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

"""reads-contacts - contacts read by python-odata, a client that knows nothing of Dataverse: it makes
its classes from $metadata. Run by the Python of build/clients/odata; one line of JSON a test."""
import datetime
import json
import os
import sys
import traceback
import uuid

import requests
from odata import ODataService

SERVER = os.environ["SERVER"]
ROOT = f"{SERVER}/api/data/v9.2/"

session = requests.Session()
TOKEN = session.post(f"{SERVER}/sandbox/oauth2/v2.0/token", timeout=60, data={
    "client_id": "sandbox", "client_secret": "sandbox", "grant_type": "client_credentials",
    "scope": f"{SERVER}/.default"}).json()["access_token"]
session.headers["Authorization"] = f"Bearer {TOKEN}"
service = None


def connect():
    global service
    service = ODataService(ROOT, session=session, reflect_entities=True, quiet_progress=True)
    return service


def the_model_comes_from_metadata():
    connect()
    assert {"contacts", "accounts", "new_loyaltycards"} <= set(service.entities), service.entities
    schema = service.entities["contacts"].__odata_schema__
    assert [p["name"] for p in schema["properties"] if p["is_primary_key"]] == ["contactid"], schema


def all_contacts_come_page_by_page():
    extra = {"Prefer": "odata.maxpagesize=7"}
    session.headers.update(extra)
    try:
        rows = service.query(service.entities["contacts"]).all()
    finally:
        del session.headers["Prefer"]
    ids = {row.contactid for row in rows}
    count = int(session.get(f"{ROOT}contacts/$count", timeout=60).content.decode("utf-8-sig"))
    assert len(rows) == len(ids) == count > 20, (len(rows), len(ids), count)


def values_have_the_types_of_the_model():
    contact = service.entities["contacts"]
    row = service.query(contact).filter(contact.gendercode == 2).first()
    assert uuid.UUID(str(row.contactid)), row.contactid
    assert isinstance(row.createdon, datetime.datetime), row.createdon
    assert row.gendercode == 2 and isinstance(row.donotemail, bool)


def a_filter_is_made_of_properties():
    contact = service.entities["contacts"]
    query = service.query(contact)
    name = next(row.lastname for row in query.all() if row.lastname and "'" not in row.lastname)
    some = query.filter(contact.lastname == name).all()
    assert some and all(row.lastname == name for row in some)
    begun = query.filter(contact.lastname.startswith(name[:1])).all()
    assert len(begun) >= len(some)
    both = query.filter(contact.lastname == name).filter(contact.statecode == 0).all()
    assert all(row.lastname == name and row.statecode == 0 for row in both)


def rows_come_in_order_and_no_more_than_asked_for():
    contact = service.entities["contacts"]
    rows = service.query(contact).order_by(contact.createdon.desc()).limit(5).all()
    assert len(rows) == 5
    assert [r.createdon for r in rows] == sorted((r.createdon for r in rows), reverse=True)


def columns_are_selected():
    contact = service.entities["contacts"]
    row = service.query(contact).select(contact.lastname).limit(1).all()[0]
    assert set(k for k in row if not k.startswith("@")) == {"contactid", "lastname"}, row


def a_row_is_read_by_its_key():
    contact = service.entities["contacts"]
    first = service.query(contact).first()
    again = service.query(contact).get(first.contactid)
    assert again.fullname == first.fullname


def a_lookup_is_followed():
    contact = service.entities["contacts"]
    # Only those that have one: the client breaks on an expanded null.
    query = service.query(contact).filter(getattr(contact, "_parentcustomerid_value") != None)
    rows = query.expand(contact.parentcustomerid_account).limit(20).all()
    assert rows and all(row.parentcustomerid_account.name for row in rows)


TESTS = [the_model_comes_from_metadata, all_contacts_come_page_by_page,
         values_have_the_types_of_the_model, a_filter_is_made_of_properties,
         rows_come_in_order_and_no_more_than_asked_for, columns_are_selected,
         a_row_is_read_by_its_key, a_lookup_is_followed]

for test in TESTS:
    wrong = None
    try:
        test()
    except Exception:  # whatever the client makes of it is the finding
        wrong = traceback.format_exc()
    print(json.dumps({"name": test.__name__.replace("_", " "), "wrong": wrong}), flush=True)
sys.exit(0)

"""reader - reads Dynamics and Campaign by their public APIs, and says where they differ.

Independent: it shares no code with the stages and does not read their configuration.  What a
contact, a loyalty card and an event must look like on the other side is written down here once
more, by hand, for the mapping of deploy/tideway.yaml.
"""
import http.client
import json
import urllib.parse
import uuid

PAGE = 500


class ApiError(Exception):
    def __init__(self, method, url, status, body):
        super().__init__(f"{method} {url}: HTTP {status}: {body[:300]}")
        self.status, self.body = status, body


class Client:
    """JSON over one kept connection."""

    def __init__(self, base):
        self.base = base.rstrip("/")
        self.parts = urllib.parse.urlsplit(self.base)
        self.connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port,
                                                     timeout=30)
        self.headers = {}

    def request(self, method, url, body=None, headers=None, raw=None):
        if not url.startswith("http"):
            url = self.base + url
        split = urllib.parse.urlsplit(url)
        path = split.path + ("?" + split.query if split.query else "")
        sent = dict(self.headers, **(headers or {}))
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, data, sent)
                answer = self.connection.getresponse()
                text = answer.read().decode("utf-8-sig")  # Dynamics: a BOM before a count
                break
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                if attempt:
                    raise
        if answer.status >= 300:
            raise ApiError(method, url, answer.status, text)
        self.answer_headers = dict(answer.getheaders())
        return json.loads(text) if text else None

    def get(self, url, **headers):
        return self.request("GET", url, headers=headers)


def token(url, client_id, secret, scope):
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client_id,
                                   "client_secret": secret, "scope": scope})
    answer = Client(url).request("POST", url, raw=form.encode(), headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    return answer["access_token"]


class Dynamics(Client):
    def __init__(self, env):
        super().__init__(env["DATAVERSE_URL"] + "/api/data/v9.2")
        self.headers = {"Authorization": "Bearer " + token(
            env["DATAVERSE_TOKEN_URL"], env["DATAVERSE_CLIENT_ID"], env["DATAVERSE_CLIENT_SECRET"],
            env["DATAVERSE_URL"] + "/.default"), "OData-Version": "4.0", "OData-MaxVersion": "4.0"}
        self.control = Client(env["TIDEWAY_SANDBOX_DATAVERSE"])

    def rows(self, table, query=""):
        """Every row of an entity set, with formatted values."""
        rows, url = [], f"/{table}" + ("?" + urllib.parse.quote(query, safe="$=&,'") if query else "")
        while url:
            page = self.get(url, Prefer='odata.include-annotations="*",odata.maxpagesize=%d' % PAGE)
            rows += page["value"]
            url = page.get("@odata.nextLink")
        return rows

    def count(self, table):
        return int(self.get(f"/{table}/$count"))

    def create(self, table, row):
        self.request("POST", f"/{table}", row)
        return self.answer_headers["OData-EntityId"].split("(")[1].rstrip(")").lower()

    def update(self, table, key, row):
        self.request("PATCH", f"/{table}({key})", row, headers={"If-Match": "*"})

    def update_many(self, table, kind, pk, rows):
        """rows: {id: columns}."""
        items = [dict(columns, **{"@odata.type": f"Microsoft.Dynamics.CRM.{kind}", pk: key})
                 for key, columns in rows.items()]
        for i in range(0, len(items), 500):
            self.request("POST", f"/{table}/Microsoft.Dynamics.CRM.UpsertMultiple",
                         {"Targets": items[i:i + 500]})

    def delete(self, table, key):
        self.request("DELETE", f"/{table}({key})")


class Campaign(Client):
    def __init__(self, env):
        super().__init__(env["CAMPAIGN_URL"] + "/profileAndServicesExt")
        self.headers = {"Authorization": "Bearer " + token(
            env["CAMPAIGN_TOKEN_URL"], env["CAMPAIGN_CLIENT_ID"], env["CAMPAIGN_CLIENT_SECRET"],
            "openid"), "X-Api-Key": env["CAMPAIGN_CLIENT_ID"]}
        self.control = Client(env["TIDEWAY_SANDBOX_CAMPAIGN"])

    def rows(self, resource):
        rows, url = [], f"/{resource}/?_lineCount={PAGE}&_forcePagination=true"
        while url:
            page = self.get(url)
            rows += page["content"]
            url = page.get("next", {}).get("href")
        return rows

    def count(self, resource):
        return self.get(f"/{resource}//_count")["count"]

    def find(self, resource, key):
        """The record or None."""
        try:
            return self.get(f"/{resource}/{urllib.parse.quote(key, safe='')}")
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def update(self, resource, key, columns):
        self.request("PATCH", f"/{resource}/{urllib.parse.quote(key, safe='')}", columns)

    def requests(self, resource=None):
        """{(method, status): count} since the last clear_requests()."""
        found = {}
        for r in self.control.get("/_sandbox/stats")["requests"]:
            if resource is None or r["route"] == resource:
                key = (r["method"], r["status"])
                found[key] = found.get(key, 0) + r["count"]
        return found

    def clear_requests(self):
        self.control.request("DELETE", "/_sandbox/stats")


# ---- what a row must look like on the other side -------------------------------------------------

LABEL = "@OData.Community.Display.V1.FormattedValue"
CONSENT = {"blackListEmail": ("donotemail", "donotbulkemail"), "blackListPhone": ("donotphone",),
           "blackListMobile": ("donotphone",), "blackListFax": ("donotfax",),
           "blackListPostalMail": ("donotpostalmail", "donotbulkpostalmail"),
           "blackList": ("donotsendmm",)}
PLAIN = {"firstname": "firstName", "lastname": "lastName", "middlename": "middleName",
         "salutation": "salutation", "telephone1": "phone",
         "mobilephone": "mobilePhone", "fax": "fax", "birthdate": "birthDate",
         "address1_line1": "location.address1", "address1_line2": "location.address2",
         "address1_line3": "location.address3", "address1_city": "location.city",
         "address1_postalcode": "location.zipCode",
         "address1_stateorprovince": "location.stateCode",
         "jobtitle": "cusJobTitle"}
# What nobody maps keeps the value that Campaign gives it.
UNTOUCHED = {"blackListPushnotification": False, "ccpaOptOut": False, "location.address4": "",
             "cusChildren": "", "emailFormat": "unknown", "preferredLanguage": "none", "timeZone": "none"}
COUNTRIES = {"FR": "FR", "FRANCE": "FR", "DE": "DE", "GERMANY": "DE", "DEUTSCHLAND": "DE", "GB": "GB",
             "UNITED KINGDOM": "GB", "US": "US", "USA": "US", "UNITED STATES": "US"}
CARD_TIERS = {None: "", 1: "bronze", 2: "silver", 3: "gold", 4: "platinum"}


def text(value):
    return "" if value is None else value


def moment(value):
    """2026-01-02T03:04:05Z as Campaign shows it."""
    if not value:
        return ""
    date, clock = value.rstrip("Z").split("T")
    whole, _, part = clock.partition(".")
    return f"{date} {whole}.{(part + '000')[:3]}Z"


def flat(record):
    out = {}
    for key, value in record.items():
        if isinstance(value, dict) and key == "location":
            out.update({f"location.{k}": v for k, v in value.items()})
        else:
            out[key] = value
    return out


def number(value):
    """A number, not its spelling; JSON numbers have been doubles on the way."""
    return "" if value in (None, "") else float(value)


def expected_profile(contact, opted_out):
    want = {to: text(contact.get(of)) for of, to in PLAIN.items()}
    want["externalId"] = contact["contactid"]
    want["email"] = text(contact.get("emailaddress1")).strip().lower()
    want["location.countryCode"] = COUNTRIES.get(
        text(contact.get("address1_country")).strip().upper(), "")
    want["gender"] = {1: "male", 2: "female"}.get(contact.get("gendercode"), "unknown")
    want["cusAnnualIncome"] = number(contact.get("annualincome"))
    want["cusPreferredContact"] = text(contact.get("preferredcontactmethodcode" + LABEL))
    want["cusStatus"] = {0: "active", 1: "inactive"}[contact["statecode"]]
    want["cusCompanyId"] = text(contact.get("_parentcustomerid_value"))
    want["cusModifiedOn"] = moment(contact["modifiedon"])
    for to, columns in CONSENT.items():
        want[to] = any(contact.get(of) for of in columns) or (contact["contactid"], to) in opted_out
    want.update(UNTOUCHED)
    return want


def expected_card(card):
    return {"cardId": card["new_loyaltycardid"], "cardNumber": text(card.get("new_name")),
            "tier": CARD_TIERS[card.get("new_tier")], "points": number(card.get("new_points")),
            "balance": number(card.get("new_balance")),
            "discount": number(card.get("new_discount")), "score": number(card.get("new_score")),
            "active": bool(card.get("new_active")), "issuedOn": text(card.get("new_issuedon")),
            "lastUsedOn": moment(card.get("new_lastusedon")), "note": text(card.get("new_note")),
            "contactId": text(card.get("_new_contactid_value"))}


NUMBERS = {"cusAnnualIncome", "points", "balance", "discount", "score"}


def differences(want, have, name):
    """Texts, one a field that differs. have: flat."""
    out = []
    for field, value in want.items():
        got = have.get(field, "(no such field)")
        if field in NUMBERS and got != "(no such field)":
            got = number(got)
        if got != value or isinstance(got, bool) != isinstance(value, bool):
            out.append(f"{name} {field}: wanted {value!r}, found {got!r}")
    return out


def by_key(rows, field, wrong, what):
    found = {}
    for row in rows:
        if row[field] in found:
            wrong.append(f"{what} {row[field]} is there twice")
        found[row[field]] = row
    return found


def compare_contacts(dynamics, campaign, opted_out=frozenset()):
    """Every contact against every profile that has an externalId of the form of a contact's.
    opted_out: (contact id, field) of opt-outs made in Campaign. Returns (count, differences)."""
    wrong = []
    # A contact that lost a merge has no profile of its own any more.
    contacts = {c["contactid"]: c for c in dynamics.rows("contacts") if not c.get("merged")}
    profiles = by_key([p for p in campaign.rows("profile") if len(p["externalId"]) == 36],
                      "externalId", wrong, "profile")
    wrong += [f"contact {k} has no profile" for k in contacts.keys() - profiles.keys()]
    wrong += [f"profile {k} has no contact" for k in profiles.keys() - contacts.keys()]
    for key in contacts.keys() & profiles.keys():
        wrong += differences(expected_profile(contacts[key], opted_out), flat(profiles[key]),
                             f"profile {key}")
    return len(contacts), wrong


def compare_cards(dynamics, campaign, follow=20):
    """Every card and its link; `follow` links are followed to their profile."""
    wrong = []
    cards = {c["new_loyaltycardid"]: c for c in dynamics.rows("new_loyaltycards")}
    found = by_key(campaign.rows("cusLoyaltyCard"), "cardId", wrong, "card")
    wrong += [f"card {k} is missing in Campaign" for k in cards.keys() - found.keys()]
    wrong += [f"card {k} is gone in Dynamics" for k in found.keys() - cards.keys()]
    for key in cards.keys() & found.keys():
        wrong += differences(expected_card(cards[key]), found[key], f"card {key}")
        linked = found[key]["profile"]
        owner = cards[key].get("_new_contactid_value")
        if bool(linked) != bool(owner):
            wrong.append(f"card {key}: contact {owner}, but the link is {linked}")
        elif owner and follow:
            follow -= 1
            if campaign.get(linked["href"])["externalId"] != owner:
                wrong.append(f"card {key}: the link leads to another profile")
    return len(cards), wrong


NAMESPACE = uuid.UUID("6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21")
ACTIVITIES = {"send": ("adobe_emailsend", "adobe_senton"), "open": ("adobe_emailopen", "adobe_openedon"),
              "click": ("adobe_emailurlclick", "adobe_clickedon"),
              "bounce": ("adobe_emailbounce", "adobe_bouncedon")}


def is_contact(external):
    try:
        return str(uuid.UUID(external)) == external.lower() and len(external) == 36
    except ValueError:
        return False


def compare_events(dynamics, campaign, instance="acme", exported=False, besides=frozenset()):
    """What really happened in Campaign against the timeline; exported: as far as a whole file has shown
    it; besides: deliveries that are not the simulator's. Returns ({kind: count}, number of
    events of profiles that are no contacts, differences)."""
    wrong, counts = [], {}
    events = [e for e in campaign.control.get("/_sandbox/events") if e["exported"] or not exported]
    strangers = sum(not is_contact(e["externalId"]) for e in events)
    for kind, (table, column) in ACTIVITIES.items():
        rows = {r["activityid"]: r for r in dynamics.rows(table + "s")
                if r["adobe_deliveryname"] not in besides}
        counts[kind] = len(rows)
        for e in events:
            if e["kind"] != kind or not is_contact(e["externalId"]):
                continue
            key = str(uuid.uuid5(NAMESPACE, f"{instance}|{kind}|{e['log']}"))
            row = rows.pop(key, None)
            if row is None:
                wrong.append(f"{kind} {e['log']} is not on the timeline")
                continue
            want = {"subject": f"Campaign Name: {e['campaign']}; Delivery Name: {e['delivery']}",
                    "_regardingobjectid_value": e["externalId"], "statecode": 1,
                    "adobe_campaignname": e["campaign"], "adobe_deliveryname": e["delivery"]}
            if kind == "click":
                want["adobe_trackingurl"] = e["url"]
            wrong += differences(want, row, f"{kind} {e['log']}")
            # Dynamics keeps whole seconds.
            if moment(row[column])[:19] != e["time"][:19]:
                wrong.append(f"{kind} {e['log']}: {column} is {row[column]}, not {e['time']}")
        wrong += [f"{kind} {key} happened nowhere" for key in rows]
    return counts, strangers, wrong

"""changes - records put straight into a loader's topic, version by version, for tests of what a
loader makes of them."""
import datetime
import io
import json
import os
import struct
import subprocess

import avro.io
import avro.schema
import reader
from case import expect, merge
from world import TOP, topic_keys

BEGAN = datetime.datetime(2026, 9, 1, tzinfo=datetime.timezone.utc)
RESOURCES = {"profile": ("contacts", "transform-contact", "externalId"),
             "cusVehicle": ("vehicles", "transform-custom-entity", "vehicleId"),
             "cusContract": ("contracts", "transform-custom-entity", "contractId"),
             "cusShop": ("shops", "transform-custom-entity", "shopId"),
             "cusLoyaltyCard": ("loyalty-cards", "transform-custom-entity", "cardId")}

VEHICLES = {"kind": "custom-entity", "table": "new_loyaltycard", "resource": "cusVehicle",
            "key": "vehicleId", "request_timeout": "2s",
            "fields": [{"from": "new_name", "to": "vehicleName"},
                       {"from": "new_note", "to": "vehicleNumber", "too_long": "truncate"}],
            "links": [{"from": "new_contactid", "to": "profile", "mode": "join",
                       "column": "ownerId", "required": True}]}
CONTRACTS = {"kind": "custom-entity", "table": "new_loyaltycard", "resource": "cusContract",
             "key": "contractId", "request_timeout": "2s",
             "fields": [{"from": "new_name", "to": "product"},
                        {"from": "new_balance", "to": "premium"}],
             "links": [{"from": "new_contactid", "to": "profile", "mode": "key", "link": "holder",
                        "required": True}]}
SHOPS = {"kind": "custom-entity", "table": "new_loyaltycard", "resource": "cusShop", "key": "shopId",
         "request_timeout": "2s", "fields": [{"from": "new_name", "to": "shopName"},
                                             {"from": "new_note", "to": "city", "too_long": "truncate"}]}


def with_flows(case, flows, campaign=(), overlay=None):
    """A case with more flows than the example has, and their metadata pulled."""
    folder = case.world.path("config", f"{case.name}-metadata", "x")[:-2]
    subprocess.run(["cp", "-r", os.path.join(TOP, "deploy/metadata/."), folder], check=True)
    case.overlay = merge({"metadata": folder, "flows": flows}, overlay or {})
    case.setup(contacts=1, overlay=case.overlay, campaign=campaign)
    case.tideway("metadata", "pull")
    for flow in ("contacts", *flows):
        case.tideway("topics", "create", "--flow", flow)


class Changes:
    """A loader's input: changes of one resource."""

    def __init__(self, case, resource):
        self.case, self.resource = case, resource
        self.flow, self.transformer, self.key = RESOURCES[resource]
        self.topic = case.topic(f"campaign.{resource}")
        self.versions, self.messages = {}, []
        stage = case.start(self.flow, self.transformer, name=f"schema-{resource}")
        case.wait(lambda: "msg=started" in case.log(stage), 15, "the schema to be registered")
        stage.stop()
        latest = reader.Client(case.env["REGISTRY_URL"]).get(f"/subjects/{self.topic}-value/versions/latest")
        self.id, self.schema = latest["id"], avro.schema.parse(latest["schema"])
        row = next(f for f in json.loads(latest["schema"])["fields"] if f["name"] == "row")["type"][1]
        self.row_fields = row["fields"]

    def fill(self, fields, values):
        row = {}
        for f in fields:
            inner = [t for t in f["type"] if t != "null"][0] if isinstance(f["type"], list) else f["type"]
            if isinstance(inner, dict) and inner["type"] == "record":
                row[f["name"]] = self.fill(inner["fields"], values.get(f["name"], {}))
            else:
                row[f["name"]] = values.get(f["name"])
        return row

    def add(self, key, version, op="upsert", epoch=1, observed=None, row=None):
        """Keeps one change; send() writes all that are kept."""
        at = BEGAN + datetime.timedelta(milliseconds=version if observed is None else observed)
        datum = {"op": op, "id": key, "epoch": epoch, "version": version, "modified_at": None,
                 "observed_at": at, "origin": "delta",
                 "row": None if op == "delete" else self.fill(self.row_fields, row or {})}
        out = io.BytesIO()
        avro.io.DatumWriter(self.schema).write(datum, avro.io.BinaryEncoder(out))
        self.messages.append((key, b"\0" + struct.pack(">I", self.id) + out.getvalue()))
        return self

    def tombstone(self, key):
        self.messages.append((key, None))
        return self

    def send(self, partition=None):
        """One kcat for all: keys and values divided by bytes that occur in neither."""
        where = ["-X", "topic.partitioner=murmur2_random"] if partition is None else ["-p", str(partition)]
        for null in (False, True):
            some = [(k, v) for k, v in self.messages if (v is None) == null]
            if not some:
                continue
            text = b"".join(k.encode() + b"<K>" + (v or b"") + b"<M>" for k, v in some)
            subprocess.run(["kcat", "-b", self.case.env["KAFKA_BROKERS"], "-P", "-t", self.topic,
                            "-X", "message.max.bytes=9437184", *where, "-K", "<K>", "-D", "<M>",
                            *(["-Z"] if null else [])], input=text, check=True)
        self.messages = []
        return self

    def put(self, key, version, **row):
        return self.add(key, version, row=row).send()

    def delete(self, key, version, **more):
        return self.add(key, version, op="delete", **more).send()

    # ---- what came of it ------------------------------------------------------------------------

    def start(self, name=None, options=()):
        stage = self.case.start(self.flow, "load-campaign", name=name or f"load-{self.resource}",
                                options=options)
        return stage

    def drained(self, deadline=40):
        self.case.drained(self.flow, "load-campaign", deadline)
        return self

    def calls(self):
        """{method: count} of this resource since the last clear(): writes, and GETs by filter (a
        GET by key is the test's own)."""
        found = {}
        for route, method, _, n in self.case.campaign_box.requests():
            if (route == self.resource and method != "GET") or route == f"{self.resource} by":
                found[method] = found.get(method, 0) + n
        return found

    def clear(self):
        self.case.campaign_box.clear()
        return self

    def costs(self, what, **calls):
        """The loader has done all, with exactly these calls."""
        self.drained()
        have = self.calls()
        expect(have == calls, f"{what}: {have}, not {calls}")
        self.clear()

    def counts(self):
        """What status says of the loader: {"created": n, ...}"""
        return self.case.status(self.flow)["load-campaign"]["total"]

    def history(self, key):
        return self.case.campaign_box.history(key)

    def rejected(self):
        return topic_keys(self.case.world_env, self.case.topic(f"rejected.{self.flow}.load-campaign"))

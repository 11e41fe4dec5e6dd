"""restarts - a sandbox with --data is ended and started again: rows, what the metadata API made, delta
links and the counter of versions are as they were."""
import os
import tempfile

from sandbox import Sandbox

CRM = "Microsoft.Dynamics.CRM."


def label(text):
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def wanted(answer, status):
    if answer.status != status:
        raise RuntimeError(f"expected {status}: {answer}")
    return answer


def change_metadata(sandbox):
    """A table with a column, a key and a lookup; a column and a key of a table of a file; one of the
    files' tables is taken away, one column of another as well."""
    def post(url, body):
        wanted(sandbox.ask("POST", url, body), 204)
    text = {"@odata.type": CRM + "StringAttributeMetadata", "MaxLength": 40}
    post("EntityDefinitions", {
        "@odata.type": CRM + "EntityMetadata", "SchemaName": "new_Kept", "OwnershipType": "UserOwned",
        "DisplayName": label("Kept"), "DisplayCollectionName": label("Kept"), "ChangeTrackingEnabled": True,
        "Attributes": [{**text, "SchemaName": "new_Name", "IsPrimaryName": True,
                        "DisplayName": label("Name")}]})
    post("EntityDefinitions(LogicalName='new_kept')/Attributes",
         {**text, "SchemaName": "new_Code", "DisplayName": label("Code")})
    post("EntityDefinitions(LogicalName='new_kept')/Keys",
         {"SchemaName": "new_CodeKey", "DisplayName": label("Code"), "KeyAttributes": ["new_code"]})
    post("RelationshipDefinitions", {
        "@odata.type": CRM + "OneToManyRelationshipMetadata", "SchemaName": "new_contact_kept",
        "ReferencedEntity": "contact", "ReferencingEntity": "new_kept",
        "Lookup": {"@odata.type": CRM + "LookupAttributeMetadata", "SchemaName": "new_ContactId",
                   "DisplayName": label("Contact")}})
    post("EntityDefinitions(LogicalName='contact')/Attributes",
         {**text, "SchemaName": "new_Extra", "DisplayName": label("Extra")})
    post("EntityDefinitions(LogicalName='contact')/Keys",
         {"SchemaName": "new_Mail", "DisplayName": label("Mail"), "KeyAttributes": ["emailaddress1"]})
    post("GlobalOptionSetDefinitions", {
        "@odata.type": CRM + "OptionSetMetadata", "Name": "new_colours", "DisplayName": label("Colours"),
        "OptionSetType": "Picklist", "Options": [{"Value": 1, "Label": label("Red")}]})
    wanted(sandbox.ask("DELETE", "EntityDefinitions(LogicalName='new_survey')"), 204)
    wanted(sandbox.ask("DELETE", "EntityDefinitions(LogicalName='new_loyaltycard')"
                                 "/Attributes(LogicalName='new_note')"), 204)
    for _ in range(2):  # the index of a key is there once it was looked at
        for table in ("contact", "new_kept"):
            sandbox.ask("GET", f"EntityDefinitions(LogicalName='{table}')/Keys")


def write_rows(sandbox):
    contact = sandbox.ask("GET", "contacts?$select=contactid&$top=1").json["value"][0]["contactid"]
    wanted(sandbox.ask("PATCH", "new_kepts(new_code='A1')", {
        "new_name": "kept", "new_ContactId@odata.bind": f"/contacts({contact})"}), 204)
    wanted(sandbox.ask("PATCH", f"contacts({contact})",
                       {"new_extra": "more", "emailaddress1": "kept@example.com"}), 204)


def all_of(sandbox):
    """What a client can see of it; links and etags hold the port and nothing else that may differ."""
    seen = {"$metadata": sandbox.ask("GET", "$metadata", Accept="application/xml").text,
            "definitions": sandbox.ask("GET", "EntityDefinitions?$expand=Attributes,Keys,"
                                              "OneToManyRelationships").text,
            "option sets": sandbox.ask("GET", "GlobalOptionSetDefinitions").text}
    for one in sandbox.ask("GET", "").json["value"]:
        seen[one["url"]] = sandbox.ask("GET", one["url"]).text
    return {name: text.replace(sandbox.server, "") for name, text in seen.items()}


def on_the_other_port(link, before, after):
    return link.replace(before.server, after.server)


def run(report):
    with tempfile.TemporaryDirectory() as folder:
        options = ["--data", os.path.join(folder, "data"), "--contacts", "30", "--seed", "5"]
        with Sandbox("dataverse", options) as first:
            change_metadata(first)
            write_rows(first)
            seen = all_of(first)
            link = first.ask("GET", "new_kepts", Prefer="odata.track-changes").json["@odata.deltaLink"]
        with Sandbox("dataverse", options) as second:
            again = all_of(second)
            for name in sorted(set(seen) | set(again)):
                report(f"after a restart {name} is as it was",
                       None if seen.get(name) == again.get(name) else
                       f"before: {str(seen.get(name))[:900]}\nafter: {str(again.get(name))[:900]}")
            delta = second.ask("GET", on_the_other_port(link, first, second)).json
            report("after a restart a delta link goes on, with nothing",
                   None if delta.get("value") == [] else str(delta)[:500])
            wanted(second.ask("PATCH", "new_kepts(new_code='A1')", {"new_name": "changed"}), 204)
            delta = second.ask("GET", on_the_other_port(link, first, second)).json
            report("after a restart a change is in the delta",
                   None if [row["new_name"] for row in delta["value"]] == ["changed"] else str(delta))
            answer = second.ask("POST", "new_kepts", {"new_code": "A1"})
            report("after a restart a key still keeps rows apart",
                   None if answer.status == 412 else str(answer))

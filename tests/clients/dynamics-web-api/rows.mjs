// rows - reading and writing rows of Dataverse with dynamics-web-api, as its manual shows.
import assert from "node:assert/strict";
import { client, fails, run } from "./world.mjs";

const api = client();
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const contact = (lastname, more = {}) => api.create({ collection: "contacts", data: { lastname, ...more } });

await run({
	"create answers with the id of the new contact": async () => {
		assert.match(await contact("Created"), guid);
	},

	"create can answer with the whole contact": async () => {
		const row = await api.create({
			collection: "contacts",
			data: { firstname: "Ada", lastname: "Lovelace" },
			returnRepresentation: true,
			select: ["fullname", "contactid"],
		});
		assert.equal(row.fullname, "Ada Lovelace");
		assert.match(row.contactid, guid);
		assert.match(row["@odata.etag"], /^W\/"\d+"$/);
	},

	"create binds a lookup": async () => {
		const account = await api.create({ collection: "accounts", data: { name: "Bound" } });
		const id = await contact("Bound", { "parentcustomerid_account@odata.bind": `accounts(${account})` });
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["_parentcustomerid_value"] });
		assert.equal(row._parentcustomerid_value, account);
	},

	"create refuses a property that is not there": async () => {
		await fails(400, () => contact("Wrong", { nosuchthing: 1 }));
	},

	"retrieve gives the columns that were asked for and no more": async () => {
		const id = await contact("Selected", { firstname: "S", jobtitle: "T" });
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["lastname", "jobtitle"] });
		assert.deepEqual(
			Object.keys(row).filter((key) => !key.startsWith("@") && !key.startsWith("oData")).sort(),
			["contactid", "jobtitle", "lastname"],
		);
	},

	"retrieve of a contact that is not there is 404": async () => {
		const error = await fails(404, () =>
			api.retrieve({ collection: "contacts", key: "00000000-0000-4000-8000-00000000dead" }),
		);
		assert.equal(error.code, "0x80040217");
	},

	"retrieve with the formatted values and lookup names": async () => {
		const account = await api.create({ collection: "accounts", data: { name: "Formatted Ltd" } });
		const id = await contact("Formatted", {
			gendercode: 2,
			"parentcustomerid_account@odata.bind": `accounts(${account})`,
		});
		const row = await api.retrieve({
			collection: "contacts",
			key: id,
			select: ["gendercode", "_parentcustomerid_value"],
			includeAnnotations: "*",
		});
		assert.equal(row["gendercode@OData.Community.Display.V1.FormattedValue"], "Female");
		assert.equal(row["_parentcustomerid_value@OData.Community.Display.V1.FormattedValue"], "Formatted Ltd");
		assert.equal(row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"], "account");
		assert.equal(
			row["_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"],
			"parentcustomerid_account",
		);
	},

	"retrieve expands a lookup": async () => {
		const account = await api.create({ collection: "accounts", data: { name: "Expanded" } });
		const id = await contact("Expanded", { "parentcustomerid_account@odata.bind": `accounts(${account})` });
		const row = await api.retrieve({
			collection: "contacts",
			key: id,
			select: ["lastname"],
			expand: [{ property: "parentcustomerid_account", select: ["name"] }],
		});
		assert.equal(row.parentcustomerid_account.name, "Expanded");
	},

	"retrieve expands a collection": async () => {
		const id = await contact("Holder");
		for (const name of ["one", "two"])
			await api.create({
				collection: "new_loyaltycards",
				data: { new_name: `expand ${name}`, "new_contactid@odata.bind": `contacts(${id})` },
			});
		const { value } = await api.retrieveRelationships({
			castType: "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
			filter: "ReferencedEntity eq 'contact' and ReferencingEntity eq 'new_loyaltycard'",
		});
		const nav = value[0].ReferencedEntityNavigationPropertyName;
		const row = await api.retrieve({
			collection: "contacts",
			key: id,
			select: ["lastname"],
			expand: [{ property: nav, select: ["new_name"], orderBy: ["new_name desc"] }],
		});
		assert.deepEqual(row[nav].map((card) => card.new_name), ["expand two", "expand one"]);
	},

	"retrieve of what did not change is 304": async () => {
		const id = await contact("Unchanged");
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["lastname"] });
		const again = await api.retrieve({
			collection: "contacts",
			key: id,
			select: ["lastname"],
			ifnonematch: row["@odata.etag"],
		});
		assert(!again, `it answered ${JSON.stringify(again)}`);
	},

	"retrieveMultiple goes through all pages": async () => {
		const ids = new Set();
		let page = await api.retrieveMultiple({ collection: "contacts", select: ["lastname"], maxPageSize: 7 });
		let pages = 1;
		for (;; pages++) {
			for (const row of page.value) ids.add(row.contactid);
			if (!page.oDataNextLink) break;
			assert.equal(page.value.length, 7);
			page = await api.retrieveMultiple(
				{ collection: "contacts", select: ["lastname"], maxPageSize: 7 },
				page.oDataNextLink,
			);
		}
		const all = await api.retrieveAll({ collection: "contacts", select: ["lastname"] });
		assert(pages > 5, `only ${pages} pages`);
		assert.equal(ids.size, all.value.length);
	},

	"retrieveMultiple filters, orders, limits and counts": async () => {
		for (const firstname of ["c", "a", "b"]) await contact("Zz'ordered", { firstname });
		const page = await api.retrieveMultiple({
			collection: "contacts",
			select: ["firstname"],
			filter: "lastname eq 'Zz''ordered' and (startswith(firstname,'a') or contains(firstname,'c') or firstname eq 'b')",
			orderBy: ["firstname desc"],
			top: 2,
			count: true,
		});
		assert.deepEqual(page.value.map((row) => row.firstname), ["c", "b"]);
		assert.equal(page.oDataCount, 3);
	},

	"retrieveMultiple filters with null, not, dates, lookups and In": async () => {
		const account = await api.create({ collection: "accounts", data: { name: "Filtered" } });
		const one = await contact("Filtered", {
			birthdate: "1984-05-17",
			"parentcustomerid_account@odata.bind": `accounts(${account})`,
		});
		const two = await contact("Filtered", { jobtitle: "set" });
		const ids = async (filter) =>
			(
				await api.retrieveMultiple({
					collection: "contacts",
					select: ["contactid"],
					filter: `lastname eq 'Filtered' and ${filter}`,
				})
			).value.map((row) => row.contactid);
		assert.deepEqual(await ids("jobtitle eq null"), [one]);
		assert.deepEqual(await ids("not (birthdate eq null)"), [one]);
		assert.deepEqual(await ids("birthdate lt 1990-01-01"), [one]);
		assert.deepEqual(await ids(`_parentcustomerid_value eq ${account}`), [one]);
		assert.deepEqual(await ids("parentcustomerid_account/name eq 'Filtered'"), [one]);
		assert.deepEqual(
			await ids(`Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues=['${two}'])`),
			[two],
		);
		assert.deepEqual((await ids("createdon gt 2020-01-01T00:00:00Z")).sort(), [one, two].sort());
	},

	"count and countAll agree with what was read": async () => {
		const all = await api.retrieveAll({ collection: "contacts", select: ["contactid"] });
		assert.equal(await api.count({ collection: "contacts" }), all.value.length);
		assert.equal(await api.countAll({ collection: "contacts", select: ["contactid"] }), all.value.length);
		await contact("Counted");
		assert.equal(await api.count({ collection: "contacts", filter: "lastname eq 'Counted'" }), 1);
	},

	"update changes what it names and nothing else": async () => {
		const id = await contact("Before", { firstname: "Stays" });
		await api.update({ collection: "contacts", key: id, data: { lastname: "After" } });
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["fullname"] });
		assert.equal(row.fullname, "Stays After");
	},

	"update can answer with the row": async () => {
		const id = await contact("Before");
		const row = await api.update({
			collection: "contacts",
			key: id,
			data: { lastname: "Represented" },
			returnRepresentation: true,
			select: ["lastname"],
		});
		assert.equal(row.lastname, "Represented");
	},

	"update never creates": async () => {
		await fails(404, () =>
			api.update({
				collection: "contacts",
				key: "00000000-0000-4000-8000-00000000beef",
				data: { lastname: "Nobody" },
			}),
		);
	},

	"update of a version that is gone changes nothing": async () => {
		const id = await contact("Version one");
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["lastname"] });
		await api.update({ collection: "contacts", key: id, data: { lastname: "two" }, ifmatch: row["@odata.etag"] });
		const late = await api.update({
			collection: "contacts",
			key: id,
			data: { lastname: "three" },
			ifmatch: row["@odata.etag"],
		});
		assert.equal(late, false);
		assert.equal((await api.retrieve({ collection: "contacts", key: id, select: ["lastname"] })).lastname, "two");
	},

	"updateSingleProperty sets one": async () => {
		const id = await contact("Single");
		await api.updateSingleProperty({ collection: "contacts", key: id, fieldValuePair: { jobtitle: "Only" } });
		assert.equal((await api.retrieve({ collection: "contacts", key: id, select: ["jobtitle"] })).jobtitle, "Only");
	},

	"deleteRecord of a property empties it": async () => {
		const id = await contact("Emptied", { jobtitle: "Gone" });
		await api.deleteRecord({ collection: "contacts", key: id, property: "jobtitle" });
		assert.equal((await api.retrieve({ collection: "contacts", key: id, select: ["jobtitle"] })).jobtitle, null);
	},

	"a single property can be read": async () => {
		const id = await contact("Property");
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["/lastname"] });
		assert.equal(row.value, "Property");
	},

	"upsert by id creates, then updates": async () => {
		const key = "11111111-2222-4333-8444-555555555555";
		await api.upsert({ collection: "contacts", key, data: { lastname: "Upserted" } });
		await api.upsert({ collection: "contacts", key, data: { firstname: "Twice" } });
		const row = await api.retrieve({ collection: "contacts", key, select: ["fullname"] });
		assert.equal(row.fullname, "Twice Upserted");
	},

	"upsert by alternate key creates, then updates": async () => {
		const key = "new_name='UPSERT-1'";
		const first = await api.upsert({
			collection: "new_loyaltycards",
			key,
			data: { new_points: 1 },
			returnRepresentation: true,
			select: ["new_points"],
		});
		const second = await api.upsert({
			collection: "new_loyaltycards",
			key,
			data: { new_points: 2 },
			returnRepresentation: true,
			select: ["new_points"],
		});
		assert.equal(first.new_loyaltycardid, second.new_loyaltycardid);
		const row = await api.retrieve({ collection: "new_loyaltycards", key, select: ["new_name", "new_points"] });
		assert.deepEqual([row.new_name, row.new_points], ["UPSERT-1", 2]);
	},

	"upsert that may only create leaves what is there": async () => {
		const key = "new_name='UPSERT-2'";
		const data = { new_points: 5 };
		await api.upsert({ collection: "new_loyaltycards", key, data, ifnonematch: "*" });
		const again = await api.upsert({
			collection: "new_loyaltycards",
			key,
			data: { new_points: 6 },
			ifnonematch: "*",
		});
		assert.equal(again, null);
		assert.equal((await api.retrieve({ collection: "new_loyaltycards", key, select: ["new_points"] })).new_points, 5);
	},

	"update by alternate key never creates": async () => {
		const key = "new_name='NOBODY'";
		await fails(404, () => api.update({ collection: "new_loyaltycards", key, data: { new_points: 1 } }));
		await fails(404, () => api.retrieve({ collection: "new_loyaltycards", key, select: ["new_points"] }));
		await api.upsert({ collection: "new_loyaltycards", key: "new_name='KEYED'", data: { new_points: 1 } });
		await api.update({ collection: "new_loyaltycards", key: "new_name='KEYED'", data: { new_points: 9 } });
		const row = await api.retrieve({ collection: "new_loyaltycards", key: "new_name='KEYED'", select: ["new_points"] });
		assert.equal(row.new_points, 9);
	},

	"deleteRecord deletes, once": async () => {
		const id = await contact("Deleted");
		await api.deleteRecord({ collection: "contacts", key: id });
		await fails(404, () => api.deleteRecord({ collection: "contacts", key: id }));
		await fails(404, () => api.retrieve({ collection: "contacts", key: id }));
	},

	"deleteRecord of a version that is gone deletes nothing": async () => {
		const id = await contact("Kept");
		const row = await api.retrieve({ collection: "contacts", key: id, select: ["lastname"] });
		await api.update({ collection: "contacts", key: id, data: { lastname: "Kept too" } });
		assert.equal(await api.deleteRecord({ collection: "contacts", key: id, ifmatch: row["@odata.etag"] }), false);
		await api.retrieve({ collection: "contacts", key: id, select: ["lastname"] });
	},

	"associate and disassociate a row of a collection": async () => {
		const id = await contact("Associated");
		const card = await api.create({ collection: "new_loyaltycards", data: { new_name: "associated" } });
		const { value } = await api.retrieveRelationships({
			castType: "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
			filter: "ReferencedEntity eq 'contact' and ReferencingEntity eq 'new_loyaltycard'",
		});
		const relationshipName = value[0].ReferencedEntityNavigationPropertyName;
		const holder = async () =>
			(await api.retrieve({ collection: "new_loyaltycards", key: card, select: ["_new_contactid_value"] }))
				._new_contactid_value;
		await api.associate({
			collection: "contacts",
			primaryKey: id,
			relationshipName,
			relatedCollection: "new_loyaltycards",
			relatedKey: card,
		});
		assert.equal(await holder(), id);
		await api.disassociate({ collection: "contacts", primaryKey: id, relationshipName, relatedKey: card });
		assert.equal(await holder(), null);
	},

	"associate and disassociate a single-valued lookup": async () => {
		const id = await contact("Lookup");
		const card = await api.create({ collection: "new_loyaltycards", data: { new_name: "single-valued" } });
		const holder = async () =>
			(await api.retrieve({ collection: "new_loyaltycards", key: card, select: ["_new_contactid_value"] }))
				._new_contactid_value;
		await api.associateSingleValued({
			collection: "new_loyaltycards",
			primaryKey: card,
			navigationProperty: "new_contactid",
			relatedCollection: "contacts",
			relatedKey: id,
		});
		assert.equal(await holder(), id);
		await api.disassociateSingleValued({
			collection: "new_loyaltycards",
			primaryKey: card,
			navigationProperty: "new_contactid",
		});
		assert.equal(await holder(), null);
	},

	"changes are tracked: the rows, what changed, what was deleted": async () => {
		const kept = await contact("Tracked");
		const gone = await contact("Tracked");
		const first = await api.retrieveAll({
			collection: "contacts",
			select: ["lastname"],
			trackChanges: true,
			maxPageSize: 10,
		});
		assert(first.value.some((row) => row.contactid === kept));
		await api.update({ collection: "contacts", key: kept, data: { lastname: "Changed" } });
		await api.deleteRecord({ collection: "contacts", key: gone });
		const delta = await api.retrieveMultiple({ collection: "contacts" }, first.oDataDeltaLink);
		assert.equal(delta.value.find((row) => row.contactid === kept).lastname, "Changed");
		assert.deepEqual(delta.value.filter((row) => row.reason).map((row) => [row.id, row.reason]), [[gone, "deleted"]]);
		assert.equal(delta.value.length, 2);
		const quiet = await api.retrieveMultiple({ collection: "contacts" }, delta.oDataDeltaLink);
		assert.deepEqual(quiet.value, []);
	},

	"change tracking refuses a filter": async () => {
		await fails(400, () =>
			api.retrieveMultiple({
				collection: "contacts",
				select: ["lastname"],
				filter: "lastname eq 'x'",
				trackChanges: true,
			}),
		);
	},

	"a batch reads and writes in order": async () => {
		const id = await contact("Batch");
		api.startBatch();
		api.update({ collection: "contacts", key: id, data: { jobtitle: "In a batch" }, inChangeSet: false });
		api.retrieve({ collection: "contacts", key: id, select: ["jobtitle"] });
		api.count({ collection: "contacts", filter: "lastname eq 'Batch'" });
		const answers = await api.executeBatch();
		assert.equal(answers.length, 3);
		assert.equal(answers[1].jobtitle, "In a batch");
		assert.equal(answers[2], 1);
	},

	"a change set refers to what it made": async () => {
		api.startBatch();
		api.create({ collection: "contacts", data: { lastname: "By reference" }, contentId: "1" });
		api.create({
			collection: "new_loyaltycards",
			data: { new_name: "By reference", "new_contactid@odata.bind": "$1" },
		});
		const [holder, card] = await api.executeBatch();
		const row = await api.retrieve({ collection: "new_loyaltycards", key: card, select: ["_new_contactid_value"] });
		assert.equal(row._new_contactid_value, holder);
	},

	"a change set can update what it made by its Content-ID": async () => {
		api.startBatch();
		api.create({ collection: "contacts", data: { lastname: "Content" }, contentId: "7" });
		api.update({ contentId: "$7", data: { jobtitle: "Patched" } });
		const [id] = await api.executeBatch();
		assert.equal((await api.retrieve({ collection: "contacts", key: id, select: ["jobtitle"] })).jobtitle, "Patched");
	},

	"a change set is undone as a whole": async () => {
		api.startBatch();
		api.create({ collection: "contacts", data: { lastname: "Undone" } });
		api.create({ collection: "contacts", data: { lastname: "Undone", nosuchthing: 1 } });
		await fails(400, () => api.executeBatch());
		assert.equal(await api.count({ collection: "contacts", filter: "lastname eq 'Undone'" }), 0);
	},

	"a batch can go on after an error": async () => {
		api.startBatch();
		api.create({ collection: "contacts", data: { nosuchthing: 1 }, inChangeSet: false });
		api.create({ collection: "contacts", data: { lastname: "Went on" }, inChangeSet: false });
		await api.executeBatch({ continueOnError: true }).catch(() => {});
		assert.equal(await api.count({ collection: "contacts", filter: "lastname eq 'Went on'" }), 1);
	},

	"WhoAmI names the user": async () => {
		const me = await api.callFunction("WhoAmI");
		for (const id of [me.UserId, me.BusinessUnitId, me.OrganizationId]) assert.match(id, guid);
	},

	"RetrieveTotalRecordCount counts": async () => {
		const answer = await api.callFunction({
			name: "RetrieveTotalRecordCount",
			parameters: { EntityNames: ["contact"] },
		});
		assert.deepEqual(answer.EntityRecordCountCollection.Keys, ["contact"]);
		assert.equal(answer.EntityRecordCountCollection.Values[0], await api.count({ collection: "contacts" }));
	},

	"Merge makes two contacts one": async () => {
		const winner = await contact("Winner");
		const loser = await contact("Loser");
		const type = "Microsoft.Dynamics.CRM.contact";
		await api.callAction({
			actionName: "Merge",
			action: {
				Target: { "@odata.type": type, contactid: winner },
				Subordinate: { "@odata.type": type, contactid: loser },
				UpdateContent: { "@odata.type": type, jobtitle: "Merged" },
				PerformParentingChecks: false,
			},
		});
		const after = (key) =>
			api.retrieve({ collection: "contacts", key, select: ["jobtitle", "merged", "statecode", "_masterid_value"] });
		assert.equal((await after(winner)).jobtitle, "Merged");
		const row = await after(loser);
		assert.deepEqual([row.merged, row.statecode, row._masterid_value], [true, 1, winner]);
	},

	"CreateMultiple makes several": async () => {
		const answer = await api.callAction({
			collection: "new_loyaltycards",
			actionName: "Microsoft.Dynamics.CRM.CreateMultiple",
			action: {
				Targets: ["m1", "m2"].map((new_name) => ({
					"@odata.type": "Microsoft.Dynamics.CRM.new_loyaltycard",
					new_name,
				})),
			},
		});
		assert.equal(answer.Ids.length, 2);
	},

	"names of tables stand for those of their collections": async () => {
		const named = client({ useEntityNames: true });
		const id = await named.create({ collection: "contact", data: { lastname: "By name" } });
		assert.equal((await named.retrieve({ collection: "contact", key: id, select: ["lastname"] })).lastname, "By name");
	},
});

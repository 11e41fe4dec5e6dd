// metadata - reading and writing the definitions of Dataverse with dynamics-web-api.
import assert from "node:assert/strict";
import { client, fails, run } from "./world.mjs";

const api = client();
const crm = "Microsoft.Dynamics.CRM";
const label = (text) => ({
	"@odata.type": `${crm}.Label`,
	LocalizedLabels: [{ "@odata.type": `${crm}.LocalizedLabel`, Label: text, LanguageCode: 1033 }],
});
const text = (SchemaName, more = {}) => ({
	"@odata.type": `${crm}.StringAttributeMetadata`,
	AttributeType: "String",
	AttributeTypeName: { Value: "StringType" },
	SchemaName,
	DisplayName: label(SchemaName),
	RequiredLevel: { Value: "None", CanBeChanged: true, ManagedPropertyLogicalName: "canmodifyrequirementlevelsettings" },
	MaxLength: 100,
	FormatName: { Value: "Text" },
	...more,
});
const table = "LogicalName='new_visit'";

await run({
	"retrieveEntities lists the tables": async () => {
		const { value } = await api.retrieveEntities({ select: ["LogicalName", "EntitySetName", "PrimaryIdAttribute"] });
		const contact = value.find((one) => one.LogicalName === "contact");
		assert.deepEqual([contact.EntitySetName, contact.PrimaryIdAttribute], ["contacts", "contactid"]);
	},

	"retrieveEntities filters": async () => {
		const { value } = await api.retrieveEntities({
			select: ["LogicalName"],
			filter: "ChangeTrackingEnabled eq true and IsActivity eq false",
		});
		assert(value.some((one) => one.LogicalName === "contact"));
	},

	"retrieveEntity with its columns and keys": async () => {
		const contact = await api.retrieveEntity({
			key: "LogicalName='contact'",
			select: ["LogicalName", "CanChangeTrackingBeEnabled"],
			expand: [
				{ property: "Attributes", select: ["LogicalName", "AttributeType"], filter: "LogicalName eq 'lastname'" },
				{ property: "Keys", select: ["KeyAttributes"] },
			],
		});
		assert.equal(contact.Attributes[0].AttributeType, "String");
		assert.equal(typeof contact.CanChangeTrackingBeEnabled.Value, "boolean");
		assert(Array.isArray(contact.Keys));
	},

	"retrieveEntity by its id": async () => {
		const byName = await api.retrieveEntity({ key: "LogicalName='contact'", select: ["LogicalName"] });
		const byId = await api.retrieveEntity({ key: byName.MetadataId, select: ["LogicalName"] });
		assert.equal(byId.LogicalName, "contact");
	},

	"retrieveAttributes with a cast": async () => {
		const { value } = await api.retrieveAttributes({
			entityKey: "LogicalName='contact'",
			castType: `${crm}.PicklistAttributeMetadata`,
			select: ["LogicalName"],
			expand: [{ property: "OptionSet" }, { property: "GlobalOptionSet" }],
		});
		const gender = value.find((one) => one.LogicalName === "gendercode");
		assert.deepEqual(gender.OptionSet.Options.map((one) => one.Value), [1, 2]);
		assert.equal(gender.OptionSet.Options[0].Label.UserLocalizedLabel.Label, "Male");
	},

	"retrieveAttribute, one": async () => {
		const one = await api.retrieveAttribute({
			entityKey: "LogicalName='contact'",
			attributeKey: "LogicalName='emailaddress1'",
			castType: `${crm}.StringAttributeMetadata`,
			select: ["LogicalName", "MaxLength"],
		});
		assert.equal(one.MaxLength, 100);
	},

	"retrieveRelationships of one kind": async () => {
		const { value } = await api.retrieveRelationships({
			castType: `${crm}.OneToManyRelationshipMetadata`,
			filter: "ReferencedEntity eq 'contact'",
			select: ["SchemaName", "ReferencingEntity", "ReferencingEntityNavigationPropertyName"],
		});
		const card = value.find((one) => one.ReferencingEntity === "new_loyaltycard");
		assert.equal(card.ReferencingEntityNavigationPropertyName, "new_contactid");
		const again = await api.retrieveRelationship({
			key: card.MetadataId,
			castType: `${crm}.OneToManyRelationshipMetadata`,
			select: ["SchemaName"],
		});
		assert.equal(again.SchemaName, card.SchemaName);
	},

	"createGlobalOptionSet, retrieveGlobalOptionSet, retrieveGlobalOptionSets": async () => {
		await api.createGlobalOptionSet({
			data: {
				"@odata.type": `${crm}.OptionSetMetadata`,
				Name: "new_colours",
				DisplayName: label("Colours"),
				IsGlobal: true,
				OptionSetType: "Picklist",
				Options: [
					{ Value: 100000000, Label: label("Red") },
					{ Value: 100000001, Label: label("Green") },
				],
			},
		});
		const one = await api.retrieveGlobalOptionSet({
			key: "Name='new_colours'",
			castType: `${crm}.OptionSetMetadata`,
		});
		assert.deepEqual(one.Options.map((option) => option.Value), [100000000, 100000001]);
		const { value } = await api.retrieveGlobalOptionSets({ select: ["Name"] });
		assert(value.some((set) => set.Name === "new_colours"));
	},

	"createEntity makes a table, createAttribute its columns": async () => {
		const id = await api.createEntity({
			data: {
				"@odata.type": `${crm}.EntityMetadata`,
				SchemaName: "new_Visit",
				DisplayName: label("Visit"),
				DisplayCollectionName: label("Visits"),
				Description: label("A visit to a shop"),
				OwnershipType: "UserOwned",
				HasActivities: false,
				HasNotes: false,
				IsActivity: false,
				Attributes: [text("new_Name", { IsPrimaryName: true })],
			},
		});
		assert.match(id, /^[0-9a-f-]{36}$/);
		await api.createAttribute({ entityKey: table, data: text("new_Code") });
		await api.createAttribute({
			entityKey: table,
			data: {
				"@odata.type": `${crm}.PicklistAttributeMetadata`,
				AttributeType: "Picklist",
				AttributeTypeName: { Value: "PicklistType" },
				SchemaName: "new_Mood",
				DisplayName: label("Mood"),
				RequiredLevel: { Value: "None" },
				OptionSet: {
					"@odata.type": `${crm}.OptionSetMetadata`,
					IsGlobal: false,
					OptionSetType: "Picklist",
					Options: [
						{ Value: 1, Label: label("Good") },
						{ Value: 2, Label: label("Bad") },
					],
				},
			},
		});
		const made = await api.retrieveEntity({
			key: table,
			select: ["EntitySetName", "IsCustomEntity", "PrimaryNameAttribute"],
			expand: [{ property: "Attributes", select: ["LogicalName"] }],
		});
		assert.deepEqual([made.IsCustomEntity, made.PrimaryNameAttribute], [true, "new_name"]);
		for (const name of ["new_code", "new_mood", "new_visitid"])
			assert(made.Attributes.some((one) => one.LogicalName === name), `no column ${name}`);
	},

	"createRelationship joins the table to contact": async () => {
		await api.createRelationship({
			data: {
				"@odata.type": `${crm}.OneToManyRelationshipMetadata`,
				SchemaName: "new_contact_visit",
				ReferencedEntity: "contact",
				ReferencedAttribute: "contactid",
				ReferencingEntity: "new_visit",
				CascadeConfiguration: { Assign: "NoCascade", Delete: "RemoveLink", Merge: "NoCascade", Reparent: "NoCascade", Share: "NoCascade", Unshare: "NoCascade" },
				Lookup: {
					"@odata.type": `${crm}.LookupAttributeMetadata`,
					AttributeType: "Lookup",
					AttributeTypeName: { Value: "LookupType" },
					SchemaName: "new_ContactId",
					DisplayName: label("Visitor"),
					RequiredLevel: { Value: "None" },
				},
			},
		});
		const { value } = await api.retrieveRelationships({
			castType: `${crm}.OneToManyRelationshipMetadata`,
			filter: "SchemaName eq 'new_contact_visit'",
		});
		assert.equal(value[0].ReferencingAttribute, "new_contactid");
	},

	"a key can be made, and rows of the table upserted by it": async () => {
		await api.create({
			collection: "EntityDefinitions",
			key: table,
			navigationProperty: "Keys",
			data: {
				"@odata.type": `${crm}.EntityKeyMetadata`,
				SchemaName: "new_VisitCode",
				DisplayName: label("Visit code"),
				KeyAttributes: ["new_code"],
			},
		});
		// Its index is built behind the answer; until then nothing is found by it.
		let status;
		for (let reads = 0; status !== "Active" && reads < 10; reads++) {
			const { Keys } = await api.retrieveEntity({
				key: table,
				expand: [{ property: "Keys", select: ["SchemaName", "EntityKeyIndexStatus"] }],
			});
			status = Keys[0].EntityKeyIndexStatus;
		}
		assert.equal(status, "Active");
		const { EntitySetName: collection } = await api.retrieveEntity({ key: table, select: ["EntitySetName"] });
		const contact = await api.create({ collection: "contacts", data: { lastname: "Visitor" } });
		const { value } = await api.retrieveRelationships({
			castType: `${crm}.OneToManyRelationshipMetadata`,
			filter: "SchemaName eq 'new_contact_visit'",
		});
		const bind = `${value[0].ReferencingEntityNavigationPropertyName}@odata.bind`;
		await api.upsert({
			collection,
			key: "new_code='V1'",
			data: { new_name: "First", new_mood: 1, [bind]: `contacts(${contact})` },
		});
		await api.upsert({ collection, key: "new_code='V1'", data: { new_mood: 2 } });
		const rows = await api.retrieveAll({ collection, select: ["new_name", "new_mood", "_new_contactid_value"] });
		assert.deepEqual(
			rows.value.map((row) => [row.new_name, row.new_mood, row._new_contactid_value]),
			[["First", 2, contact]],
		);
	},

	"a table of that name cannot be made twice": async () => {
		await fails(400, () =>
			api.createEntity({
				data: {
					"@odata.type": `${crm}.EntityMetadata`,
					SchemaName: "new_Visit",
					DisplayName: label("Visit"),
					DisplayCollectionName: label("Visits"),
					OwnershipType: "UserOwned",
					HasActivities: false,
					HasNotes: false,
					Attributes: [text("new_Name", { IsPrimaryName: true })],
				},
			}),
		);
	},

	"the new table is in $metadata": async () => {
		const csdl = await api.retrieveCsdlMetadata();
		assert.match(csdl, /<EntityType Name="new_visit"/);
		assert.match(csdl, /<EntityType Name="contact" BaseType="mscrm.crmbaseentity"/);
	},
});

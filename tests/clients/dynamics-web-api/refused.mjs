// refused - everything that REFUSED.md lists, asked for: the sandbox must say 501, never look as if
// it had done it.  A call that the page does not list, or a line of the page that nothing here asks
// for, is a failure too, so that the page stays true.
import assert from "node:assert/strict";
import fs from "node:fs";
import { client, fails, run } from "./world.mjs";

const api = client();
const [contact] = (await api.retrieveMultiple({ collection: "contacts", select: ["contactid"], top: 1 })).value;
const key = contact.contactid;
const guid = "11111111-2222-4333-8444-555555555555";

const calls = {
	"fetch": () => api.fetch({ collection: "contacts", fetchXml: '<fetch><entity name="contact"/></fetch>' }),
	"fetchAll": () => api.fetchAll({ collection: "contacts", fetchXml: '<fetch><entity name="contact"/></fetch>' }),
	"retrieveMultiple with apply": () =>
		api.retrieveMultiple({ collection: "contacts", apply: "groupby((gendercode))" }),
	"retrieveMultiple with savedQuery": () => api.retrieveMultiple({ collection: "contacts", savedQuery: guid }),
	"retrieveMultiple with userQuery": () => api.retrieveMultiple({ collection: "contacts", userQuery: guid }),
	"uploadFile": () =>
		api.uploadFile({ collection: "contacts", key, fieldName: "entityimage", fileName: "a.png", data: Buffer.from("x") }),
	"downloadFile": () => api.downloadFile({ collection: "contacts", key, property: "entityimage" }),
	"impersonate": () => api.retrieve({ collection: "contacts", key, select: ["lastname"], impersonate: guid }),
	"impersonateAAD": () => api.retrieve({ collection: "contacts", key, select: ["lastname"], impersonateAAD: guid }),
	"query": () => api.query({ query: { search: "x" } }),
	"suggest": () => api.suggest({ query: { search: "abc" } }),
	"autocomplete": () => api.autocomplete({ query: { search: "abc" } }),
};

const listed = fs
	.readFileSync(new URL("../REFUSED.md", import.meta.url), "utf8")
	.split("\n")
	.map((line) => /^\| `([^`]+)` \|/.exec(line)?.[1])
	.filter(Boolean);

await run({
	"REFUSED.md lists what is asked for here, no more and no less": async () => {
		assert.deepEqual([...listed].sort(), Object.keys(calls).sort());
	},
	...Object.fromEntries(
		Object.entries(calls).map(([name, call]) => [`${name} is refused with 501`, () => fails(501, call)]),
	),
});

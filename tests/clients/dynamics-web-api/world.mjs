// world - what the tests of this client share: the client itself, as its manual sets it up, and a
// run of named tests that goes on after a failure.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

// The package lives under build/, beside nothing of ours, so that it is what npm laid down.
const require = createRequire(path.resolve(process.env.CLIENTS, "dynamics-web-api/x.js"));
export const { DynamicsWebApi } = require("dynamics-web-api");
export const server = process.env.SERVER;

async function token() {
	const answer = await fetch(`${server}/sandbox/oauth2/v2.0/token`, {
		method: "POST",
		body: new URLSearchParams({
			client_id: "sandbox",
			client_secret: "sandbox",
			grant_type: "client_credentials",
			scope: `${server}/.default`,
		}),
	});
	return { accessToken: (await answer.json()).access_token };
}

export function client(settings = {}) {
	return new DynamicsWebApi({ serverUrl: server, onTokenRefresh: token, ...settings });
}

// What is called must fail with this status; gives the error.
export async function fails(status, call) {
	let error;
	try {
		await call();
	} catch (e) {
		error = Array.isArray(e) ? e.find((one) => one instanceof Error) : e;
	}
	assert(error, `it did not fail, but should with ${status}`);
	assert.equal(error.status, status, `status ${error.status}: ${error.message}`);
	return error;
}

// tests: {sentence: async function}.  One line of JSON for each, which tests/clients/run reads.
export async function run(tests) {
	for (const [name, test] of Object.entries(tests)) {
		let wrong = null;
		try {
			await test();
		} catch (e) {
			const one = Array.isArray(e) ? e.find((part) => part instanceof Error) ?? e : e;
			wrong = `${one?.status ?? ""} ${one?.code ?? ""} ${one?.message}\n${one?.stack ?? ""}`;
		}
		console.log(JSON.stringify({ name, wrong }));
	}
}

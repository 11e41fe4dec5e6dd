/* sandbox-dataverse - one request to the handlers of the Dataverse sandbox; see driver/sandbox.c. */
#define main sandbox_main
int sandbox_main(int argc, char **argv);
#include "../sandbox/dataverse.c"
#undef main

#include "driver/sandbox.h"

const struct fuzzed fuzzed = {
    .option = "tables",
    .folder = "tests/sandbox/dataverse/tables",
    .token = "POST /sandbox/oauth2/v2.0/token\n"
	     "Content-Type: application/x-www-form-urlencoded\n\n"
	     "client_id=sandbox&client_secret=sandbox&grant_type=client_credentials&"
	     "scope=http://127.0.0.1/.default",
    .rows = {"POST /api/data/v9.2/contacts\n\n"
	     "{\"contactid\":\"11111111-1111-4111-8111-111111111111\",\"lastname\":\"One\"}",
	     "POST /api/data/v9.2/new_loyaltycards\n\n"
	     "{\"new_loyaltycardid\":\"22222222-2222-4222-8222-222222222222\","
	     "\"new_name\":\"CARD\"}"},
    .failure = 501,
};

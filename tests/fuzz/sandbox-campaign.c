/* sandbox-campaign - one request to the handlers of the Campaign sandbox; see driver/sandbox.c. */
#define main sandbox_main
int sandbox_main(int argc, char **argv);
#include "../sandbox/campaign.c"
#undef main

#include "driver/sandbox.h"

const struct fuzzed fuzzed = {
    .option = "resources",
    .folder = "tests/sandbox/campaign/resources",
    .token = "POST /ims/token/v3\n"
	     "Content-Type: application/x-www-form-urlencoded\n\n"
	     "client_id=sandbox&client_secret=sandbox&grant_type=client_credentials&scope=openid",
    .rows = {"POST /acme/campaign/profileAndServicesExt/profile\n\n"
	     "{\"externalId\":\"ONE\",\"lastName\":\"One\"}",
	     "POST /acme/campaign/profileAndServicesExt/cusLoyaltyCard\n\n"
	     "{\"cardId\":\"CARD\",\"contactId\":\"ONE\"}"},
    .failure = 500, /* the product answers its clients' mistakes with it */
};

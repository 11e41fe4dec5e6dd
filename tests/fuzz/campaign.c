/* Answers of Campaign: whatever it says, nothing in quotes or parentheses may be repeated. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {400, 401, 403, 404, 409, 429, 500, 502, 0};
	char *text = malloc(size + 1);
	struct error err;

	memcpy(text, data, size);
	text[size] = 0;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct http_response res = {.status = statuses[i],
					    .sent = true,
					    .retry_after_ms = -1,
					    .body = {.data = text, .len = size}};
		memset(&err, 0x7f, sizeof err);
		if (campaign_answer(&res, (mono_time){1}, &err) == OK)
			abort();
		if (!memchr(err.text, 0, sizeof err.text) ||
		    !memchr(err.reason, 0, sizeof err.reason) || strchr(err.text, '\n'))
			abort();
	}
	free(text);
	return 0;
}

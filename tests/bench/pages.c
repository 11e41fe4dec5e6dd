/* pages.c - reads a table of Dataverse page by page and does nothing with it: what an extractor could
 * reach if the pages came by themselves.
 *
 * usage: bench-pages URL HEADER...   prints pages, bytes and seconds
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct body {
	char *data;
	size_t len, cap;
};

static size_t take(char *data, size_t size, size_t n, void *arg)
{
	struct body *b = arg;

	size *= n;
	if (b->len + size + 1 > b->cap) {
		b->cap = 2 * (b->len + size + 1);
		b->data = realloc(b->data, b->cap);
		if (!b->data)
			abort();
	}
	memcpy(b->data + b->len, data, size);
	b->len += size;
	b->data[b->len] = 0;
	return size;
}

/* The next link stands behind the rows; a row has none. */
static char *next_link(const struct body *b)
{
	static const char name[] = "\"@odata.nextLink\":\"";
	const char *at = memmem(b->data, b->len, name, sizeof name - 1), *end;

	if (!at)
		return NULL;
	at += sizeof name - 1;
	end = strchr(at, '"');
	return end ? strndup(at, (size_t)(end - at)) : NULL;
}

int main(int argc, char **argv)
{
	struct timespec a, z;
	struct curl_slist *headers = NULL;
	struct body body = {0};
	long pages = 0, status;
	size_t bytes = 0;
	CURL *c = curl_easy_init();
	char *url = argc > 1 ? strdup(argv[1]) : NULL;

	if (!c || !url) {
		fprintf(stderr, "usage: bench-pages URL HEADER...\n");
		return 100;
	}
	for (int i = 2; i < argc; i++)
		headers = curl_slist_append(headers, argv[i]);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (url) {
		body.len = 0;
		curl_easy_setopt(c, CURLOPT_URL, url);
		if (curl_easy_perform(c) != CURLE_OK)
			return 111;
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		if (status != 200)
			return 111;
		free(url);
		url = next_link(&body);
		bytes += body.len;
		pages++;
	}
	clock_gettime(CLOCK_MONOTONIC, &z);
	printf("%ld %zu %.6f\n", pages, bytes,
	       (double)(z.tv_sec - a.tv_sec) + (double)(z.tv_nsec - a.tv_nsec) / 1e9);
	free(body.data);
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	return 0;
}

/* curl-post - what the machine can do: POSTs of given bodies by one curl_multi, and nothing else.
 *
 *   bench-curl-post URL FILE IN-FLIGHT HEADER...
 *
 * A line of FILE is a body.  Prints "seconds cpu_s failed".  No topic, no order, no look at the answers:
 * the limit that load-dataverse is measured against. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static size_t ignore(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool next_body(FILE *in, CURL *c, char **line, size_t *size)
{
	ssize_t n = getline(line, size, in);

	if (n <= 0)
		return false;
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, *line);
	return true;
}

int main(int argc, char **argv)
{
	struct curl_slist *headers = NULL;
	struct rusage use;
	long failed = 0;
	int running = 0, left, active = 0;
	char *line = NULL;
	size_t size = 0;

	FILE *in = argc > 4 ? fopen(argv[2], "re") : NULL;
	if (!in)
		return 100;
	CURLM *multi = curl_multi_init();
	for (int i = 4; i < argc; i++)
		headers = curl_slist_append(headers, argv[i]);
	headers = curl_slist_append(headers, "Expect:");
	double began = now();
	for (long i = 0; i < atol(argv[3]); i++) {
		CURL *c = curl_easy_init();
		curl_easy_setopt(c, CURLOPT_URL, argv[1]);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
		if (!next_body(in, c, &line, &size)) {
			curl_easy_cleanup(c);
			break;
		}
		curl_multi_add_handle(multi, c);
		active++;
	}
	while (active) {
		CURLMsg *msg;
		curl_multi_perform(multi, &running);
		while ((msg = curl_multi_info_read(multi, &left))) {
			CURL *c = msg->easy_handle;
			long status = 0;
			curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
			failed += msg->data.result || status >= 300;
			curl_multi_remove_handle(multi, c);
			if (next_body(in, c, &line, &size)) {
				curl_multi_add_handle(multi, c);
				continue;
			}
			curl_easy_cleanup(c);
			active--;
		}
		curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	double took = now() - began;
	getrusage(RUSAGE_SELF, &use);
	printf("%.3f %.3f %ld\n", took,
	       (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
	       failed);
	free(line);
	fclose(in);
	curl_slist_free_all(headers);
	curl_multi_cleanup(multi);
	return failed ? 1 : 0;
}

/* curl-multi - what the machine can do: PATCHes of many keys by one curl_multi, and nothing else.
 *
 *   bench-curl-multi URL-PREFIX KEY-PREFIX COUNT IN-FLIGHT BODY HEADER...
 *
 * URL-PREFIX and KEY-PREFIX0, KEY-PREFIX1, .. make the URLs.  Prints "rate cpu_s failed".  No topic, no
 * order, no memory of anything: the limit that load-campaign is measured against. */
#include <curl/curl.h>
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

int main(int argc, char **argv)
{
	struct curl_slist *headers = NULL;
	long next = 0, done = 0, failed = 0;
	int running, left;

	if (argc < 6)
		return 100;
	long count = atol(argv[3]), flight = atol(argv[4]);
	CURLM *multi = curl_multi_init();
	for (int i = 6; i < argc; i++)
		headers = curl_slist_append(headers, argv[i]);
	headers = curl_slist_append(headers, "Expect:");
	double began = now();
	for (long i = 0; i < flight && i < count; i++) {
		CURL *c = curl_easy_init();
		char url[1000];
		snprintf(url, sizeof url, "%s%s%ld", argv[1], argv[2], next++);
		curl_easy_setopt(c, CURLOPT_URL, url);
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "PATCH");
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, argv[5]);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
		curl_multi_add_handle(multi, c);
	}
	while (done < count) {
		CURLMsg *msg;
		curl_multi_perform(multi, &running);
		while ((msg = curl_multi_info_read(multi, &left))) {
			CURL *c = msg->easy_handle;
			long status = 0;
			char url[1000];
			curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
			failed += msg->data.result || status >= 300;
			done++;
			curl_multi_remove_handle(multi, c);
			if (next == count) {
				curl_easy_cleanup(c);
				continue;
			}
			snprintf(url, sizeof url, "%s%s%ld", argv[1], argv[2], next++);
			curl_easy_setopt(c, CURLOPT_URL, url);
			curl_multi_add_handle(multi, c);
		}
		curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	double took = now() - began;
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	printf("%.1f %.3f %ld\n", (double)count / took,
	       (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
	       failed);
	curl_slist_free_all(headers);
	curl_multi_cleanup(multi);
	return failed ? 1 : 0;
}

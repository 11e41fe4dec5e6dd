/* text.c - percent-encoding and the seeded generator. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *url_decode(const char *s, size_t len, bool plus)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] != '%') {
			out[n++] = plus && s[i] == '+' ? ' ' : s[i];
			continue;
		}
		int high = i + 2 < len ? hex(s[i + 1]) : -1, low = i + 2 < len ? hex(s[i + 2]) : -1;
		if (high >= 0 && low >= 0 && (high || low)) {
			out[n++] = (char)(high * 16 + low);
			i += 2;
			continue;
		}
		free(out);
		return NULL;
	}
	out[n] = 0;
	return out;
}

char *url_encode(const char *s)
{
	char *out = malloc(strlen(s) * 3 + 1), *at = out;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (isalnum(c) || strchr("-._~", c))
			*at++ = (char)c;
		else
			at += sprintf(at, "%%%02X", c);
	}
	*at = 0;
	return out;
}

char *query_get(const struct request *req, const char *name)
{
	const char *at = req->query;

	while (*at) {
		const char *end = at + strcspn(at, "&"),
			   *equals = memchr(at, '=', (size_t)(end - at));
		char *key = url_decode(at, (size_t)((equals ? equals : end) - at), true);
		bool found = key && !strcmp(key, name);
		free(key);
		if (found)
			return equals ? url_decode(equals + 1, (size_t)(end - equals - 1), true)
				      : strdup("");
		at = *end ? end + 1 : end;
	}
	return NULL;
}

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

double rng_unit(struct rng *r)
{
	return (double)(rng_next(r) >> 11) / 9007199254740992.0;
}

void rng_guid(struct rng *r, char out[37])
{
	uint64_t a = rng_next(r), b = rng_next(r);

	a = (a & ~(uint64_t)0xf000) | 0x4000;
	b = (b & ~((uint64_t)3 << 62)) | (uint64_t)2 << 62;
	snprintf(out, 37, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
		 (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xffff, (unsigned)(b >> 48),
		 (unsigned long long)(b & 0xffffffffffffu));
}

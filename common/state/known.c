/* known.c - see known.h. */
#include "known.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

enum { EMPTY, UNMET, MET, GONE, SURE, STATES }; /* SURE: unmet, and asked for */

enum { SLOTS_AT_FIRST = 1024 };

typedef struct {
	uint8_t bytes[16];
} guid;

struct known {
	guid *ids;
	int64_t *versions;
	uint8_t *states;
	size_t slots; /* a power of two */
	size_t used;  /* not EMPTY */
	size_t counts[STATES];
};

static void allocate(struct known *k, size_t slots)
{
	k->ids = xcalloc(slots, sizeof *k->ids);
	k->versions = xcalloc(slots, sizeof *k->versions);
	k->states = xcalloc(slots, 1);
	k->slots = slots;
	k->used = 0;
	memset(k->counts, 0, sizeof k->counts);
}

static void release(struct known *k)
{
	free(k->ids);
	free(k->versions);
	free(k->states);
}

struct known *known_new(void)
{
	struct known *k = xcalloc(1, sizeof *k);
	allocate(k, SLOTS_AT_FIRST);
	return k;
}

void known_free(struct known *k)
{
	if (!k)
		return;
	release(k);
	free(k);
}

void known_clear(struct known *k)
{
	release(k);
	allocate(k, SLOTS_AT_FIRST);
}

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

static bool to_guid(const char *id, guid *out)
{
	size_t n = 0;

	if (!text_is_guid(id))
		return false;
	for (const char *c = id; *c; c += 2) {
		c += *c == '-';
		out->bytes[n++] = (uint8_t)(nibble(c[0]) << 4 | nibble(c[1]));
	}
	return true;
}

static void to_text(const guid *g, char id[37])
{
	static const char digits[] = "0123456789abcdef";
	char *to = id;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[g->bytes[i] >> 4];
		*to++ = digits[g->bytes[i] & 15];
	}
	*to = 0;
}

/* Not every product makes random ids (Dataverse's are sequential within a batch): mix. */
static size_t hash(const guid *g)
{
	uint64_t a, b;

	memcpy(&a, g->bytes, 8);
	memcpy(&b, g->bytes + 8, 8);
	a ^= b * 0x9e3779b97f4a7c15;
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93;
	return (size_t)(a ^ a >> 32);
}

/* The slot of g, or the empty one where it belongs. */
static size_t find(const struct known *k, const guid *g)
{
	size_t i = hash(g) & (k->slots - 1);

	while (k->states[i] != EMPTY && memcmp(&k->ids[i], g, sizeof *g))
		i = (i + 1) & (k->slots - 1);
	return i;
}

static void set(struct known *k, const guid *g, int64_t version, uint8_t state);

static void grow(struct known *k)
{
	struct known old = *k;

	allocate(k, old.slots * 2);
	for (size_t i = 0; i < old.slots; i++)
		if (old.states[i] != EMPTY)
			set(k, &old.ids[i], old.versions[i], old.states[i]);
	release(&old);
}

static void set(struct known *k, const guid *g, int64_t version, uint8_t state)
{
	size_t i = find(k, g);

	if (k->states[i] == EMPTY) {
		if (k->used + 1 > k->slots - k->slots / 8) {
			grow(k);
			i = find(k, g);
		}
		k->ids[i] = *g;
		k->used++;
	} else {
		k->counts[k->states[i]]--;
	}
	k->versions[i] = version;
	k->states[i] = state;
	k->counts[state]++;
}

bool known_put(struct known *k, const char *id, int64_t version, bool met)
{
	guid g;

	if (!to_guid(id, &g))
		return false;
	set(k, &g, version, met ? MET : UNMET);
	return true;
}

bool known_gone(struct known *k, const char *id)
{
	guid g;

	if (!to_guid(id, &g))
		return false;
	set(k, &g, -1, GONE);
	return true;
}

int64_t known_version(const struct known *k, const char *id)
{
	guid g;

	if (!to_guid(id, &g))
		return -1;
	size_t i = find(k, &g);
	return k->states[i] != EMPTY && k->states[i] != GONE ? k->versions[i] : -1;
}

bool known_is_met(const struct known *k, const char *id)
{
	guid g;

	return to_guid(id, &g) && k->states[find(k, &g)] == MET;
}

void known_sure(struct known *k, const char *id)
{
	guid g;

	if (!to_guid(id, &g))
		return;
	size_t i = find(k, &g);
	if (k->states[i] == UNMET)
		set(k, &g, k->versions[i], SURE);
}

void known_unmeet(struct known *k)
{
	for (size_t i = 0; i < k->slots; i++)
		if (k->states[i] == MET || k->states[i] == SURE)
			k->states[i] = UNMET;
	k->counts[UNMET] += k->counts[MET] + k->counts[SURE];
	k->counts[MET] = k->counts[SURE] = 0;
}

size_t known_alive(const struct known *k)
{
	return known_unmet(k) + k->counts[MET];
}

size_t known_unmet(const struct known *k)
{
	return k->counts[UNMET] + k->counts[SURE];
}

static bool next(const struct known *k, size_t *at, bool sure, char id[37])
{
	for (; *at < k->slots; ++*at)
		if (k->states[*at] == UNMET || (sure && k->states[*at] == SURE)) {
			to_text(&k->ids[(*at)++], id);
			return true;
		}
	return false;
}

bool known_next_unmet(const struct known *k, size_t *at, char id[37])
{
	return next(k, at, true, id);
}

bool known_next_unsure(const struct known *k, size_t *at, char id[37])
{
	return next(k, at, false, id);
}

/* sample.c - sample rows from a seed, by the generators that the table files name.
 *
 * The values are meant to hurt a careless pipeline: several scripts, quotes, emoji, backslashes,
 * nulls, empty texts, blanks at the ends, the longest texts, dates at the edges, money with more
 * digits than a double holds.
 */
#include "api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const first_names[] = {"Anna",  "José",	  "Zoë",   "Łukasz",   "Σοφία",
					  "Иван",  "美咲",	  "محمد",  "D'Arcy",   "Bob \"B\"",
					  "Ève",   "Åsa",	  "नेहा",   "Jean-Luc", "O’Neil",
					  "Ana 😀", "Back\\slash", " Tom ", "李",       "Tab\there"};
static const char *const last_names[] = {
    "Müller",	  "O'Brien", "Nguyễn",	  "Smith",	"García",	 "Øster", "Иванова", "高橋",
    "de la Cruz", "X",	     "Kovačević", "von und zu", "Sánchez \"S\"", "Çelik", "Þór"};
static const char *const jobs[] = {
    "Engineer",	     "CEO & Founder", "Verkäufer/in",		"",
    "Head of <R&D>", "主任",	      "Comma, Inc. \"quoted\"", "Line\nbreak"};
static const char *const cities[] = {"Köln",	  "København", "東京",
				     "São Paulo", "New York",  "Kraków"};
static const char *const streets[] = {"Main Street 1", "Straße des 17. Juni 135", "1/2 \\ Lane",
				      ""};
static const char *const companies[] = {"ACME", "Contoso 😀", "Fabrikam & Söhne", "北海道"};
static const char *const salutations[] = {"Mr.", "Mrs.", "Dr.", "", "Herr"};
#define PICK(list) list[rng_below(r, sizeof list / sizeof *list)]

struct maker {
	struct dataverse *d;
	struct rng rng;
	char (*contacts)[37], (*accounts)[37];
	long contact_count, account_count;
	long row; /* of this table */
};

/* n characters of one that takes two bytes. */
static char *longest(int n)
{
	char *s = malloc((size_t)n * 2 + 1);
	for (int i = 0; i < n; i++)
		memcpy(s + 2 * i, i % 7 ? "é" : "ß", 2);
	s[n * 2] = 0;
	return s;
}

static char *money(struct rng *r, long row)
{
	static const char *const edges[] = {"922337203685477.5807", "0", "-1.5", "0.0001",
					    "-922337203685477.5808"};
	char out[40];
	if (row < 5)
		return strdup(edges[row]);
	snprintf(out, sizeof out, "%llu.%02llu", (unsigned long long)rng_below(r, 100000),
		 (unsigned long long)rng_below(r, 100));
	return strdup(out);
}

static char *birthdate(struct rng *r, long row)
{
	static const char *const edges[] = {"1753-01-01", "1900-01-01", "2000-02-29",
					    "9999-12-31", "1969-12-31", "1970-01-01"};
	char out[48];
	if (row < 6)
		return strdup(edges[row]);
	snprintf(out, sizeof out, "%d-%02d-%02d", 1930 + (int)rng_below(r, 75),
		 1 + (int)rng_below(r, 12), 1 + (int)rng_below(r, 28));
	return strdup(out);
}

static char *print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *print(const char *fmt, ...)
{
	char out[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(out, sizeof out, fmt, ap);
	va_end(ap);
	return strdup(out);
}

/* NULL is null. target is set for lookups. */
static char *make(struct maker *m, const struct column *c, char **target)
{
	struct rng *r = &m->rng;
	const char *g = c->sample;
	long i = m->row;
	int n = c->options ? cJSON_GetArraySize(c->options) : 0;

	if (!strcmp(g, "first_name"))
		return i == 7 ? longest(30) : i == 8 ? NULL : strdup(PICK(first_names));
	if (!strcmp(g, "middle_name"))
		return rng_below(r, 3) ? NULL : i == 7 ? longest(30) : strdup(PICK(first_names));
	if (!strcmp(g, "last_name"))
		return i == 7 ? longest(50) : strdup(PICK(last_names));
	if (!strcmp(g, "email"))
		return i == 7
			   ? print("%040ld.a-very-long-local-part.and.more.of.it@a-long-domain-name"
				   ".example-company.example%ld",
				   i, 10L)
			   : print("contact%ld.%ld@example.com", i, (long)rng_below(r, 1000));
	if (!strcmp(g, "phone"))
		return rng_below(r, 5)
			   ? print("+49 (221) %07ld-%02ld", (long)rng_below(r, 10000000), i % 100)
		       : i % 2 ? NULL
			       : strdup("");
	if (!strcmp(g, "salutation"))
		return strdup(PICK(salutations));
	if (!strcmp(g, "job"))
		return i == 7 ? longest(100) : strdup(PICK(jobs));
	if (!strcmp(g, "street"))
		return i == 7 ? longest(250) : strdup(PICK(streets));
	if (!strcmp(g, "city"))
		return i == 7 ? longest(80) : rng_below(r, 4) ? strdup(PICK(cities)) : NULL;
	if (!strcmp(g, "postcode"))
		return print("%05ld", (long)rng_below(r, 100000));
	if (!strcmp(g, "company"))
		return strdup(PICK(companies));
	if (!strcmp(g, "card_number"))
		return print("LC-%08ld-%02ld", i, (long)rng_below(r, 100));
	if (!strcmp(g, "note"))
		return i == 3		 ? longest(2000)
		       : rng_below(r, 2) ? strdup("Note, with \"quotes\"\nand lines ✓")
					 : NULL;
	if (!strcmp(g, "rarely"))
		return strdup(rng_below(r, 10) ? "false" : "true");
	if (!strcmp(g, "often"))
		return strdup(rng_below(r, 10) ? "true" : "false");
	if (!strcmp(g, "choice"))
		return rng_below(r, 6) && n
			   ? strdup(cJSON_GetArrayItem(c->options, (int)rng_below(r, (uint64_t)n))
					->string)
			   : NULL;
	if (!strcmp(g, "state"))
		return strdup(i % 23 == 5 ? "1" : "0");
	if (!strcmp(g, "status"))
		return strdup(i % 23 == 5 ? "2" : "1");
	if (!strcmp(g, "birthdate") || !strcmp(g, "date"))
		return rng_below(r, 8) || i < 6 ? birthdate(r, i) : NULL;
	if (!strcmp(g, "datetime"))
		return rng_below(r, 4) ? print("2026-0%ld-11T23:59:%02ldZ",
					       1 + (long)rng_below(r, 9), (long)rng_below(r, 60))
				       : NULL;
	if (!strcmp(g, "money"))
		return rng_below(r, 5) || i < 5 ? money(r, i) : NULL;
	if (!strcmp(g, "decimal"))
		return print("%ld.%04ld", (long)rng_below(r, 100), (long)rng_below(r, 10000));
	if (!strcmp(g, "double"))
		return print("%ld.%ld", (long)rng_below(r, 1000) - 500, (long)rng_below(r, 100000));
	if (!strcmp(g, "integer"))
		return i == 0	? strdup("2147483647")
		       : i == 1 ? strdup("-2147483648")
				: print("%ld", (long)rng_below(r, 100000));
	if (!strcmp(g, "contact") && m->contact_count) {
		if (!rng_below(r, 20))
			return NULL;
		*target = strdup("contact");
		return strdup(m->contacts[rng_below(r, (uint64_t)m->contact_count)]);
	}
	if (!strcmp(g, "account") && m->account_count) {
		if (rng_below(r, 3))
			return NULL;
		*target = strdup("account");
		return strdup(m->accounts[rng_below(r, (uint64_t)m->account_count)]);
	}
	return NULL;
}

static void make_table(struct maker *m, struct table *t, long contacts)
{
	long n = (long)((double)contacts * t->samples_per_contact + 0.5);
	char(*ids)[37] = calloc((size_t)n + 1, sizeof *ids);

	for (m->row = 0; m->row < n; m->row++) {
		struct row r = row_new(t);
		rng_guid(&m->rng, ids[m->row]);
		for (int i = 0; i < t->count; i++) {
			struct column *c = &t->columns[i];
			if (!c->sample)
				continue;
			r.values[i] = make(m, c, &r.targets[i]);
			r.given[i] = true;
		}
		store_write(&m->d->store, t, ids[m->row], &r, true, NULL);
		row_free(t, &r);
	}
	if (!strcmp(t->name, "contact")) {
		m->contacts = ids;
		m->contact_count = n;
	} else if (!strcmp(t->name, "account")) {
		m->accounts = ids;
		m->account_count = n;
	} else {
		free(ids);
	}
}

static bool is_parent(const struct table *t)
{
	return !strcmp(t->name, "account") || !strcmp(t->name, "contact");
}

void sample_make(struct dataverse *d, long contacts, uint64_t seed)
{
	struct maker m = {.d = d, .rng = {seed}};
	struct table *account = store_table(&d->store, "account");
	struct table *contact = store_table(&d->store, "contact");

	store_exec(&d->store, "BEGIN");
	if (account)
		make_table(&m, account, contacts);
	if (contact)
		make_table(&m, contact, contacts);
	for (int i = 0; i < d->store.count; i++)
		if (!is_parent(&d->store.tables[i]) && d->store.tables[i].samples_per_contact > 0)
			make_table(&m, &d->store.tables[i], contacts);
	store_exec(&d->store, "COMMIT");
	free(m.contacts);
	free(m.accounts);
}

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
#include <time.h>

#include "text.h"

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

/* The names that table files use for "sample". */
enum generator {
	G_NONE,
	G_FIRST_NAME,
	G_MIDDLE_NAME,
	G_LAST_NAME,
	G_EMAIL,
	G_PHONE,
	G_SALUTATION,
	G_JOB,
	G_STREET,
	G_CITY,
	G_POSTCODE,
	G_COMPANY,
	G_CARD_NUMBER,
	G_NOTE,
	G_RARELY,
	G_OFTEN,
	G_CHOICE,
	G_STATE,
	G_STATUS,
	G_BIRTHDATE,
	G_DATE,
	G_DATETIME,
	G_MONEY,
	G_DECIMAL,
	G_DOUBLE,
	G_INTEGER,
	G_CONTACT,
	G_ACCOUNT,
	G_CHOICES,
	G_BIGINT,
	G_TABLE,
	G_IMAGE,
	G_IMAGE_ID,
	G_IMAGE_TIMESTAMP,
	G_IMAGE_URL,
	G_FILE,
	G_FILE_NAME,
	GENERATORS
};
static const char *const generator_names[GENERATORS] = {
    [G_FIRST_NAME] = "first_name",
    [G_MIDDLE_NAME] = "middle_name",
    [G_LAST_NAME] = "last_name",
    [G_EMAIL] = "email",
    [G_PHONE] = "phone",
    [G_SALUTATION] = "salutation",
    [G_JOB] = "job",
    [G_STREET] = "street",
    [G_CITY] = "city",
    [G_POSTCODE] = "postcode",
    [G_COMPANY] = "company",
    [G_CARD_NUMBER] = "card_number",
    [G_NOTE] = "note",
    [G_RARELY] = "rarely",
    [G_OFTEN] = "often",
    [G_CHOICE] = "choice",
    [G_STATE] = "state",
    [G_STATUS] = "status",
    [G_BIRTHDATE] = "birthdate",
    [G_DATE] = "date",
    [G_DATETIME] = "datetime",
    [G_MONEY] = "money",
    [G_DECIMAL] = "decimal",
    [G_DOUBLE] = "double",
    [G_INTEGER] = "integer",
    [G_CONTACT] = "contact",
    [G_ACCOUNT] = "account",
    [G_CHOICES] = "choices",
    [G_BIGINT] = "bigint",
    [G_TABLE] = "table",
    [G_IMAGE] = "image",
    [G_IMAGE_ID] = "image_id",
    [G_IMAGE_TIMESTAMP] = "image_timestamp",
    [G_IMAGE_URL] = "image_url",
    [G_FILE] = "file",
    [G_FILE_NAME] = "file_name",
};

struct maker {
	struct dataverse *d;
	struct rng rng;
	struct table *t;
	enum generator *generators; /* of t's columns */
	char now[32];
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

static char *guid(struct rng *r)
{
	char id[37];

	rng_guid(r, id);
	return strdup(id);
}

/* An image column and its companions are there together, on two rows of three; a file on one of
 * two. The bytes of a file are not kept; an image is a thumbnail of one pixel. */
static char *attachment(struct maker *m, enum generator g)
{
	long i = m->row;

	if (g == G_FILE || g == G_FILE_NAME)
		return i % 2	     ? NULL
		       : g == G_FILE ? guid(&m->rng)
				     : print("Fragebogen \"%ld\" ü.pdf", i);
	if (i % 3 == 0)
		return NULL;
	return g == G_IMAGE ? strdup("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
				     "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
	       : g == G_IMAGE_ID	? guid(&m->rng)
	       : g == G_IMAGE_TIMESTAMP ? print("%ld", 638000000000000000 + i)
					: print("/Image/download.aspx?Entity=%s&Timestamp=%ld",
						m->t->name, 638000000000000000 + i);
}

/* NULL is null. target is set for lookups. */
static char *make(struct maker *m, const struct column *c, char **target)
{
	struct rng *r = &m->rng;
	enum generator g = m->generators[c - m->t->columns];
	long i = m->row;
	int n = c->options ? cJSON_GetArraySize(c->options) : 0;

	if (g == G_FIRST_NAME)
		return i == 7 ? longest(30) : i == 8 ? NULL : strdup(PICK(first_names));
	if (g == G_MIDDLE_NAME)
		return rng_below(r, 3) ? NULL : i == 7 ? longest(30) : strdup(PICK(first_names));
	if (g == G_LAST_NAME)
		return i == 7 ? longest(50) : strdup(PICK(last_names));
	if (g == G_EMAIL)
		return i == 7
			   ? print("%040ld.a-very-long-local-part.and.more.of.it@a-long-domain-name"
				   ".example-company.example%ld",
				   i, 10L)
			   : print("contact%ld.%ld@example.com", i, (long)rng_below(r, 1000));
	if (g == G_PHONE)
		return rng_below(r, 5)
			   ? print("+49 (221) %07ld-%02ld", (long)rng_below(r, 10000000), i % 100)
		       : i % 2 ? NULL
			       : strdup("");
	if (g == G_SALUTATION)
		return strdup(PICK(salutations));
	if (g == G_JOB)
		return i == 7 ? longest(100) : strdup(PICK(jobs));
	if (g == G_STREET)
		return i == 7 ? longest(250) : strdup(PICK(streets));
	if (g == G_CITY)
		return i == 7 ? longest(80) : rng_below(r, 4) ? strdup(PICK(cities)) : NULL;
	if (g == G_POSTCODE)
		return print("%05ld", (long)rng_below(r, 100000));
	if (g == G_COMPANY)
		return strdup(PICK(companies));
	if (g == G_CARD_NUMBER)
		return print("LC-%08ld-%02ld", i, (long)rng_below(r, 100));
	if (g == G_NOTE)
		return i == 3		 ? longest(2000)
		       : rng_below(r, 2) ? strdup("Note, with \"quotes\"\nand lines ✓")
					 : NULL;
	if (g == G_RARELY)
		return strdup(rng_below(r, 10) ? "false" : "true");
	if (g == G_OFTEN)
		return strdup(rng_below(r, 10) ? "true" : "false");
	if (g == G_CHOICE)
		return rng_below(r, 6) && n
			   ? strdup(cJSON_GetArrayItem(c->options, (int)rng_below(r, (uint64_t)n))
					->string)
			   : NULL;
	if (g == G_STATE)
		return strdup(i % 23 == 5 ? "1" : "0");
	if (g == G_STATUS)
		return strdup(i % 23 == 5 ? "2" : "1");
	if (g == G_BIRTHDATE || g == G_DATE)
		return rng_below(r, 8) || i < 6 ? birthdate(r, i) : NULL;
	if (g == G_DATETIME)
		return rng_below(r, 4) ? print("2026-0%ld-11T23:59:%02ldZ",
					       1 + (long)rng_below(r, 9), (long)rng_below(r, 60))
				       : NULL;
	if (g == G_MONEY)
		return rng_below(r, 5) || i < 5 ? money(r, i) : NULL;
	if (g == G_DECIMAL)
		return print("%ld.%04ld", (long)rng_below(r, 100), (long)rng_below(r, 10000));
	if (g == G_DOUBLE)
		return print("%ld.%ld", (long)rng_below(r, 1000) - 500, (long)rng_below(r, 100000));
	if (g == G_INTEGER)
		return i == 0	? strdup("2147483647")
		       : i == 1 ? strdup("-2147483648")
				: print("%ld", (long)rng_below(r, 100000));
	if (g == G_CONTACT && m->contact_count) {
		if (!rng_below(r, 20))
			return NULL;
		*target = strdup("contact");
		return strdup(m->contacts[rng_below(r, (uint64_t)m->contact_count)]);
	}
	if (g == G_ACCOUNT && m->account_count) {
		if (rng_below(r, 3))
			return NULL;
		*target = strdup("account");
		return strdup(m->accounts[rng_below(r, (uint64_t)m->account_count)]);
	}
	if (g == G_CHOICES && n) { /* one or two of them */
		int first = (int)rng_below(r, (uint64_t)n), second = (int)rng_below(r, (uint64_t)n);
		const char *a = cJSON_GetArrayItem(c->options, first)->string;
		if (!rng_below(r, 4))
			return NULL;
		return second > first
			   ? print("%s,%s", a, cJSON_GetArrayItem(c->options, second)->string)
			   : strdup(a);
	}
	if (g == G_BIGINT)
		return i == 0	? strdup("9223372036854775807")
		       : i == 1 ? strdup("-9223372036854775808")
				: print("%lld", (1LL << 53) + 1 + i);
	if (g == G_TABLE)
		return i % 4 ? strdup(i % 2 ? "contact" : "account") : NULL;
	if (g >= G_IMAGE && g <= G_FILE_NAME)
		return attachment(m, g);
	return NULL;
}

static struct column *base_of(struct table *t, const struct column *c)
{
	const char *name =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->json, "baseOf"));
	return name ? table_column(t, name) : NULL;
}

/* INSERT of all columns: ?1 id, ?2 version, then a value and a lookup's table for each column. What
 * is put together from others (fullname) is so in the statement. */
static sqlite3_stmt *insert_statement(struct store *s, struct table *t)
{
	struct text names = {0}, marks = {0};

	text_printf(&names, "INSERT INTO \"%s\"(\"%s\",_version", t->name, t->id);
	text_puts(&marks, ") VALUES (?1,?2");
	for (int i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];
		const cJSON *parts = cJSON_GetObjectItemCaseSensitive(c->json, "concat"), *p;
		if (!strcmp(c->name, t->id))
			continue;
		text_printf(&names, ",\"%s\"", c->name);
		if (cJSON_IsArray(parts)) {
			text_puts(&marks, ",trim(''");
			cJSON_ArrayForEach(p, parts)
			{
				struct column *part = table_column(t, p->valuestring);
				text_printf(&marks, "||coalesce(?%d,'')||' '",
					    3 + 2 * (int)(part - t->columns));
			}
			text_puts(&marks, ")");
		} else { /* samples are in the base currency: both amounts are the same */
			struct column *of = base_of(t, c);
			text_printf(&marks, ",?%d", 3 + 2 * (of ? (int)(of - t->columns) : i));
		}
		if (c->type == T_LOOKUP) {
			text_printf(&names, ",\"%s__table\"", c->name);
			text_printf(&marks, ",?%d", 4 + 2 * i);
		}
	}
	text_puts(&names, text_string(&marks));
	text_puts(&names, ")");
	sqlite3_stmt *st = store_prepare(s, names.data);
	free(names.data);
	free(marks.data);
	return st;
}

/* The value of a column that no generator makes: what the product fills in, or the default. */
static const char *filled(const struct store *s, const struct column *c, const char *now,
			  const char *version)
{
	const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(c->json, "default");

	if (c->system && !strcmp(c->system, "version"))
		return version;
	if (c->system && !strcmp(c->system, "owner"))
		return s->owner;
	if (c->system && !strcmp(c->system, "exchangerate"))
		return "1.0000000000";
	if (c->system)
		return now;
	if (cJSON_IsBool(fallback))
		return cJSON_IsTrue(fallback) ? "true" : "false";
	return c->type == T_LOOKUP ? cJSON_GetStringValue(fallback) : NULL;
}

static int by_text(const void *a, const void *b)
{
	return memcmp(a, b, 36);
}

/* Versions go another way through the rows than ids do, as they would in life. */
static int64_t stride(int64_t n)
{
	int64_t step = 7919;
	while (n % step == 0)
		step += 2;
	for (int64_t a = n, b = step; b;) { /* coprime, so that each is given out once */
		int64_t r = a % b;
		a = b;
		b = r;
		if (!b && a != 1) {
			step += 2;
			a = n;
			b = step;
		}
	}
	return step;
}

static void make_row(struct maker *m, sqlite3_stmt *st, const char *id, int64_t version)
{
	struct table *t = m->t;
	char version_text[24];

	snprintf(version_text, sizeof version_text, "%lld", (long long)version);
	sqlite3_bind_text(st, 1, id, 36, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, version);
	for (int i = 0; i < t->count; i++) {
		struct column *c = &t->columns[i];
		const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(c->json, "default");
		char *target = NULL, number[24];
		if (m->generators[i]) {
			char *value = make(m, c, &target);
			sqlite3_bind_text(st, 3 + 2 * i, value, -1, value ? free : SQLITE_STATIC);
			if (target)
				sqlite3_bind_text(st, 4 + 2 * i, target, -1, free);
			else if (c->type == T_LOOKUP)
				sqlite3_bind_null(st, 4 + 2 * i);
		} else if (cJSON_IsNumber(fallback)) {
			snprintf(number, sizeof number, "%d", fallback->valueint);
			sqlite3_bind_text(st, 3 + 2 * i, number, -1, SQLITE_TRANSIENT);
		} else {
			const char *value = filled(&m->d->store, c, m->now, version_text);
			bool points = c->type == T_LOOKUP && value && c->targets->child;
			sqlite3_bind_text(st, 3 + 2 * i, value, -1, SQLITE_TRANSIENT);
			if (c->type == T_LOOKUP)
				sqlite3_bind_text(st, 4 + 2 * i,
						  points ? c->targets->child->string : NULL, -1,
						  SQLITE_TRANSIENT);
		}
	}
	if (sqlite3_step(st) != SQLITE_DONE)
		abort();
	sqlite3_reset(st);
}

/* In the order of the primary key, so that the tree of rows grows at its end only. */
static void make_table(struct maker *m, struct table *t, long contacts)
{
	struct store *s = &m->d->store;
	long n = t->samples ? t->samples : (long)((double)contacts * t->samples_per_contact + 0.5);
	char(*ids)[37] = calloc((size_t)n + 1, sizeof *ids);
	int64_t step = n ? stride(n) : 1;

	if (!ids)
		abort();
	m->t = t;
	m->generators = calloc((size_t)t->count, sizeof *m->generators);
	for (int i = 0; i < t->count; i++)
		for (int g = 1; t->columns[i].sample && g < GENERATORS; g++)
			if (!strcmp(t->columns[i].sample, generator_names[g]))
				m->generators[i] = (enum generator)g;
	for (long i = 0; i < n; i++)
		rng_guid(&m->rng, ids[i]);
	qsort(ids, (size_t)n, sizeof *ids, by_text);
	sqlite3_stmt *st = insert_statement(s, t);
	for (long i = 0; i < n; i++) {
		m->row = (long)(i * step % n);
		make_row(m, st, ids[i], s->version + 1 + m->row);
	}
	sqlite3_finalize(st);
	s->version += n;
	free(m->generators);
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

	time_t now = time(NULL);
	struct tm tm;

	strftime(m.now, sizeof m.now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	store_exec(&d->store, "BEGIN");
	if (account)
		make_table(&m, account, contacts);
	if (contact)
		make_table(&m, contact, contacts);
	for (int i = 0; i < d->store.count; i++)
		if (!is_parent(&d->store.tables[i]) &&
		    (d->store.tables[i].samples || d->store.tables[i].samples_per_contact > 0))
			make_table(&m, &d->store.tables[i], contacts);
	store_exec(&d->store, "COMMIT");
	free(m.contacts);
	free(m.accounts);
}

/* "$organization" and "$user" stand for what WhoAmI says. */
static const char *known_id(const struct dataverse *d, const char *s)
{
	return !strcmp(s, "$organization")   ? d->organization
	       : !strcmp(s, "$user")	     ? d->user
	       : !strcmp(s, "$businessunit") ? d->business_unit
					     : s;
}

void sample_rows(struct dataverse *d)
{
	for (int i = 0; i < d->store.count; i++) {
		struct table *t = &d->store.tables[i];
		const cJSON *rows = cJSON_GetObjectItemCaseSensitive(t->json, "rows"), *row, *v;
		if (!rows || store_count(&d->store, t))
			continue;
		cJSON_ArrayForEach(row, rows)
		{
			struct row r = row_new(t);
			const char *id = "";
			cJSON_ArrayForEach(v, row)
			{
				struct column *c = table_column(t, v->string);
				if (!c || !cJSON_IsString(v))
					continue;
				const char *value = known_id(d, v->valuestring);
				if (!strcmp(c->name, t->id))
					id = value;
				r.values[c - t->columns] = strdup(value);
				r.given[c - t->columns] = true;
			}
			store_write(&d->store, t, id, &r, true, NULL);
			row_free(t, &r);
		}
	}
}

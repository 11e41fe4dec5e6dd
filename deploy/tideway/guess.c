/* guess.c - see guess.h.
 *
 * Headers are compared without case and punctuation with the names that the logs' columns have in
 * Campaign's data model and in its English screens.  What the values of a column tell counts, too: a
 * column of GUIDs is the contact, and a date format fits only when every sampled date has it. */
#include "guess.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "export_codes.h"
#include "export_event.h"
#include "json.h"

enum { SAMPLE_ROWS = 5000, VALUES_MAX = 40, TIMES_MAX = 500 };

static const struct {
	enum log_column column;
	const char *names; /* blank between */
} synonyms[] = {
    {LOG_STATUS, "status deliverystatus statut"},
    {LOG_FAILURE_TYPE, "failuretype natureoffailure msgfailuretype"},
    {LOG_FAILURE_REASON, "failurereason reason msgfailurereason"},
    {LOG_TIME, "eventdate logdate date eventtime sentdate trackingdate"},
    {LOG_CONTACT, "profileexternalid externalid recipientexternalid contactid profileid"},
    {LOG_DELIVERY, "deliveryname delivery deliveryinternalname"},
    {LOG_DELIVERY_LABEL, "deliverylabel"},
    {LOG_CAMPAIGN, "campaignname campaign campaigninternalname"},
    {LOG_CAMPAIGN_LABEL, "campaignlabel"},
    {LOG_TEST, "testprofile istestprofile"},
    {LOG_MESSAGE_TYPE, "messagetype deliverymessagetype channel"},
    {LOG_FAILURE_TEXT, "reasontext failuretext reasonmessage"},
    {LOG_MIRROR_URL, "mirrorpageurl mirrorpage mirrorurl"},
    {LOG_URL_TYPE, "urltype type"},
    {LOG_URL, "urlsource url source"},
    {LOG_URL_LABEL, "urllabel"},
    {LOG_URL_CATEGORY, "urlcategory category"},
    {LOG_DEVICE, "trackeddevice device"},
};
static const char sending_ids[] = "broadlogid deliverylogid logid id";
static const char tracking_ids[] = "trackinglogid trackingid id";

static const struct {
	enum export_enumeration e;
	enum log_column column;
} enumerations[] = {
    {EXPORT_STATUS, LOG_STATUS},
    {EXPORT_FAILURE_TYPE, LOG_FAILURE_TYPE},
    {EXPORT_FAILURE_REASON, LOG_FAILURE_REASON},
    {EXPORT_URL_TYPE, LOG_URL_TYPE},
    {EXPORT_MESSAGE_TYPE, LOG_MESSAGE_TYPE},
    {EXPORT_TEST, LOG_TEST},
};

static const char *const formats[] = {
    "%d/%m/%Y %H:%M:%S",   "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",   "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",	"%d-%m-%Y %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z", "%d/%m/%y %H:%M:%S", "%m/%d/%y %H:%M:%S",	"%m/%d/%y %I:%M:%S %p",
    "%d/%m/%y %H:%M",	   "%m/%d/%y %I:%M %p", "%d.%m.%y %H:%M:%S",	"%y/%m/%d %H:%M:%S",
    "%d-%m-%y %H:%M:%S",   "%y-%m-%d %H:%M:%S",
};
enum { FORMATS = sizeof formats / sizeof *formats };

struct guess {
	struct export_format format;
	char **headers;
	int header_count;
	int at[LOG_COLUMNS];
	bool tracking;
	bool not_utf8, cut, broken;
	struct error why; /* it is broken */
	char *values[EXPORT_ENUMERATIONS][VALUES_MAX];
	int value_counts[EXPORT_ENUMERATIONS];
	int64_t rows, bad, guids[EXPORT_FIELDS_MAX];
	/* Dates: do all fit? */
	int64_t times;
	bool zoned, unzoned, by_format[FORMATS];
	char separator;
};

static void squeeze(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++)
		if (isalnum((unsigned char)*s))
			out[n++] = (char)tolower((unsigned char)*s);
	out[n] = 0;
}

static bool among(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = names; n && *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");
		if (len == n && !strncmp(p, name, n))
			return true;
		p += len;
	}
	return false;
}

/* The place of the header whose name stands first in the list. */
static int find_header(const struct guess *g, const char *names)
{
	char one[60], squeezed[100];

	for (const char *p = names; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");
		snprintf(one, sizeof one, "%.*s", (int)len, p);
		for (int i = 0; i < g->header_count; i++) {
			squeeze(g->headers[i], squeezed, sizeof squeezed);
			if (among(one, squeezed))
				return i;
		}
		p += len;
	}
	return -1;
}

static void place_columns(struct guess *g)
{
	for (int i = 0; i < LOG_COLUMNS; i++)
		g->at[i] = -1;
	for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
		g->at[synonyms[i].column] = find_header(g, synonyms[i].names);
	g->tracking = g->at[LOG_STATUS] < 0;
	g->at[LOG_ID] = find_header(g, g->tracking ? tracking_ids : sending_ids);
	if (g->tracking) {
		g->at[LOG_BROADLOG_ID] = find_header(g, sending_ids);
		if (g->at[LOG_BROADLOG_ID] == g->at[LOG_ID])
			g->at[LOG_BROADLOG_ID] = -1;
		g->at[LOG_STATUS] = g->at[LOG_FAILURE_TYPE] = g->at[LOG_FAILURE_REASON] =
		    g->at[LOG_FAILURE_TEXT] = -1;
	} else {
		g->at[LOG_URL] = g->at[LOG_URL_TYPE] = g->at[LOG_URL_LABEL] =
		    g->at[LOG_URL_CATEGORY] = g->at[LOG_DEVICE] = -1;
	}
}

static void take_value(struct guess *g, enum export_enumeration e, const char *text)
{
	int n = g->value_counts[e];

	for (int i = 0; i < n; i++)
		if (!strcmp(g->values[e][i], text))
			return;
	if (n < VALUES_MAX)
		g->values[e][g->value_counts[e]++] = xstrdup(text);
}

static void take_time(struct guess *g, const char *text)
{
	wall_time t;

	if (!*text || g->times >= TIMES_MAX)
		return;
	g->times++;
	g->zoned &= datetime_parse(text, strlen(text), true, &t);
	g->unzoned &= datetime_parse(text, strlen(text), false, &t);
	for (int i = 0; i < FORMATS; i++) {
		struct tm tm = {0};
		const char *rest = g->by_format[i] ? strptime(text, formats[i], &tm) : NULL;
		/* %Y takes two digits as well: no mail is of the year 26. */
		g->by_format[i] = rest && !*rest && tm.tm_year >= 100;
	}
}

static bool on_row(void *arg, const struct export_row *row)
{
	struct guess *g = arg;

	if (!row->number) {
		g->header_count = row->count;
		g->headers = xcalloc((size_t)row->count + 1, sizeof *g->headers);
		for (int i = 0; i < row->count; i++)
			g->headers[i] = xstrdup(row->fields[i]);
		place_columns(g);
		return true;
	}
	g->rows++;
	if (row->bad || row->count != g->header_count) {
		g->bad++;
		return g->rows < SAMPLE_ROWS;
	}
	for (int i = 0; i < row->count; i++) {
		g->not_utf8 |= !text_is_utf8(row->fields[i], row->lens[i]);
		g->guids[i] += text_is_guid(row->fields[i]);
	}
	for (int i = 0; i < EXPORT_ENUMERATIONS; i++)
		if (g->at[enumerations[i].column] >= 0)
			take_value(g, enumerations[i].e,
				   row->fields[g->at[enumerations[i].column]]);
	if (g->at[LOG_TIME] >= 0)
		take_time(g, row->fields[g->at[LOG_TIME]]);
	return g->rows < SAMPLE_ROWS;
}

static void forget(struct guess *g)
{
	for (int i = 0; i < g->header_count; i++)
		free(g->headers[i]);
	free(g->headers);
	for (int e = 0; e < EXPORT_ENUMERATIONS; e++)
		for (int i = 0; i < g->value_counts[e]; i++)
			free(g->values[e][i]);
}

/* What the first bytes tell: UTF-16 has a mark, or zeros where Latin letters stand. */
static const char *utf_16(const char *bytes, size_t n)
{
	const unsigned char *b = (const unsigned char *)bytes;

	if (n < 2)
		return NULL;
	if ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff))
		return "utf-16";
	return b[0] && !b[1] ? "utf-16le" : !b[0] && b[1] ? "utf-16be" : NULL;
}

/* The sign that all headers begin and end with. */
static int likely_quote(const struct guess *g)
{
	int quote = -1;

	for (int i = 0; i < g->header_count; i++) {
		const char *h = g->headers[i];
		size_t n = strlen(h);
		if (n < 2 || h[0] != h[n - 1] || !ispunct((unsigned char)h[0]) ||
		    (i && h[0] != quote))
			return -1;
		quote = h[0];
	}
	return quote;
}

/* False: there is no such file. */
static bool read_file(struct guess *g, const char *path)
{
	struct export_format f = g->format;
	char bytes[65536];
	FILE *in = fopen(path, "rbe");
	size_t n;

	forget(g);
	*g = (struct guess){.format = f, .zoned = true, .unzoned = true};
	for (int i = 0; i < FORMATS; i++)
		g->by_format[i] = true;
	if (!in) {
		perror(path);
		return false;
	}
	n = fread(bytes, 1, sizeof bytes, in);
	if (utf_16(bytes, n))
		g->format.encoding = utf_16(bytes, n);
	struct export_reader *r = export_reader_new(&g->format, on_row, g);
	enum export_state s = EXPORT_READING;
	for (; s == EXPORT_READING && n > 0; n = fread(bytes, 1, sizeof bytes, in))
		s = export_feed(r, bytes, n, &g->why);
	if (s == EXPORT_READING)
		s = export_finish(r, &g->cut, &g->why);
	g->separator = export_separator(r);
	export_reader_free(r);
	fclose(in);
	g->broken = s == EXPORT_BROKEN;
	return true;
}

/* Rows that are none: are quotes signs like others here? Not if the headers stand in them. */
static bool without_quotes(struct guess *g, const char *path)
{
	int64_t bad = g->bad;
	bool broken = g->broken;

	if (!bad && !broken)
		return true;
	g->format.quote = -1;
	if (!read_file(g, path))
		return false;
	if (likely_quote(g) < 0 && !g->broken && (broken || g->bad < bad))
		return true;
	g->format.quote = '"';
	return read_file(g, path);
}

/* The file as what fits it best. */
static bool read_sample(struct guess *g, const char *path)
{
	if (!read_file(g, path) || !without_quotes(g, path))
		return false;
	if (g->not_utf8) { /* once more, as what Windows and Latin-1 write */
		g->format.encoding = "windows-1252";
		if (!read_file(g, path))
			return false;
	}
	int quote = likely_quote(g);
	if (quote >= 0) {
		g->format.quote = quote;
		if (!read_file(g, path))
			return false;
	}
	if (g->broken)
		fprintf(stderr, "%s: %s\n", path, g->why.text);
	return !g->broken;
}

/* ---- what is printed -------------------------------------------------------------------------- */

static void print_quoted(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar((unsigned char)*s < ' ' ? ' ' : *s);
	}
	putchar('"');
}

static int ask(const char *text)
{
	fprintf(stderr, "you must say: %s\n", text);
	return 1;
}

static int print_times(const struct guess *g)
{
	int fits = 0, first = -1;

	if (!g->times)
		return ask(
		    "which column is the time, and how it is written: the sample shows none");
	if (g->zoned)
		return 0;
	if (g->unzoned) {
		printf("      time_zone: \"?\"\n");
		return ask("time_zone: times name no zone; which one does the workflow write?");
	}
	for (int i = FORMATS - 1; i >= 0; i--)
		if (g->by_format[i]) {
			fits++;
			first = i;
		}
	if (!fits)
		return ask("time_format: dates are of no form that is known here (strptime(3))");
	printf("      time_format: \"%s\"", formats[first]);
	for (int i = first + 1; fits > 1 && i < FORMATS; i++)
		if (g->by_format[i])
			printf(" # or \"%s\"", formats[i]);
	printf("\n");
	int n = fits > 1 ? ask("time_format: the sample fits more than one, its numbers are all "
			       "small")
			 : 0;
	if (strstr(formats[first], "%z"))
		return n;
	printf("      time_zone: \"?\"\n");
	return n + ask("time_zone: times name no zone; which one does the workflow write?");
}

static int print_codes(const struct guess *g)
{
	bool head = false;
	int asked = 0;

	for (int e = 0; e < EXPORT_ENUMERATIONS; e++) {
		bool open = false;
		for (int i = 0; i < g->value_counts[e]; i++) {
			const char *v = g->values[e][i];
			if (export_meaning(&g->format, (enum export_enumeration)e, v) >= 0)
				continue;
			printf("%s", head ? "" : "      values:\n");
			head = true;
			printf(open ? ", " : "        %s: {", export_enumeration_names[e]);
			open = true;
			print_quoted(v);
			printf(": \"?\"");
			asked++;
		}
		if (open) {
			char words[200];
			printf("} # each one of %s\n",
			       export_meanings((enum export_enumeration)e, words, sizeof words));
		}
	}
	if (asked)
		ask("values: what each \"?\" means");
	return asked;
}

/* The file's name with a star for what changes from one to the next: digits, and .gz. */
static void print_match(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct buffer out = BUFFER(1024);
	size_t n = strlen(name);

	n -= n > 3 && !strcmp(name + n - 3, ".gz") ? 3 : 0;
	for (size_t i = 0; i < n; i++) {
		bool digit = isdigit((unsigned char)name[i]);
		/* Between two numbers: a date and a time. */
		bool between = i && strchr("_-", name[i]) && isdigit((unsigned char)name[i - 1]) &&
			       isdigit((unsigned char)name[i + 1]);
		if (!digit && !between) {
			if (strchr("[]?*\\", name[i])) /* signs of patterns */
				buffer_puts(&out, "\\");
			buffer_append(&out, name + i, 1);
		} else if (!out.len || out.data[out.len - 1] != '*')
			buffer_puts(&out, "*");
	}
	buffer_puts(&out, "*");
	print_quoted(out.data);
	buffer_free(&out);
}

static int print_columns(const struct guess *g, const char *path)
{
	static const enum log_column needed[] = {LOG_ID, LOG_TIME, LOG_CONTACT, LOG_DELIVERY,
						 LOG_CAMPAIGN};
	static const enum log_column sending[] = {LOG_STATUS, LOG_FAILURE_TYPE, LOG_FAILURE_REASON};
	int asked = 0;

	printf("      %s:\n        match: ", g->tracking ? "tracking" : "sending");
	print_match(path);
	printf("\n        columns:\n");
	for (int c = 0; c < LOG_COLUMNS; c++) {
		bool must = g->tracking && c == LOG_URL_TYPE;
		for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
			must |= needed[i] == (enum log_column)c;
		for (size_t i = 0; !g->tracking && i < sizeof sending / sizeof *sending; i++)
			must |= sending[i] == (enum log_column)c;
		if (g->at[c] < 0 && !must)
			continue;
		printf("          %s: ", log_column_names[c]);
		print_quoted(g->at[c] < 0 ? "?" : g->headers[g->at[c]]);
		printf("\n");
		asked += g->at[c] < 0;
	}
	if (g->tracking && g->at[LOG_URL_TYPE] < 0)
		asked += ask("sending or tracking: no header is a status, and none a type of link");
	if (asked)
		ask("columns: which header is each \"?\"; if there is none, add it to the "
		    "workflow");
	return asked;
}

/* Names of columns are no GUIDs and no numbers. */
static bool is_data(const struct guess *g)
{
	bool numbers = true;

	for (int i = 0; i < g->header_count; i++) {
		if (text_is_guid(g->headers[i]))
			return true;
		numbers &= g->headers[i][strspn(g->headers[i], "0123456789.:- ")] == 0;
	}
	return numbers;
}

static void find_contact(struct guess *g)
{
	int at = g->at[LOG_CONTACT];

	if (at >= 0 && g->guids[at])
		return;
	/* Whatever its header says: Campaign's own numbers are no ids of Dynamics. */
	if (at >= 0 && g->rows > g->bad)
		g->at[LOG_CONTACT] = -1;
	for (int i = 0; i < g->header_count; i++)
		if (g->guids[i] * 2 > g->rows)
			g->at[LOG_CONTACT] = i;
}

int guess_print(const char *path)
{
	struct guess g = {.format = {.quote = '"', .take_cut_off = true}};
	int asked = 0;

	if (!read_sample(&g, path))
		return -1;
	if (!g.header_count) {
		fprintf(stderr, "%s: the file is empty\n", path);
		return -1;
	}
	if (is_data(&g)) {
		fprintf(stderr,
			"%s: its first row is no header: let the workflow write the names of the "
			"columns as the first line\n",
			path);
		return -1;
	}
	find_contact(&g);
	printf("    # from %s: %lld rows looked at\n    files:\n", path, (long long)g.rows);
	if (g.format.encoding)
		printf("      encoding: %s\n", g.format.encoding);
	if (g.format.quote < 0)
		printf("      quote: none\n");
	else if (g.format.quote != '"')
		printf("      quote: \"%c\"\n", g.format.quote);
	if (g.separator != ',')
		printf("      separator: %s\n", g.separator == '\t'  ? "tab"
						: g.separator == ';' ? "semicolon"
						: g.separator == '|' ? "pipe"
								     : "?");
	asked += print_times(&g);
	asked += print_codes(&g);
	asked += print_columns(&g, path);
	if (g.bad)
		fprintf(stderr,
			"%lld of these rows are none: quotes or the number of fields are "
			"wrong\n",
			(long long)g.bad);
	if (g.cut)
		fprintf(stderr, "the file ends in the middle of its compression\n");
	asked += g.bad || g.cut;
	forget(&g);
	return asked;
}

/* format.c - how an export file is written.
 *
 * "Extract file" names what a customer can choose; what the groups "Date format" and "Number format"
 * hold is not documented.
 *   columns    {"sending": {COLUMN: header or null, ..}, "tracking": {..}}: another header, or no
 *              such column; columns that are not there by default come at the end
 *   separator  one character, default ","; quote one character or "" for no delimiter at all
 *   quote_all, bom (false), header (true), eol "lf" or "crlf", encoding "utf-8" or "latin-1"
 *   enums      "number", "name" or "label"; language of the labels "en" or "fr"
 *   dates      "api" 2026-01-02 03:04:05.678Z, "iso" 2026-01-02T03:04:05.678Z, and in the zone
 *              "offset" 2026-01-02T04:04:05+01:00, "plain" 2026-01-02 04:04:05,
 *              "european" 02/01/2026 04:04:05, "american" 1/2/2026 4:04:05 AM
 *   zone       an IANA name, default UTC
 */
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first ones are there by default. */
static const char *const sending_names[] = {
    "broadLogId",    "status",	     "failureType",   "failureReason",	   "reasonText",
    "eventDate",     "lastModified", "address",	      "deliveryId",	   "deliveryName",
    "deliveryLabel", "campaignName", "campaignLabel", "profileExternalId", "messageType",
    "testProfile",   "contactDate",  "publicId",      "variant",	   "mirrorPageUrl"};
static const char *const tracking_names[] = {
    "trackingLogId", "broadLogId",	  "logDate",	   "urlType",
    "urlLabel",	     "urlSource",	  "deliveryName",  "deliveryLabel",
    "campaignName",  "profileExternalId", "trackedDevice", "deliveryId",
    "userAgent",     "urlCategory",	  "testProfile",   "urlId"};
enum { SENDING_DEFAULT = 16, SENDING_ALL = 20, TRACKING_DEFAULT = 11, TRACKING_ALL = 16 };

/* Numbers: "Indicator calculation" and "Delivery failures" of the documentation of v8; internal names
 * of reasons are those of the failureReason enumeration. Others have none that is published. */
static const struct {
	const char *enumeration;
	int value;
	const char *name, *en, *fr;
} values[] = {
    {"status", 0, "ignored", "Ignored", "Ignoré"},
    {"status", 1, "sent", "Sent", "Envoyé"},
    {"status", 2, "failed", "Failed", "Échec"},
    {"status", 3, "takenIntoAccount", "Taken into account by the service provider",
     "Pris en compte par le prestataire"},
    {"status", 6, "pending", "Pending", "En attente"},
    {"status", 7, "cancelled", "Delivery cancelled", "Diffusion annulée"},
    {"failureType", 0, "notDefined", "Not defined", "Non défini"},
    {"failureType", 1, "soft", "Soft", "Soft"},
    {"failureType", 2, "hard", "Hard", "Hard"},
    {"failureReason", 0, "Undefined", "Not defined", "Non défini"},
    {"failureReason", 1, "UnknownUser", "User unknown", "Utilisateur inconnu"},
    {"failureReason", 2, "InvalidDomain", "Invalid domain", "Domaine invalide"},
    {"failureReason", 3, "Unreachable", "Unreachable", "Inaccessible"},
    {"failureReason", 4, "Disabled", "Account disabled", "Compte désactivé"},
    {"failureReason", 5, "MailboxFull", "Mailbox full", "Boîte pleine"},
    {"failureReason", 7, "AddressUndefined", "Address not specified", "Adresse non définie"},
    {"failureReason", 8, "Blacklisted", "Denylisted address", "Adresse en liste bloquée"},
    {"failureReason", 9, "Quarantine", "Address in quarantine", "Adresse en quarantaine"},
    {"failureReason", 10, "Duplicate", "Double", "Doublon"},
    {"failureReason", 11, "TypologyRule", "SQL rule", "Règle SQL"},
    {"failureReason", 12, "BusinessRanking", "Arbitration", "Arbitrage"},
    {"failureReason", 20, "Refused", "Refused", "Refusé"},
    {"urlType", 1, "emailClick", "Email click", "Clic e-mail"},
    {"urlType", 2, "open", "Open", "Ouverture"},
    {"urlType", 3, "optout", "Opt-out", "Désinscription"},
    {"urlType", 6, "mirrorPage", "Mirror page", "Page miroir"},
    {"messageType", 0, "email", "Email", "E-mail"},
    {"boolean", 0, "false", "No", "Non"},
    {"boolean", 1, "true", "Yes", "Oui"},
};

/* ---- options ------------------------------------------------------------------------------------ */

static void add_column(struct format *f, const char *name, const char *header, int source)
{
	if (header && f->count < COLUMNS)
		f->columns[f->count++] = (struct column){name, header, source};
}

static bool read_columns(struct format *f, int kind, const cJSON *options, char *why, size_t size)
{
	const char *const *names = kind ? tracking_names : sending_names;
	int usual = kind ? TRACKING_DEFAULT : SENDING_DEFAULT,
	    all = kind ? TRACKING_ALL : SENDING_ALL;
	const cJSON *both = cJSON_GetObjectItemCaseSensitive(options, "columns"), *m;
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(both, kind ? "tracking" : "sending");

	cJSON_ArrayForEach(m,
			   both) if (strcmp(m->string, "sending") && strcmp(m->string, "tracking"))
	{
		snprintf(why, size, "columns are of sending and of tracking");
		return false;
	}
	cJSON_ArrayForEach(m, given)
	{
		int i = 0;
		while (i < all && strcmp(names[i], m->string))
			i++;
		if (i == all || !(cJSON_IsString(m) || cJSON_IsNull(m))) {
			snprintf(why, size, "there is no column %.60s", m->string);
			return false;
		}
	}
	for (int i = 0; i < all; i++) {
		m = cJSON_GetObjectItemCaseSensitive(given, names[i]);
		const char *header = i < usual ? names[i] : NULL;
		add_column(f, names[i], m ? cJSON_GetStringValue(m) : header, i);
	}
	return true;
}

/* The place of the option's value among words ending with NULL; 0 without the option. */
static int choice(const cJSON *options, const char *name, const char *const *words, bool *good)
{
	const char *v = json_text(options, name);

	for (int i = 0; v && words[i]; i++)
		if (!strcmp(words[i], v))
			return i;
	*good &= !v;
	return 0;
}

static bool is_zone(const char *s)
{
	char path[200];
	if (strstr(s, "..") || *s == '/' || *s == ':' || strlen(s) > 60)
		return false;
	snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", s);
	return *s && !access(path, R_OK);
}

bool format_read(struct format *f, int kind, const cJSON *options, char *why, size_t size)
{
	static const char *const eols[] = {"lf", "crlf", NULL},
				 *const encodings[] = {"utf-8", "latin-1", NULL},
				 *const enums[] = {"number", "name", "label", NULL},
				 *const languages[] = {"en", "fr", NULL},
				 *const dates[] = {"api",      "iso",	   "offset", "plain",
						   "european", "american", NULL};
	const char *separator = json_text(options, "separator"),
		   *quote = json_text(options, "quote"), *zone = json_text(options, "zone");
	const cJSON *header = cJSON_GetObjectItemCaseSensitive(options, "header");
	bool good = true;

	*f = (struct format){.separator = separator ? *separator : ',',
			     .quote = quote ? *quote : '"',
			     .quote_all = json_flag(options, "quote_all"),
			     .bom = json_flag(options, "bom"),
			     .header = !cJSON_IsFalse(header),
			     .zone = zone ? zone : "UTC"};
	f->crlf = choice(options, "eol", eols, &good);
	f->latin1 = choice(options, "encoding", encodings, &good);
	f->enums = choice(options, "enums", enums, &good);
	f->french = choice(options, "language", languages, &good);
	f->dates = choice(options, "dates", dates, &good);
	if (!good || (separator && strlen(separator) != 1) || (quote && strlen(quote) > 1) ||
	    (zone && strcmp(zone, "UTC") && !is_zone(zone))) {
		snprintf(why, size,
			 "separator, quote, eol, encoding, enums, language, dates or zone has a "
			 "value that there is not");
		return false;
	}
	return read_columns(f, kind, options, why, size);
}

/* ---- values ------------------------------------------------------------------------------------- */

static void put(struct line *l, char c)
{
	if (l->len < sizeof l->text - 4)
		l->text[l->len++] = c;
}

/* The next character of UTF-8 text in the file's encoding; ? for what Latin-1 lacks. */
static const char *put_character(const struct format *f, struct line *l, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (!f->latin1 || *p < 0x80) {
		put(l, *s);
		return s + 1;
	}
	if ((*p == 0xc2 || *p == 0xc3) && p[1]) {
		put(l, (char)((*p == 0xc3 ? 0x40 : 0) + p[1]));
		return s + 2;
	}
	put(l, '?');
	for (s++; (*s & 0xc0) == 0x80; s++)
		;
	return s;
}

void line_text(const struct format *f, struct line *l, const char *s)
{
	char special[] = {f->separator, f->quote ? f->quote : f->separator, '\r', '\n', 0};
	bool quoted = f->quote && (f->quote_all || s[strcspn(s, special)] || *s == ' ');

	if (l->fields++)
		put(l, f->separator);
	if (quoted)
		put(l, f->quote);
	while (*s) {
		if (quoted && *s == f->quote)
			put(l, f->quote);
		s = put_character(f, l, s);
	}
	if (quoted)
		put(l, f->quote);
}

void line_number(const struct format *f, struct line *l, int64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)n);
	line_text(f, l, text);
}

void line_enum(const struct format *f, struct line *l, const char *enumeration, int value)
{
	for (size_t i = 0; f->enums != ENUM_NUMBER && i < sizeof values / sizeof *values; i++) {
		if (values[i].value != value || strcmp(values[i].enumeration, enumeration))
			continue;
		line_text(f, l,
			  f->enums == ENUM_NAME ? values[i].name
			  : f->french		? values[i].fr
						: values[i].en);
		return;
	}
	line_number(f, l, value); /* the product shows what it has no label for */
}

static void in_zone(const struct format *f, time_t t, struct tm *tm)
{
	static char current[64];

	if (strcmp(current, f->zone)) { /* the one thread that answers is the only one that asks */
		snprintf(current, sizeof current, "%s", f->zone);
		setenv("TZ", current, 1);
		tzset();
	}
	localtime_r(&t, tm);
}

void line_date(const struct format *f, struct line *l, int64_t ms)
{
	char text[64];
	struct tm tm;

	if (f->dates == DATE_API || f->dates == DATE_ISO) {
		time_text(ms, text);
		if (f->dates == DATE_ISO)
			text[10] = 'T';
		line_text(f, l, text);
		return;
	}
	in_zone(f, (time_t)(ms / 1000), &tm);
	if (f->dates == DATE_OFFSET) {
		size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &tm);
		memmove(text + n - 1, text + n - 2, 3);
		text[n - 2] = ':';
	} else if (f->dates == DATE_PLAIN) {
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	} else if (f->dates == DATE_EUROPEAN) {
		strftime(text, sizeof text, "%d/%m/%Y %H:%M:%S", &tm);
	} else {
		snprintf(text, sizeof text, "%d/%d/%d %d:%02d:%02d %s", tm.tm_mon + 1, tm.tm_mday,
			 tm.tm_year + 1900, tm.tm_hour % 12 ? tm.tm_hour % 12 : 12, tm.tm_min,
			 tm.tm_sec, tm.tm_hour < 12 ? "AM" : "PM");
	}
	line_text(f, l, text);
}

void line_end(const struct format *f, struct line *l)
{
	if (f->crlf)
		put(l, '\r');
	put(l, '\n');
}

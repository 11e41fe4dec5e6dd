/* flow_exports.c - `files` of a flow of kind email-events: how Campaign's log exports are written.
 *
 * What a customer can choose in the workflow's activity "Extract file" can be said here: columns
 * and their names, separator, text delimiter, encoding, date format, and whether enumerations are
 * numbers, internal names or labels, in any language. */
#include "config_reader.h"

#include <iconv.h>
#include <string.h>
#include <strings.h>

#include "export_codes.h"
#include "zone.h"

const char *const log_column_names[] = {
    "id",	"status",	"failure_type",	  "failure_reason", "time",
    "contact",	"delivery",	"delivery_label", "campaign",	    "campaign_label",
    "test",	"message_type", "failure_text",	  "mirror_url",	    "broadlog_id",
    "url_type", "url",		"url_label",	  "url_category",   "device",
    NULL};

static void read_log_files(struct reader *r, struct node files, const char *which,
			   const enum log_column *needed, size_t needed_count, struct log_files *to)
{
	static const char *const keys[] = {"match", "columns", NULL};
	struct node map = doc_get(files, which), columns = doc_get(map, "columns");

	if (!doc_there(map))
		return;
	to->at = doc_place(map);
	doc_only(map, r->p, which, keys);
	to->match = doc_required(map, "match", which, r->p);
	doc_only(columns, r->p, "columns", log_column_names);
	for (int i = 0; i < LOG_COLUMNS; i++)
		to->columns[i] = doc_string(columns, log_column_names[i], NULL, r->p);
	for (size_t i = 0; i < needed_count; i++)
		if (!to->columns[needed[i]])
			problem(r->p, doc_there(columns) ? doc_place(columns) : to->at,
				"the %s export needs the column \"%s\"", which,
				log_column_names[needed[i]]);
}

/* One character: itself, or a word for what cannot be seen. */
static int read_character(struct reader *r, struct node map, const char *key, int fallback)
{
	static const struct {
		const char *name;
		int c;
	} words[] = {
	    {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"pipe", '|'}, {"none", -1}};
	const char *s = doc_string(map, key, NULL, r->p);

	if (!s)
		return fallback;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(s, words[i].name) && (words[i].c >= 0 || !strcmp(key, "quote")))
			return words[i].c;
	if (strlen(s) == 1 && *s > ' ' && *s < 127)
		return *s;
	problem(r->p, doc_place(doc_get(map, key)),
		"\"%s\" is one character, or comma, semicolon, tab, pipe%s", key,
		strcmp(key, "quote") ? "" : ", none");
	return fallback;
}

static void read_encoding(struct reader *r, struct node map, struct export_format *f)
{
	const char *s = doc_string(map, "encoding", NULL, r->p);

	if (!s || !strcasecmp(s, "utf-8") || !strcasecmp(s, "utf8"))
		return;
	iconv_t cd = iconv_open("UTF-8", s);
	/* libc's iconv_open returns (iconv_t)-1. */
	if (cd == (iconv_t)-1) {
		problem(r->p, doc_place(doc_get(map, "encoding")),
			"there is no encoding \"%s\"; `iconv -l` lists them: utf-8, iso-8859-1, "
			"windows-1252, ...",
			s);
		return;
	}
	iconv_close(cd);
	f->encoding = s;
}

/* %s is of this process's zone and %Z is passed over, whatever the file says; flags and %% could
 * hide a %z.  Nothing of that is in the time of an export. */
static void check_time_format(struct reader *r, struct node map, const char *format)
{
	for (const char *p = format; (p = strchr(p, '%')); p++) {
		bool letter = (p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z');
		if (letter && !strchr("sZEO", p[1]))
			continue;
		problem(r->p, doc_place(doc_get(map, "time_format")),
			"\"time_format\" cannot have %.2s: write times as letters of "
			"strptime(3) without flags, an offset as %%z, a zone as \"time_zone\"",
			p);
		return;
	}
}

static void read_times(struct reader *r, struct node map, struct export_format *f)
{
	f->time_format = doc_string(map, "time_format", NULL, r->p);
	f->time_zone = doc_string(map, "time_zone", NULL, r->p);
	if (f->time_format)
		check_time_format(r, map, f->time_format);
	if (f->time_zone && !(f->zone = zone_new(f->time_zone)))
		problem(
		    r->p, doc_place(doc_get(map, "time_zone")),
		    "there is no time zone \"%s\": write an IANA name like Europe/Paris, or UTC",
		    f->time_zone);
	if (f->time_format && !f->time_zone && !strstr(f->time_format, "%z"))
		problem(r->p, doc_place(doc_get(map, "time_format")),
			"times of this form name no zone: \"time_zone\" must be stated");
}

/* values: {status: {Envoyé: sent, 3: sent}, ...} */
static void read_codes(struct reader *r, struct node values, struct export_format *f)
{
	doc_only(values, r->p, "values", export_enumeration_names);
	for (int e = 0; e < EXPORT_ENUMERATIONS; e++) {
		struct node map = doc_get(values, export_enumeration_names[e]);
		f->code_counts[e] = read_pairs(r, map, export_enumeration_names[e], &f->codes[e]);
		for (size_t i = 0; i < f->code_counts[e]; i++) {
			char words[200];
			const struct value_pair *v = &f->codes[e][i];
			if (!v->to || export_meaning_of((enum export_enumeration)e, v->to) < 0)
				problem(r->p, v->at, "a %s means one of %s",
					export_enumeration_names[e],
					export_meanings((enum export_enumeration)e, words,
							sizeof words));
		}
	}
}

void read_exports(struct reader *r, struct node files, struct flow *f)
{
	static const char *const keys[] = {"sending",  "tracking",    "separator",	  "quote",
					   "encoding", "time_format", "time_zone",	  "values",
					   "last_row", "processed",   "processed_folder", "overlap",
					   NULL};
	static const enum log_column sending[] = {
	    LOG_ID,   LOG_STATUS,  LOG_FAILURE_TYPE, LOG_FAILURE_REASON,
	    LOG_TIME, LOG_CONTACT, LOG_DELIVERY,     LOG_CAMPAIGN};
	static const enum log_column tracking[] = {LOG_ID,	LOG_URL_TYPE, LOG_TIME,
						   LOG_CONTACT, LOG_DELIVERY, LOG_CAMPAIGN};
	static const char *const processed[] = {"leave", "move", "delete", NULL};
	static const char *const last_row[] = {"needs-line-end", "may-be-open", NULL};
	struct export_format *e = &f->exports;

	doc_only(files, r->p, "files", keys);
	e->separator = (char)read_character(r, files, "separator", 0);
	e->quote = read_character(r, files, "quote", '"');
	read_encoding(r, files, e);
	read_times(r, files, e);
	read_codes(r, doc_get(files, "values"), e);
	e->take_cut_off = doc_choice(files, "last_row", 0, last_row, r->p);
	e->processed = (enum processed)doc_choice(files, "processed", 0, processed, r->p);
	e->processed_folder = doc_string(files, "processed_folder", "processed", r->p);
	if (!*e->processed_folder || strpbrk(e->processed_folder, "\"\\/") ||
	    *e->processed_folder == '.')
		problem(r->p, doc_place(doc_get(files, "processed_folder")),
			"\"processed_folder\" is the name of a folder in the export directory");
	/* As far as the topic of the events reaches back: it is read at the start of a term. */
	e->overlap_ms = doc_duration(files, "overlap", (int64_t)14 * 86400000, 3600000,
				     (int64_t)30 * 86400000, r->p);
	read_log_files(r, files, "sending", sending, sizeof sending / sizeof *sending, &f->sending);
	read_log_files(r, files, "tracking", tracking, sizeof tracking / sizeof *tracking,
		       &f->tracking);
}

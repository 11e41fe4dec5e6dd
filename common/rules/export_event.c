/* export_event.c - see export_event.h. */
#include "export_event.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "export_codes.h"
#include "json.h"
#include "zone.h"

/* A year before it was read wrong: %Y takes two digits, too, and a form may have none. */
enum { EMAIL_SINCE = 2000, LOG_ID_MAX = 100, CODE_MAX = 60 };

const char *const export_skip_names[] = {
    "event",	"not_a_contact", "test_profile",  "other_channel", "other_status",
    "excluded", "soft_bounce",	 "other_failure", "other_link",	   NULL};

const struct log_files *export_kind(const struct flow *f, const char *name)
{
	if (f->sending.match && !fnmatch(f->sending.match, name, FNM_PERIOD))
		return &f->sending;
	if (f->tracking.match && !fnmatch(f->tracking.match, name, FNM_PERIOD))
		return &f->tracking;
	return NULL;
}

enum result export_header(const struct flow *f, bool sending, const struct export_row *header,
			  struct export_columns *out, struct error *err)
{
	char missing[300] = "";
	const char *twice = NULL;
	size_t n = 0;

	*out = (struct export_columns){.kind = sending ? &f->sending : &f->tracking,
				       .sending = sending,
				       .count = header->count};
	for (int c = 0; c < LOG_COLUMNS; c++) {
		const char *name = out->kind->columns[c];
		out->at[c] = -1;
		for (int i = 0; name && i < header->count; i++)
			if (!strcmp(header->fields[i], name)) {
				twice = out->at[c] >= 0 ? name : twice;
				out->at[c] = i;
			}
		if (name && out->at[c] < 0 && n < sizeof missing)
			n += (size_t)snprintf(missing + n, sizeof missing - n, "%s%s",
					      *missing ? ", " : "", name);
	}
	if (header->bad)
		return error_reject(err, "bad-file", "the header row cannot be read: %s",
				    header->bad);
	if (*missing)
		return error_reject(err, "bad-file", "the header has no column %s", missing);
	if (twice) /* which of the two is meant, nobody knows */
		return error_reject(err, "bad-file", "the header has the column %s twice", twice);
	return OK;
}

/* ---- times ------------------------------------------------------------------------------------ */

/* What a clock in the zone showed, to the moment: there must be exactly one. */
static enum result from_clock(const struct export_format *f, wall_time clock, wall_time *out,
			      struct error *err)
{
	wall_time found[2];
	int n = 0;

	if (!f->zone)
		return error_reject(err, "bad-date",
				    "the time names no zone: export it with one, or state "
				    "\"time_zone\" in the flow's files");
	/* Offsets a day before and after are those around a change, if there is one near. */
	for (int i = 0; i < 2; i++) {
		wall_time day = {clock.ms + (i ? 86400000 : -86400000)};
		int64_t offset = zone_offset_ms(f->zone, day);
		wall_time t = {clock.ms - offset};
		if (zone_offset_ms(f->zone, t) == offset && (!n || found[0].ms != t.ms))
			found[n++] = t;
	}
	if (n != 1)
		return error_reject(
		    err, "ambiguous-time",
		    "a clock in %s shows this time %s: export times in UTC, or with "
		    "their offset",
		    f->time_zone, n ? "twice" : "never");
	*out = found[0];
	return OK;
}

static bool is_day(const struct tm *tm)
{
	int y, m, d;

	civil_from_days(days_from_civil(tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday), &y, &m,
			&d);
	return d == tm->tm_mday && m == tm->tm_mon + 1 && tm->tm_sec < 60;
}

static enum result by_format(const struct export_format *f, const char *text, wall_time *out,
			     struct error *err)
{
	struct tm tm = {.tm_mday = 1, .tm_year = 70};
	const char *rest = strptime(text, f->time_format, &tm);

	if (!rest || *rest || tm.tm_year < EMAIL_SINCE - 1900 || tm.tm_year > 8099 || !is_day(&tm))
		return error_reject(err, "bad-date",
				    "the time is not of the form \"%s\" that the flow states, "
				    "in or after the year %d (a year of two digits is %%y)",
				    f->time_format, EMAIL_SINCE);
	wall_time clock = {
	    ((int64_t)days_from_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * 86400 +
	     tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) *
	    1000};
	if (!strstr(f->time_format, "%z"))
		return from_clock(f, clock, out, err);
	*out = (wall_time){clock.ms - tm.tm_gmtoff * 1000};
	return OK;
}

enum result export_time(const struct export_format *f, const char *text, wall_time *out,
			struct error *err)
{
	wall_time clock;

	if (f->time_format)
		return by_format(f, text, out, err);
	if (datetime_parse(text, strlen(text), true, out))
		return OK;
	if (!datetime_parse(text, strlen(text), false, &clock))
		return error_reject(err, "bad-date",
				    "the time is not like 2026-01-31 12:00:00.000Z: say how times "
				    "are written with \"time_format\"");
	return from_clock(f, clock, out, err);
}

/* ---- rows ------------------------------------------------------------------------------------- */

static enum result unknown(struct error *err, enum export_enumeration e, const char *text)
{
	char words[200];

	/* A code is no personal data; what is in a wrong column may be. */
	if (strlen(text) > CODE_MAX || strchr(text, '@'))
		text = "...";
	return error_reject(err, "unknown-code",
			    "the %s \"%s\" is not known: name it in the flow's files, \"values: "
			    "{%s: {...}}\", as one of %s",
			    export_enumeration_names[e], text, export_enumeration_names[e],
			    export_meanings(e, words, sizeof words));
}

static enum result mean(const struct flow *f, enum export_enumeration e, const char *text,
			int *meaning, struct error *err)
{
	*meaning = export_meaning(&f->exports, e, text);
	return *meaning < 0 ? unknown(err, e, text) : OK;
}

static enum result tracked(const struct flow *f, struct export_event *out, enum export_skip *skip,
			   struct error *err)
{
	int url;
	enum result r = mean(f, EXPORT_URL_TYPE, out->texts[LOG_URL_TYPE], &url, err);

	if (r != OK)
		return r;
	out->url_type = export_meaning_word(EXPORT_URL_TYPE, url);
	out->kind = url == URL_OPEN ? EVENT_OPEN : EVENT_CLICK;
	if (url == URL_OTHER || (url == URL_OPT_OUT && !f->exports.opt_out_clicks) ||
	    (url == URL_MIRROR_PAGE && !f->exports.mirror_page_clicks))
		*skip = EXPORT_OTHER_LINK;
	return OK;
}

static enum result failed(const struct flow *f, struct export_event *out, enum export_skip *skip,
			  struct error *err)
{
	int type, reason;
	enum result r = mean(f, EXPORT_FAILURE_TYPE, out->texts[LOG_FAILURE_TYPE], &type, err);

	if (r == OK && type != FAILURE_OTHER)
		r = mean(f, EXPORT_FAILURE_REASON, out->texts[LOG_FAILURE_REASON], &reason, err);
	if (r != OK)
		return r;
	out->kind = EVENT_BOUNCE;
	out->failure_type = export_meaning_word(EXPORT_FAILURE_TYPE, type);
	if (type == FAILURE_OTHER)
		*skip = EXPORT_OTHER_FAILURE;
	else if (reason == REASON_EXCLUSION)
		*skip = EXPORT_EXCLUDED;
	else if (type == FAILURE_SOFT && !f->exports.soft_bounces)
		*skip = EXPORT_SOFT_BOUNCE;
	return OK;
}

static enum result sent(const struct flow *f, struct export_event *out, enum export_skip *skip,
			struct error *err)
{
	int status;
	enum result r = mean(f, EXPORT_STATUS, out->texts[LOG_STATUS], &status, err);

	if (r != OK)
		return r;
	if (status == STATUS_FAILED)
		return failed(f, out, skip, err);
	out->kind = EVENT_SEND;
	if (status == STATUS_OTHER)
		*skip = EXPORT_OTHER_STATUS;
	return OK;
}

/* In the order in which a row is worth a look: what is left out needs no valid time. */
static enum result classify(const struct flow *f, const struct export_columns *c,
			    struct export_event *out, enum export_skip *skip, struct error *err)
{
	int test, message;
	enum result r = mean(f, EXPORT_TEST, out->texts[LOG_TEST], &test, err);

	if (r == OK)
		r = mean(f, EXPORT_MESSAGE_TYPE, out->texts[LOG_MESSAGE_TYPE], &message, err);
	if (r != OK)
		return r;
	if (test == TEST_YES)
		*skip = EXPORT_TEST_PROFILE;
	else if (message == MESSAGE_OTHER)
		*skip = EXPORT_OTHER_CHANNEL;
	else
		return c->sending ? sent(f, out, skip, err) : tracked(f, out, skip, err);
	return OK;
}

static enum result well_formed(const struct export_columns *c, const struct export_row *row,
			       bool take_cut_off, struct error *err)
{
	if (row->bad)
		return error_reject(err, "bad-row", "%s", row->bad);
	if (row->count != c->count)
		return error_reject(err, "bad-row", "the row has %d fields, the header %d%s",
				    row->count, c->count,
				    row->cut_off ? "; the file ends in it" : "");
	if (row->cut_off && !take_cut_off)
		return error_reject(
		    err, "cut-off",
		    "the file ends without the end of this row's line: it may be cut "
		    "off; if your workflow never writes it, set \"last_row\"");
	for (int i = 0; i < row->count; i++)
		if (!text_is_utf8(row->fields[i], row->lens[i]))
			return error_reject(err, "bad-encoding",
					    "field %d is not UTF-8: state the \"encoding\" of the "
					    "files",
					    i + 1);
	return OK;
}

enum result export_event(const struct flow *f, const struct export_columns *c,
			 const struct export_row *row, struct export_event *out,
			 enum export_skip *skip, struct error *err)
{
	enum result r = well_formed(c, row, f->exports.take_cut_off, err);

	*skip = EXPORT_EVENT;
	if (r != OK)
		return r;
	*out = (struct export_event){.url_type = "", .failure_type = ""};
	for (int i = 0; i < LOG_COLUMNS; i++)
		out->texts[i] = c->at[i] >= 0 ? row->fields[c->at[i]] : "";
	r = classify(f, c, out, skip, err);
	if (r != OK || *skip)
		return r;
	const char *contact = out->texts[LOG_CONTACT];
	if (!text_lower_guid(contact, out->contact)) { /* a profile that never came from Dynamics */
		*skip = EXPORT_NOT_A_CONTACT;
		return OK;
	}
	size_t n = strlen(out->texts[LOG_ID]);
	if (!n || n > LOG_ID_MAX || strpbrk(out->texts[LOG_ID], "| \t\r\n"))
		return error_reject(err, "bad-row", "the row has no usable id");
	return export_time(&f->exports, out->texts[LOG_TIME], &out->time, err);
}

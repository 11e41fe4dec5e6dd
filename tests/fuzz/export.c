/* Files of a log export: whatever stands in them, the rows are the same in pieces of any size, and
 * every row is an event, left out, or rejected with a text that fits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "export_event.h"
#include "zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	const struct flow *flow;
	struct export_columns columns;
	bool sending, has_header;
	int64_t rows;
	XXH64_hash_t sum;
};

static void mix(struct run *r, const void *p, size_t n)
{
	r->sum = XXH64(p, n, r->sum);
}

static bool on_row(void *arg, const struct export_row *row)
{
	struct run *r = arg;
	struct export_event e = {0};
	enum export_skip skip = EXPORT_EVENT;
	struct error err;

	memset(&err, 0x7f, sizeof err);
	if (row->number != r->rows++ || row->count > EXPORT_FIELDS_MAX)
		abort();
	for (int i = 0; i < row->count; i++)
		mix(r, row->fields[i], row->lens[i] + 1);
	if (!row->number) {
		r->has_header = export_header(r->flow, r->sending, row, &r->columns, &err) == OK;
		/* A header with other names: what follows is read by place. */
		for (int i = 0; !r->has_header && i < LOG_COLUMNS; i++)
			r->columns.at[i] = i < row->count ? i : -1;
		return true;
	}
	enum result result = export_event(r->flow, &r->columns, row, &e, &skip, &err);
	if (result == REJECT && (!memchr(err.text, 0, sizeof err.text) || strchr(err.text, '\n')))
		abort();
	if (result != OK && result != REJECT)
		abort();
	if (result == OK && !skip && (strlen(e.contact) != 36 || e.kind >= EVENT_KINDS))
		abort();
	mix(r, &result, sizeof result);
	mix(r, &skip, sizeof skip);
	mix(r, &e.time, result == OK && !skip ? sizeof e.time : 0);
	return true;
}

static struct run run(const struct flow *f, bool sending, const uint8_t *data, size_t size,
		      size_t piece)
{
	struct run r = {.flow = f, .sending = sending};
	struct export_reader *reader = export_reader_new(&f->exports, on_row, &r);
	enum export_state s = EXPORT_READING;
	struct error err;
	bool cut = false;

	for (size_t at = 0; at < size && s == EXPORT_READING; at += piece)
		s = export_feed(reader, data + at, size - at < piece ? size - at : piece, &err);
	if (s == EXPORT_READING)
		s = export_finish(reader, &cut, &err);
	mix(&r, &s, s == EXPORT_BROKEN ? 0 : sizeof s);
	export_reader_free(reader);
	return r;
}

static void name_columns(struct log_files *f, const char *const *names)
{
	for (; *names; names += 2)
		for (int i = 0; i < LOG_COLUMNS; i++)
			if (!strcmp(log_column_names[i], names[0]))
				f->columns[i] = names[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sending[] = {"id",
					      "broadLogId",
					      "status",
					      "status",
					      "failure_type",
					      "failureType",
					      "failure_reason",
					      "failureReason",
					      "time",
					      "eventDate",
					      "contact",
					      "profileExternalId",
					      "delivery",
					      "deliveryName",
					      "campaign",
					      "campaignName",
					      NULL};
	static const char *const tracking[] = {
	    "id",	 "trackingLogId", "url_type", "urlType",      "url",
	    "urlSource", "time",	  "logDate",  "contact",      "profileExternalId",
	    "delivery",	 "deliveryName",  "campaign", "campaignName", NULL};
	static struct zone *zone;
	struct flow f = {.exports = {.quote = '"', .take_cut_off = true}};

	if (!zone)
		zone = zone_new("Europe/Paris");
	name_columns(&f.sending, sending);
	name_columns(&f.tracking, tracking);
	for (int i = 0; i < 4; i++) {
		f.exports.encoding = i & 1 ? "iso-8859-1" : NULL;
		f.exports.zone = i & 2 ? zone : NULL;
		f.exports.time_zone = "Europe/Paris";
		f.exports.time_format = i == 3 ? "%d/%m/%Y %H:%M:%S" : NULL;
		struct run whole = run(&f, i & 1, data, size, size + 1);
		struct run pieces = run(&f, i & 1, data, size, 1 + size % 7);
		if (whole.sum != pieces.sum || whole.rows != pieces.rows)
			abort();
	}
	return 0;
}

/* position.c - the position in a table as a checkpoint record, and what an operator asks for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "extraction.h"

enum {
	CP_ORGANIZATION,
	CP_SELECT,
	CP_EPOCH,
	CP_SCAN,
	CP_SCAN_LINK,
	CP_SCAN_ROWS,
	CP_SCAN_PAGES,
	CP_SCAN_BEGAN,
	CP_EXPECTED,
	CP_DELTA_LINK,
	CP_DELTA_START,
	CP_VERSION,
	CP_VERSION_BEFORE,
	CP_FLOOR,
	CP_MARK,
	CP_PAGE_SIZE,
	CP_DELTA_PAGE_SIZE,
	CP_HELD,
	CP_APPROVED,
	CP_SINCE,
	CP_REQUEST,
	CP_TOP,
	CP_TOP_VERSION,
	CP_DOUBTED,
	CP_LATE_ABOVE,
	CP_SAVED_AT
};
enum { RQ_KIND, RQ_DELETES, RQ_SINCE };

void position_init(struct position *p)
{
	*p = (struct position){.select = xstrdup(""),
			       .scan_link = xstrdup(""),
			       .delta_link = xstrdup(""),
			       .delta_start = xstrdup(""),
			       .expected = -1,
			       .late_above = -1};
}

void position_free(struct position *p)
{
	free(p->select);
	free(p->scan_link);
	free(p->delta_link);
	free(p->delta_start);
	*p = (struct position){0};
}

void position_copy(struct position *to, const struct position *from)
{
	*to = *from;
	to->select = xstrdup(from->select);
	to->scan_link = xstrdup(from->scan_link);
	to->delta_link = xstrdup(from->delta_link);
	to->delta_start = xstrdup(from->delta_start);
}

void position_set(char **to, const char *text)
{
	char *copy = xstrdup(text);
	free(*to);
	*to = copy;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static const char *text_at(const avro_value_t *record, size_t i)
{
	avro_value_t f = record_field(record, i);
	return record_text(&f, NULL);
}

static int64_t long_at(const avro_value_t *record, size_t i)
{
	avro_value_t f = record_field(record, i);
	return record_long(&f);
}

void position_read(struct position *p, const avro_value_t *value)
{
	avro_value_t scan = record_field(value, CP_SCAN);

	snprintf(p->organization, sizeof p->organization, "%s", text_at(value, CP_ORGANIZATION));
	snprintf(p->top, sizeof p->top, "%s", text_at(value, CP_TOP));
	position_set(&p->select, text_at(value, CP_SELECT));
	position_set(&p->scan_link, text_at(value, CP_SCAN_LINK));
	position_set(&p->delta_link, text_at(value, CP_DELTA_LINK));
	position_set(&p->delta_start, text_at(value, CP_DELTA_START));
	p->scan = (enum scan)record_enum(&scan);
	p->epoch = long_at(value, CP_EPOCH);
	p->scan_rows = long_at(value, CP_SCAN_ROWS);
	p->scan_pages = long_at(value, CP_SCAN_PAGES);
	p->scan_began.ms = long_at(value, CP_SCAN_BEGAN);
	p->expected = long_at(value, CP_EXPECTED);
	p->version = long_at(value, CP_VERSION);
	p->version_before = long_at(value, CP_VERSION_BEFORE);
	p->floor = long_at(value, CP_FLOOR);
	p->mark.ms = long_at(value, CP_MARK);
	p->page_size = long_at(value, CP_PAGE_SIZE);
	p->delta_page_size = long_at(value, CP_DELTA_PAGE_SIZE);
	p->held = long_at(value, CP_HELD);
	p->approved = long_at(value, CP_APPROVED);
	p->since.ms = long_at(value, CP_SINCE);
	p->top_version = long_at(value, CP_TOP_VERSION);
	p->late_above = long_at(value, CP_LATE_ABOVE);
	p->doubted.ms = long_at(value, CP_DOUBTED);
	p->saved.ms = long_at(value, CP_SAVED_AT);
}

bool request_read(struct request *q, const avro_value_t *value)
{
	avro_value_t field = record_field(value, CP_REQUEST), record;

	if (!record_some(&field, &record))
		return false;
	field = record_field(&record, RQ_KIND);
	q->kind = record_enum(&field);
	q->deletes = long_at(&record, RQ_DELETES);
	q->since.ms = long_at(&record, RQ_SINCE);
	return true;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void put_text(avro_value_t *record, size_t i, const char *text)
{
	avro_value_t f = record_field(record, i);
	record_set_text(&f, text, strlen(text));
}

static void put_long(avro_value_t *record, size_t i, int64_t n)
{
	avro_value_t f = record_field(record, i);
	if (avro_value_get_type(&f) == AVRO_INT32)
		avro_value_set_int(&f, (int32_t)n);
	else
		avro_value_set_long(&f, n);
}

/* One line for a person; numbers only, nothing of a row. */
static void progress(const struct extraction *x, const struct position *p, char *out, size_t size)
{
	static const char *const names[] = {"", "first read", "full read to reconcile",
					    "full read since a time"};
	size_t n = 0;

	if (p->scan == SCAN_NONE) {
		n = (size_t)snprintf(out, size, "following");
	} else {
		n = (size_t)snprintf(out, size, "%s: %lld rows in %lld pages", names[p->scan],
				     (long long)p->scan_rows, (long long)p->scan_pages);
		if (p->expected > 0 && p->expected >= p->scan_rows) /* it may be a day old */
			n += (size_t)snprintf(out + n, size - n, ", %d %% of about %lld",
					      (int)(100 * p->scan_rows / p->expected),
					      (long long)p->expected);
		int64_t ms = mono_now().ms - x->rate_since.ms;
		if (ms > 0 && x->rate_rows)
			n += (size_t)snprintf(out + n, size - n, ", %lld rows/s",
					      (long long)(x->rate_rows * 1000 / ms));
	}
	if (p->held)
		n += (size_t)snprintf(out + n, size - n,
				      "; %lld deletes held: tideway approve, or replay "
				      "--from source once the role is mended",
				      (long long)p->held);
	if (p->page_size < x->stage->flow->page_size)
		snprintf(out + n, size - n, "; pages of %lld rows", (long long)p->page_size);
}

enum result position_save(struct extraction *x, struct extract_output *o, struct position *p,
			  const char *request, wall_time now, struct error *err)
{
	avro_value_t *c = &x->checkpoint, f;
	char text[300];

	p->saved = now;
	put_text(c, CP_ORGANIZATION, p->organization);
	put_text(c, CP_TOP, p->top);
	put_text(c, CP_SELECT, p->select);
	put_text(c, CP_SCAN_LINK, p->scan_link);
	put_text(c, CP_DELTA_LINK, p->delta_link);
	put_text(c, CP_DELTA_START, p->delta_start);
	f = record_field(c, CP_SCAN);
	avro_value_set_enum(&f, (int)p->scan);
	put_long(c, CP_EPOCH, p->epoch);
	put_long(c, CP_SCAN_ROWS, p->scan_rows);
	put_long(c, CP_SCAN_PAGES, p->scan_pages);
	put_long(c, CP_SCAN_BEGAN, p->scan_began.ms);
	put_long(c, CP_EXPECTED, p->expected);
	put_long(c, CP_VERSION, p->version);
	put_long(c, CP_VERSION_BEFORE, p->version_before);
	put_long(c, CP_FLOOR, p->floor);
	put_long(c, CP_MARK, p->mark.ms);
	put_long(c, CP_PAGE_SIZE, p->page_size);
	put_long(c, CP_DELTA_PAGE_SIZE, p->delta_page_size);
	put_long(c, CP_HELD, p->held);
	put_long(c, CP_APPROVED, p->approved);
	put_long(c, CP_SINCE, p->since.ms);
	put_long(c, CP_TOP_VERSION, p->top_version);
	put_long(c, CP_LATE_ABOVE, p->late_above);
	put_long(c, CP_DOUBTED, p->doubted.ms);
	f = record_field(c, CP_REQUEST);
	record_set_null(&f);
	put_long(c, CP_SAVED_AT, now.ms);
	progress(x, p, text, sizeof text);
	enum result r = request ? extract_checkpoint(o, request, NULL, NULL, err) : OK;
	return r == OK ? extract_checkpoint(o, x->stage->table->name, c, text, err) : r;
}

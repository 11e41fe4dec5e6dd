/* rows.c - the rows of an export: which column comes from where.
 *
 * The columns are those that a customer picks from the sending logs (broadLogRcp) and the tracking
 * logs (trackingLogRcp) and what they are linked to: "Exporting logs", and the logs in "Retrieving
 * privacy data files".  A source is the place of a column's name in format.c.
 */
#include "simulator.h"

#include <stdio.h>
#include <string.h>

static const char *col(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

static const char sending_select[] =
    "SELECT x.id, x.status, x.failure, x.reason, x.event_ms, x.modified_ms, x.address, d.id,"
    " d.name, d.label, d.campaign, d.campaignLabel, x.external, x.test, x.sent_ms, x.dirty"
    " FROM _message x JOIN _delivery d ON d.id=x.delivery WHERE %s ORDER BY %s";
static const char tracking_select[] =
    "SELECT x.id, x.message, x.ms, x.type, x.url, d.name, d.label, d.campaign, m.external, d.id,"
    " m.test FROM _tracking x JOIN _message m ON m.id=x.message JOIN _delivery d ON"
    " d.id=m.delivery WHERE %s ORDER BY %s";

static const char *reason_text(int status, int failure)
{
	if (status == FAILED)
		return "550 \"no such user\",\nsee the log";
	return failure ? "452 mailbox full, retried" : "'*' sent";
}

static void sending_field(const struct format *f, struct line *l, sqlite3_stmt *st, int source)
{
	/* Columns of the SELECT, for those that are plain texts or numbers. */
	switch (source) {
	case 0:
		line_number(f, l, sqlite3_column_int64(st, 0));
		break;
	case 1:
		line_enum(f, l, "status", sqlite3_column_int(st, 1));
		break;
	case 2:
		line_enum(f, l, "failureType", sqlite3_column_int(st, 2));
		break;
	case 3:
		line_enum(f, l, "failureReason", sqlite3_column_int(st, 3));
		break;
	case 4:
		line_text(f, l, reason_text(sqlite3_column_int(st, 1), sqlite3_column_int(st, 2)));
		break;
	case 5:
		line_date(f, l, sqlite3_column_int64(st, 4));
		break;
	case 6:
		line_date(f, l, sqlite3_column_int64(st, 5));
		break;
	case 7:
		line_text(f, l, col(st, 6));
		break;
	case 8:
		line_number(f, l, sqlite3_column_int64(st, 7));
		break;
	case 14:
		line_enum(f, l, "messageType", 0);
		break;
	case 15:
		line_enum(f, l, "boolean", sqlite3_column_int(st, 13));
		break;
	case 16:
		line_date(f, l, sqlite3_column_int64(st, 14));
		break;
	case 17:
		line_number(f, l, sqlite3_column_int64(st, 0) * 7 + 3);
		break;
	case 18:
		line_text(f, l, "");
		break;
	case 19: {
		char url[100];
		snprintf(url, sizeof url, "https://t.example.com/res/mirror/?id=%lld",
			 sqlite3_column_int64(st, 0));
		line_text(f, l, url);
		break;
	}
	default: /* 9 to 13: name, label, campaign, its label, external id */
		line_text(f, l, col(st, source - 1));
	}
}

static void tracking_field(const struct format *f, struct line *l, sqlite3_stmt *st, int source)
{
	static const char *const labels[] = {"", "Email click", "Open", "Opt-out", "",
					     "", "Mirror page"};
	int type = sqlite3_column_int(st, 3);

	switch (source) {
	case 0:
	case 1:
		line_number(f, l, sqlite3_column_int64(st, source));
		break;
	case 2:
		line_date(f, l, sqlite3_column_int64(st, 2));
		break;
	case 3:
		line_enum(f, l, "urlType", type);
		break;
	case 4:
		line_text(f, l, type >= 0 && type <= 6 ? labels[type] : "");
		break;
	case 10:
		line_text(f, l, "pc");
		break;
	case 11:
		line_number(f, l, sqlite3_column_int64(st, 9));
		break;
	case 12:
		line_text(f, l, "-1178080215");
		break;
	case 13:
		line_text(f, l, "");
		break;
	case 14:
		line_enum(f, l, "boolean", sqlite3_column_int(st, 10));
		break;
	case 15:
		line_number(f, l, type == URL_OPEN ? 1 : 100 + type);
		break;
	default: /* 5 to 9: url, delivery, its label, campaign, external id */
		line_text(f, l, col(st, source - 1));
	}
}

static const char *order_by(int kind, const cJSON *json)
{
	const char *order = json_text(json, "order");

	if (order && !strcmp(order, "shuffled"))
		return "(x.id*2654435761)%1000003";
	if (order && !strcmp(order, "time"))
		return kind ? "x.ms" : "x.modified_ms";
	return "x.id";
}

static bool put(gzFile out, const struct line *l)
{
	return !l->len || gzwrite(out, l->text, (unsigned)l->len) > 0;
}

bool rows_write(struct campaign *c, int kind, struct export_order *o, const struct format *f,
		const char *where, gzFile out)
{
	static struct line l;
	char sql[2400];
	bool ok = true;

	l.len = 0;
	l.fields = 0;
	if (f->bom)
		ok = gzwrite(out, "\xef\xbb\xbf", 3) == 3;
	if (f->header) {
		for (int i = 0; i < f->count; i++)
			line_text(f, &l, f->columns[i].header);
		line_end(f, &l);
		ok = ok && put(out, &l);
	}
	if (json_text(o->json, "empty"))
		return ok;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(sql, sizeof sql, kind ? tracking_select : sending_select, where,
		 order_by(kind, o->json));
#pragma GCC diagnostic pop
	sqlite3_stmt *st = store_prepare(&c->store, sql);
	while (ok && sqlite3_step(st) == SQLITE_ROW) {
		l.len = 0;
		l.fields = 0;
		for (int i = 0; i < f->count; i++)
			(kind ? tracking_field : sending_field)(f, &l, st, f->columns[i].source);
		line_end(f, &l);
		ok = put(out, &l);
		o->repeated += !kind && !sqlite3_column_int(st, 15);
	}
	sqlite3_finalize(st);
	return ok;
}

/* change.c - see change.h.  Value forms of the Web API: Microsoft, "query data" and "behavior and
 * format of the date and time column". */
#include "change.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

enum { SCHEMA_MAX = 1 << 20 };

static char *schema_with(const char *namespace, const char *ops, const char *row_schema)
{
	struct buffer s = BUFFER(SCHEMA_MAX);
	buffer_printf(&s,
		      "{\"type\":\"record\",\"name\":\"Change\",\"namespace\":\"%s\",\"fields\":["
		      "{\"name\":\"op\",\"type\":{\"type\":\"enum\",\"name\":\"Op\",\"symbols\":"
		      "[%s]}},"
		      "{\"name\":\"id\",\"type\":\"string\"},"
		      "{\"name\":\"epoch\",\"type\":\"long\"},"
		      "{\"name\":\"version\",\"type\":\"long\"},"
		      "{\"name\":\"modified_at\",\"type\":[\"null\"," SCHEMA_TIMESTAMP
		      "],\"default\":null},"
		      "{\"name\":\"observed_at\",\"type\":" SCHEMA_TIMESTAMP "},"
		      "{\"name\":\"origin\",\"type\":{\"type\":\"enum\",\"name\":\"Origin\","
		      "\"symbols\":[\"snapshot\",\"delta\",\"reconcile\"]}},"
		      "{\"name\":\"row\",\"type\":[\"null\",%s],\"default\":null}]}",
		      namespace, ops, row_schema);
	return s.data;
}

char *change_schema(const char *namespace, const char *row_schema)
{
	return schema_with(namespace, "\"upsert\",\"delete\"", row_schema);
}

char *change_target_schema(const char *namespace, const char *row_schema)
{
	return schema_with(namespace, "\"upsert\",\"delete\",\"update\"", row_schema);
}

void change_field_schema(struct buffer *out, const char *name, const char *type, const char *doc)
{
	bool quoted = *type != '{';

	buffer_printf(out, "{\"name\":\"%s\",\"type\":[\"null\",%s%s%s],\"default\":null", name,
		      quoted ? "\"" : "", type, quoted ? "\"" : "");
	if (doc)
		change_doc(out, doc);
	buffer_puts(out, "}");
}

void change_doc(struct buffer *out, const char *doc)
{
	cJSON *text = cJSON_CreateString(doc);
	_cleanup_(freep) char *json = cJSON_PrintUnformatted(text);

	cJSON_Delete(text);
	buffer_printf(out, ",\"doc\":%s", json);
}

bool change_schema_has(const char *schema, const char *column)
{
	cJSON *json = json_parse(schema, strlen(schema));
	/* row: ["null", {record}] */
	const cJSON *row = record_schema_field(json, "row");
	const cJSON *record = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(row, "type"), 1);
	bool found = record_schema_field(record, column);

	cJSON_Delete(json);
	return found;
}

void change_set_head(avro_value_t *change, const char *id, const struct change_head *head)
{
	avro_value_t f = record_field(change, CHANGE_OP);
	avro_value_set_enum(&f, (int)head->op);
	f = record_field(change, CHANGE_ID);
	record_set_text(&f, id, strlen(id));
	f = record_field(change, CHANGE_EPOCH);
	avro_value_set_long(&f, head->epoch);
	f = record_field(change, CHANGE_VERSION);
	avro_value_set_long(&f, head->version);
	f = record_field(change, CHANGE_MODIFIED_AT);
	if (head->modified.ms >= 0) {
		avro_value_t some = record_set_some(&f);
		avro_value_set_long(&some, head->modified.ms);
	} else {
		record_set_null(&f);
	}
	f = record_field(change, CHANGE_OBSERVED_AT);
	avro_value_set_long(&f, head->observed.ms);
	f = record_field(change, CHANGE_ORIGIN);
	avro_value_set_enum(&f, (int)head->origin);
	if (head->op == CHANGE_DELETE) {
		f = record_field(change, CHANGE_ROW);
		record_set_null(&f);
	}
}

void change_get_head(const avro_value_t *change, struct change_head *head)
{
	avro_value_t f = record_field(change, CHANGE_OP), some;
	head->op = (enum change_op)record_enum(&f);
	f = record_field(change, CHANGE_EPOCH);
	head->epoch = record_long(&f);
	f = record_field(change, CHANGE_VERSION);
	head->version = record_long(&f);
	f = record_field(change, CHANGE_MODIFIED_AT);
	head->modified.ms = record_some(&f, &some) ? record_long(&some) : -1;
	f = record_field(change, CHANGE_OBSERVED_AT);
	head->observed.ms = record_long(&f);
	f = record_field(change, CHANGE_ORIGIN);
	head->origin = (enum change_origin)record_enum(&f);
}

const char *change_id(const avro_value_t *change, size_t *len)
{
	avro_value_t f = record_field(change, CHANGE_ID);
	return record_text(&f, len);
}

/* ---- the schema of a table -------------------------------------------------------------------- */

#define CHOICE                                                                                     \
	"{\"type\":\"record\",\"name\":\"Choice\",\"fields\":["                                    \
	"{\"name\":\"value\",\"type\":\"int\"},"                                                   \
	"{\"name\":\"label\",\"type\":[\"null\",\"string\"],\"default\":null}]}"

static void column_schema(struct buffer *s, const struct column *c, bool *choice, bool *reference)
{
	static const char *const plain[] = {[COLUMN_STRING] = "string",
					    [COLUMN_GUID] = "string",
					    [COLUMN_BOOLEAN] = "boolean",
					    [COLUMN_INT] = "int",
					    [COLUMN_LONG] = "long",
					    [COLUMN_DOUBLE] = "double",
					    [COLUMN_DECIMAL] = "string",
					    [COLUMN_DATE] = SCHEMA_DATE,
					    [COLUMN_DATETIME] = SCHEMA_TIMESTAMP};
	const char *type;

	if (c->type == COLUMN_CHOICE) {
		type = *choice ? "Choice" : CHOICE;
		*choice = true;
	} else if (c->type == COLUMN_CHOICES) {
		type = *choice ? "{\"type\":\"array\",\"items\":\"Choice\"}"
			       : "{\"type\":\"array\",\"items\":" CHOICE "}";
		*choice = true;
	} else if (c->type == COLUMN_LOOKUP) {
		type = *reference ? "Reference"
				  : "{\"type\":\"record\",\"name\":\"Reference\",\"fields\":["
				    "{\"name\":\"id\",\"type\":\"string\"},"
				    "{\"name\":\"table\",\"type\":[\"null\",\"string\"],"
				    "\"default\":null},"
				    "{\"name\":\"name\",\"type\":[\"null\",\"string\"],"
				    "\"default\":null}]}";
		*reference = true;
	} else {
		type = plain[c->type];
	}
	change_field_schema(s, c->name, type, NULL);
}

enum result table_class_new(const struct table *t, const char *const *columns, size_t n,
			    struct table_class *out, struct error *err)
{
	struct buffer row = BUFFER(SCHEMA_MAX);
	bool choice = false, reference = false;

	*out = (struct table_class){.table = t, .columns = xcalloc(n, sizeof *out->columns)};
	buffer_printf(&row, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", t->name);
	for (size_t i = 0; i < n; i++) {
		struct table_column_plan *p = &out->columns[out->column_count];
		p->column = table_column(t, columns[i]);
		if (!p->column || p->column->type == COLUMN_OTHER) {
			error_config(err, "metadata", "table %s: column %s %s", t->name, columns[i],
				     p->column ? "has a type that cannot be read"
					       : "does not exist");
			buffer_free(&row);
			table_class_free(out);
			return FATAL;
		}
		out->column_count++;
		p->property = column_property(p->column);
		p->label = xasprintf("%s@OData.Community.Display.V1.FormattedValue", p->property);
		p->target = xasprintf("%s@Microsoft.Dynamics.CRM.lookuplogicalname", p->property);
		buffer_puts(&row, i ? "," : "");
		column_schema(&row, p->column, &choice, &reference);
	}
	buffer_puts(&row, "]}");
	_cleanup_(freep) char *namespace = xasprintf("tideway.crm.%s", t->name);
	_cleanup_(freep) char *schema = change_schema(namespace, row.data);
	buffer_free(&row);
	enum result r = record_class_new(&out->record, schema, err);
	if (r != OK)
		table_class_free(out);
	return r;
}

void table_class_free(struct table_class *c)
{
	for (size_t i = 0; i < c->column_count; i++) {
		free(c->columns[i].property);
		free(c->columns[i].label);
		free(c->columns[i].target);
	}
	free(c->columns);
	record_class_free(&c->record);
	*c = (struct table_class){0};
}

/* ---- a row ------------------------------------------------------------------------------------ */

static void set_optional_text(avro_value_t *field, const char *text)
{
	if (!text) {
		record_set_null(field);
		return;
	}
	avro_value_t some = record_set_some(field);
	record_set_text(&some, text, strlen(text));
}

static void set_choice(avro_value_t *choice, int64_t value, const char *label)
{
	avro_value_t f = record_field(choice, 0);
	avro_value_set_int(&f, (int32_t)value);
	f = record_field(choice, 1);
	set_optional_text(&f, label);
}

/* "2,9" as the Web API writes a multi-select choice.  The formatted value is one text for all, so
 * the labels are those of the saved metadata. */
static bool fill_choices(const struct column *c, const char *text, avro_value_t *to)
{
	char piece[24];

	while (*text) {
		size_t n = strcspn(text, ",");
		const char *label = NULL;
		avro_value_t choice;
		int64_t value;
		if (!n || n >= sizeof piece)
			return false;
		memcpy(piece, text, n);
		piece[n] = 0;
		if (!text_to_int(piece + strspn(piece, " "), INT32_MIN, INT32_MAX, &value))
			return false;
		for (size_t i = 0; i < c->option_count && !label; i++)
			if (c->options[i].value == value)
				label = c->options[i].label;
		avro_value_append(to, &choice, NULL);
		set_choice(&choice, value, label);
		text += n + (text[n] == ',');
	}
	return true;
}

/* A member by name, looked for from *from on: rows have their members in the order in which they were
 * selected, so it is mostly the next. */
static const cJSON *member(const cJSON *row, const cJSON **from, const char *name)
{
	for (const cJSON *m = *from; m; m = m->next)
		if (!strcmp(m->string, name)) {
			*from = m->next;
			return m;
		}
	return cJSON_GetObjectItemCaseSensitive(row, name);
}

/* An annotation of a member stands right before it, as a rule. */
static const char *annotation(const cJSON *row, const cJSON *item, const char *name)
{
	const cJSON *m = item;

	for (int i = 0; i < 3 && m != row->child; i++) {
		m = m->prev;
		if (!strcmp(m->string, name))
			return cJSON_GetStringValue(m);
	}
	return json_string(row, name);
}

/* Fills the non-null branch. text is NULL when the JSON value is no string (and no number). */
static bool fill(const struct table_column_plan *p, const cJSON *row, const cJSON *item,
		 avro_value_t *to)
{
	const char *text = cJSON_GetStringValue(item);
	char guid[37];
	int64_t n;
	double d;
	int32_t days;
	wall_time t;
	avro_value_t f;

	if (p->column->type == COLUMN_BOOLEAN) {
		avro_value_set_boolean(to, cJSON_IsTrue(item));
		return cJSON_IsBool(item);
	}
	if (!text)
		return false;
	switch (p->column->type) {
	case COLUMN_STRING:
		record_set_text(to, text, strlen(text));
		return true;
	case COLUMN_GUID:
		if (!text_lower_guid(text, guid))
			return false;
		record_set_text(to, guid, 36);
		return true;
	case COLUMN_INT:
		return text_to_int(text, INT32_MIN, INT32_MAX, &n) &&
		       !avro_value_set_int(to, (int32_t)n);
	case COLUMN_LONG:
		return text_to_int(text, INT64_MIN, INT64_MAX, &n) && !avro_value_set_long(to, n);
	case COLUMN_DOUBLE:
		return text_to_double(text, &d) && !avro_value_set_double(to, d);
	case COLUMN_DECIMAL:
		if (!text_is_decimal(text))
			return false;
		record_set_text(to, text, strlen(text));
		return true;
	case COLUMN_DATE:
		return date_parse(text, strlen(text), &days) && !avro_value_set_int(to, days);
	case COLUMN_DATETIME:
		return datetime_parse(text, strlen(text), false, &t) &&
		       !avro_value_set_long(to, t.ms);
	case COLUMN_CHOICE:
		if (!text_to_int(text, INT32_MIN, INT32_MAX, &n))
			return false;
		set_choice(to, n, annotation(row, item, p->label));
		return true;
	case COLUMN_CHOICES:
		return fill_choices(p->column, text, to);
	case COLUMN_LOOKUP:
		if (!text_lower_guid(text, guid))
			return false;
		f = record_field(to, 0);
		record_set_text(&f, guid, 36);
		f = record_field(to, 1);
		set_optional_text(&f, annotation(row, item, p->target));
		f = record_field(to, 2);
		set_optional_text(&f, annotation(row, item, p->label));
		return true;
	default:
		return false;
	}
}

enum result change_from_row(const struct table_class *c, const cJSON *row, int64_t epoch,
			    wall_time observed, enum change_origin origin, avro_value_t *change,
			    char id[37], struct error *err)
{
	struct change_head head = {.op = CHANGE_UPSERT,
				   .epoch = epoch,
				   .modified = {-1},
				   .observed = observed,
				   .origin = origin};
	const char *text = json_string(row, c->table->primary_id);

	if (!text || !text_lower_guid(text, id))
		return error_reject(err, "bad-row", "table %s: a row without a usable %s",
				    c->table->name, c->table->primary_id);
	if (!json_int(row, "versionnumber", &head.version))
		return error_reject(err, "bad-row", "table %s: a row without versionnumber",
				    c->table->name);
	text = json_string(row, "modifiedon");
	if (text && !datetime_parse(text, strlen(text), false, &head.modified))
		head.modified.ms = -1;
	change_set_head(change, id, &head);

	avro_value_t field = record_field(change, CHANGE_ROW), record = record_set_some(&field);
	const cJSON *next = row->child;
	for (size_t i = 0; i < c->column_count; i++) {
		const struct table_column_plan *p = &c->columns[i];
		const cJSON *item = member(row, &next, p->property);
		field = record_field(&record, i);
		if (!item)
			return error_reject(err, "bad-row", "table %s: a row without %s",
					    c->table->name, p->property);
		if (cJSON_IsNull(item)) {
			record_set_null(&field);
			continue;
		}
		avro_value_t some = record_set_some(&field);
		if (!fill(p, row, item, &some))
			return error_reject(err, "bad-row", "table %s: %s is no %s", c->table->name,
					    p->property, p->column->kind);
	}
	return OK;
}

/* Answers of Dynamics: an error body, a row of a page, a delete. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "dataverse.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct table *table;
static struct table_class class;
static avro_value_t change;

static void set(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
}

static void setup(void)
{
	static const char *const columns[] = {"a", "b", "c", "d", "g", "l", "m", "n", "t"};
	struct error err;

	table = table_new("t");
	set(&table->entity_set, "ts");
	set(&table->primary_id, "tid");
	table_add(table, "a", "String");
	table_add(table, "b", "Boolean");
	table_add(table, "c", "Picklist");
	table_add(table, "d", "DateTime/DateOnly");
	table_add(table, "g", "Uniqueidentifier");
	table_add(table, "l", "Lookup");
	table_add(table, "m", "Money");
	table_add(table, "n", "Integer");
	table_add(table, "t", "DateTime");
	table_sort(table);
	if (table_class_new(table, columns, 9, &class, &err) != OK)
		abort();
	record_new(&class.record, &change);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct http_response res = {.status = 400, .sent = true, .retry_after_ms = -1};
	struct buffer scratch = BUFFER(1 << 20);
	struct error err;
	char id[37];
	const char *deleted;

	if (!table)
		setup();
	memcpy(text, data, size);
	text[size] = 0;
	res.body = (struct buffer){.data = text, .len = size};
	if (dataverse_answer(&res, (mono_time){1}, &err) == OK)
		abort();
	cJSON *json = json_parse_exact(&scratch, text, size);
	if (json && !dataverse_is_delete(json, &deleted) &&
	    change_from_row(&class, json, 1, (wall_time){1}, ORIGIN_DELTA, &change, id, &err) ==
		OK &&
	    (strlen(id) != 36 || !text_is_guid(id)))
		abort();
	cJSON_Delete(json);
	buffer_free(&scratch);
	free(text);
	return 0;
}

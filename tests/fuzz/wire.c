/* Values of a topic: the registry's wire format around a Change, by its own schema and by names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record_class class;
	static avro_value_t value;
	static struct wire *wire;
	static struct http *http;
	struct error err;

	if (!wire) {
		char *schema = change_schema(
		    "x",
		    "{\"type\":\"record\",\"name\":\"Row\",\"fields\":[{\"name\":\"s\",\"type\":"
		    "[\"null\",\"string\"],\"default\":null},{\"name\":\"d\",\"type\":[\"null\","
		    "\"double\"],\"default\":null}]}");
		record_limit_allocations();
		if (record_class_new(&class, schema, &err) != OK)
			abort();
		free(schema);
		record_new(&class, &value);
		http = http_new("fuzz", NULL);
		/* Nobody answers there: only values of our own schema are decoded. */
		wire = wire_new(registry_new(http, "http://127.0.0.1:1", NULL, NULL));
	}
	if (size >= 5 && memcmp(data, "\0\0\0\0\1", 5))
		return 0;
	if (wire_decode(wire, data, size, 1, &value, &err) == OK) {
		/* What was accepted can be written again and is the same. */
		struct buffer out = BUFFER(WIRE_VALUE_MAX);
		if (wire_encode(1, &value, &out, &err) != OK)
			abort();
		cJSON *json = record_to_json(&value);
		if (wire_decode(wire, out.data, out.len, 1, &value, &err) != OK)
			abort();
		cJSON *again = record_to_json(&value);
		if (!cJSON_Compare(json, again, 1))
			abort();
		cJSON_Delete(json);
		cJSON_Delete(again);
		buffer_free(&out);
	}
	return 0;
}

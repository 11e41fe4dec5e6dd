# Tideway.  `make help` lists the targets.  Quiet unless V=1; SANITIZE=address,undefined builds
# into a folder of its own.  A new stage needs no change here: folder and file name say it all.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/bash

V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
else
say = @:
endif

SANITIZE ?=
B := build$(if $(SANITIZE),/sanitize)
VERSION := 0.1.0

CC := gcc
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -DTIDEWAY_VERSION='"$(VERSION)"' $(WARN)
LDFLAGS :=
ifneq ($(SANITIZE),)
CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZE)
endif
# A file of common/ is included by its name alone: names are unique, and tests/lint/layers says whose may be.
COMMON := $(wildcard common/*/)
CPPFLAGS := $(addprefix -iquote ,$(COMMON)) -MMD -MP

comma := ,
STAGE_LIBS := -lrdkafka -lcurl -lcjson -lavro -lyaml -lcsv -lz -luuid -lxxhash -lnettle -lmicrohttpd -lpthread -lm
SANDBOX_LIBS := -lmicrohttpd -lsqlite3 -lcjson -lgnutls -lz -lpthread -lm
TEST_LIBS := -lcmocka

# ---- what there is to build --------------------------------------------------------------------

COMMON_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard common/*/*.c))
STAGES := $(patsubst extractors/%.c,$(B)/extract-%,$(wildcard extractors/*.c)) \
          $(patsubst transformers/%.c,$(B)/transform-%,$(wildcard transformers/*.c)) \
          $(patsubst loaders/%.c,$(B)/load-%,$(wildcard loaders/*.c))
SANDBOXES := $(patsubst tests/sandbox/%.c,$(B)/sandbox-%,$(wildcard tests/sandbox/*.c))
COMMAND := $(patsubst deploy/%.c,$(B)/%,$(wildcard deploy/tideway.c))
UNITS := $(patsubst tests/unit/%.c,$(B)/tests/unit-%,$(wildcard tests/unit/*.c))
BENCHES := $(patsubst tests/bench/%.c,$(B)/tests/bench-%,$(wildcard tests/bench/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz-%,$(wildcard tests/fuzz/*.c))
TOOLCHAIN := build/.packages

.PHONY: all demo test clients check up down lint fuzz soak soak-events soak-file bench clean help format
all: $(STAGES) $(COMMAND) $(SANDBOXES)

# Objects need the packages first, but must not be rebuilt when the stamp is touched. Schemas are
# embedded (common/base/embed.h).
$(B)/obj/%.o: %.c $(wildcard schemas/*.avsc) | $(TOOLCHAIN)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(B)/libcommon.a: $(COMMON_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# A program is its own file, the folder of the same name beside it, and libcommon.
.SECONDEXPANSION:
objs = $(patsubst %.c,$(B)/obj/%.o,$(1).c $(sort $(wildcard $(1)/*.c)))
link = $(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(B)/extract-%: $$(call objs,extractors/$$*) $(B)/libcommon.a
	$(call say,LD,$@)
	$(link) $(STAGE_LIBS)
$(B)/transform-%: $$(call objs,transformers/$$*) $(B)/libcommon.a
	$(call say,LD,$@)
	$(link) $(STAGE_LIBS)
$(B)/load-%: $$(call objs,loaders/$$*) $(B)/libcommon.a
	$(call say,LD,$@)
	$(link) $(STAGE_LIBS)
$(B)/tideway: $$(call objs,deploy/tideway) $(B)/libcommon.a
	$(call say,LD,$@)
	$(link) $(STAGE_LIBS)
# Sandboxes share no code with the product: nothing of common/ is linked.
$(B)/sandbox-%: $$(call objs,tests/sandbox/$$*) $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sandbox/server/*.c))
	$(call say,LD,$@)
	$(link) $(SANDBOX_LIBS)
$(B)/tests/unit-%: $(B)/obj/tests/unit/%.o $(B)/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(STAGE_LIBS)
# A unit test of a loader's own files.
$(B)/tests/unit-load-campaign-%: $(B)/obj/tests/unit/load-campaign-%.o \
                                 $$(filter-out $(B)/obj/loaders/campaign.o,$$(call objs,loaders/campaign)) $(B)/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(STAGE_LIBS)
# A sandbox's fuzzer is its handlers without its sockets: tests/fuzz/driver/sandbox.c stands in for
# what --wrap names.
WRAP := $(addprefix -Wl$(comma)--wrap=,server_main server_seed server_contacts server_data request_header)
$(B)/tests/fuzz-sandbox-%: $(B)/obj/tests/fuzz/sandbox-%.o $(B)/obj/tests/fuzz/driver/sandbox.o \
                           $(B)/obj/tests/fuzz/driver/corpus.o \
                           $$(filter-out $(B)/obj/tests/sandbox/$$*.o,$$(call objs,tests/sandbox/$$*)) \
                           $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sandbox/server/*.c))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) $(WRAP) $(SANDBOX_LIBS)
$(B)/tests/fuzz-%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/driver/corpus.o $(B)/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) $(STAGE_LIBS)

# What a lane is compared with: nothing of ours is in it.
$(B)/tests/bench-%: $(B)/obj/tests/bench/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) -lcurl -lrdkafka

$(B)/obj/tests/sandbox/%.o $(B)/obj/tests/fuzz/sandbox-%.o: CPPFLAGS := -iquote tests/sandbox/server -MMD -MP
.SECONDARY:

# ---- setting up, once --------------------------------------------------------------------------

$(TOOLCHAIN): deploy/world/packages
	$(Q)deploy/world/install-packages $@

build/.jars: deploy/world/pom.xml deploy/world/jars.sha256 | $(TOOLCHAIN)
	$(Q)deploy/world/fetch-jars $@

build/.clients: tests/clients/install tests/clients/dynamics-web-api/package-lock.json \
                tests/clients/odata/requirements.txt | $(TOOLCHAIN)
	$(Q)tests/clients/install $@

# ---- running -----------------------------------------------------------------------------------

up: all build/.jars
	$(Q)deploy/world/up
down:
	$(Q)deploy/world/down
demo: all build/.jars
	$(Q)deploy/world/demo

check: all $(UNITS) $(FUZZERS)
	$(Q)BUILD=$(B) tests/check
clients: all build/.clients
	$(Q)BUILD=$(B) tests/clients/run
test: all $(UNITS) $(FUZZERS) build/.jars build/.clients
	$(Q)BUILD=$(B) tests/run

soak: all build/.jars
	$(Q)tests/soak/run --seconds $(or $(SECONDS),1800)
soak-events: all build/.jars
	$(Q)tests/soak/events --events $(or $(EVENTS),1000000)
soak-file: all build/.jars
	$(Q)tests/soak/file --rows $(or $(ROWS),5000000)
bench: all $(BENCHES) build/.jars
	$(Q)tests/bench/run $(LANES)
fuzz: | $(TOOLCHAIN)
	$(Q)tests/fuzz/run $(SECONDS)
lint: | $(TOOLCHAIN)
	$(Q)tests/lint/run
format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	$(Q)deploy/world/down --quiet
	$(Q)rm -rf build

help:
	@sed -n 's/^#: //p' Makefile
#: make             build everything into build/
#: make demo        set up what is missing, start the local world, run all flows, show what arrived, stop
#: make test        set up what is missing, run every test against the real broker and registry
#: make check       the fast part: unit tests, cases, corpora; no broker, no network
#: make clients     the sandboxes as clients that others wrote see them; no broker
#: make up | down   the local world, left running | stopped
#: make lint        warnings as errors, cppcheck, layer order, format
#: make fuzz        fuzzers of everything that comes from outside, 60 s each (needs clang)
#: make soak        extraction under kills and faults for 30 minutes (SECONDS=1800)
#: make soak-events a million events under kills, each once on the timeline (EVENTS=1000000)
#: make soak-file   one export file of five million rows, in how much memory (ROWS=5000000)
#: make bench       rates, latency and memory beside a bare loop, as a table and build/bench.json
#: make clean       stop the world and delete build/
#: SANITIZE=address,undefined works with check and test; V=1 shows the commands

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

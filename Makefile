# SPDX-License-Identifier: Apache-2.0
#
# The build of Reeve, in one file. `make help` lists what it can do.
#
# Sources are found, not listed: every src/<layer>/*.c becomes part of that layer's archive, and a
# program is a folder with a main.c (daemon/ cli/ bench/ sim/) linked with the archives of all
# layers. What is missing or empty is no error. Four flavours, each in its own folder:
#
#   $(BUILD)/rel   what is shipped           -O2
#   $(BUILD)/pic   the client library        -O2, only the public functions are visible
#   $(BUILD)/san   what the tests run        AddressSanitizer and UBSan
#   $(BUILD)/fuzz  what the fuzzers run      clang, libFuzzer and the sanitizers
#
# BUILD=dir puts all of it elsewhere, V=1 shows the commands, CC=clang takes another compiler.

BUILD   ?= build
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man
DESTDIR ?=
CLANG   ?= clang
WERROR  ?= -Werror
PORT    ?= 2181
DATA    ?= ./data
V       ?= 0
PYTHON  := /usr/bin/python3
OBJCOPY ?= objcopy
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),@:,@printf '  %-5s %s\n' $(1) $(2))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PRECIOUS: $(BUILD)/rel/obj/%.o $(BUILD)/pic/obj/%.o $(BUILD)/san/obj/%.o $(BUILD)/fuzz/obj/%.o
.SUFFIXES:

# ---- what is there ------------------------------------------------------------------------------

# Highest layer first: the linker takes archives in this order.
LAYERS := recipes src/node src/serve src/disk src/zab src/fle src/tree src/client src/os src/wire \
          src/base
# Folders of programs. Their files except main.c are archives too, so that tests can link them.
PROGDIRS := daemon cli bench sim
# What the client library is made of: all of these, and of those only what they use.
LIB_ALL  := recipes src/client
LIB_USED := src/wire src/base
# What the test programs share.
SUPPORT := test/support

prog_daemon := reeved
prog_cli    := reeve
prog_bench  := reeve-bench
prog_sim    := reeve-sim
PROGRAMS := $(foreach d,daemon cli bench sim,$(if $(wildcard $(d)/main.c),$(prog_$(d))))

sources   = $(filter-out %/main.c,$(wildcard $(1)/*.c))
archive   = $(BUILD)/$(1)/lib/$(notdir $(2)).a
archives  = $(foreach d,$(2),$(call archive,$(1),$(d)))
programs  = $(foreach p,$(PROGRAMS),$(BUILD)/$(1)$(p))
test_bins = $(patsubst %.c,$(BUILD)/san/%,$(wildcard test/$(1)/*_test.c))

FUZZ_BINS := $(patsubst fuzz/%.c,$(BUILD)/fuzz/bin/%,$(wildcard fuzz/*.c))
TEST_BINS := $(foreach r,unit golden trace,$(call test_bins,$(r)))
EXAMPLES  := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))

VERSION := $(shell sed -n '/REEVE_VERSION/s/.*"\(.*\)"/\1/p' include/reeve/reeve.h)
SONAME  := libreeve.so.0
LIBS_OF_REEVE := $(BUILD)/libreeve.a $(BUILD)/libreeve.so

# ---- flags --------------------------------------------------------------------------------------

COMMA    := ,
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(WERROR)
CPPFLAGS += -Isrc -Iinclude -I. -MMD -MP
STD      := -std=gnu11 -pthread
LIBS     := -Wl,--as-needed -luv -lcrypto -ldeflate -lz -lsnappy -ledit -ljansson -lpthread
# snappy is C++ and would bring 1.3 MB of its runtime into every process: linked in where the static
# archives are there, a tenth of that.
STDCXX   := $(shell $(CC) -print-file-name=libstdc++.a)
LIBS_rel := $(if $(filter /%,$(STDCXX)),$(subst -lsnappy,-static-libgcc -Wl$(COMMA)-Bstatic \
            -lsnappy -lstdc++ -Wl$(COMMA)-Bdynamic,$(LIBS)),$(LIBS))
LIBS_san := $(LIBS)
LIBS_pic := -Wl,--as-needed -ljansson -lpthread
HARDEN   := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2

CFLAGS_rel   = -O2 -g -fno-omit-frame-pointer $(HARDEN) $(CFLAGS)
LDFLAGS_rel  = -Wl,-z,relro,-z,now $(LDFLAGS)
CFLAGS_pic   = $(CFLAGS_rel) -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
LDFLAGS_pic  = $(LDFLAGS_rel) -Wl,-z,defs
# gcc guesses wrongly about these two once the sanitizers have rewritten the code.
CFLAGS_san   = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
               -fno-sanitize-recover=all -Wno-error=maybe-uninitialized \
               -Wno-error=stringop-overflow $(CFLAGS)
LDFLAGS_san  = -fsanitize=address,undefined $(LDFLAGS)
CFLAGS_fuzz  = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=all $(CFLAGS)
LDFLAGS_fuzz = -fsanitize=fuzzer,address,undefined $(LDFLAGS)

cc_rel  = $(CC)
cc_pic  = $(CC)
cc_san  = $(CC)
cc_fuzz = $(CLANG)

# ---- rules --------------------------------------------------------------------------------------

# $(1): flavour. An object depends on this file, so that new flags build everything again.
define flavour_rules
$(BUILD)/$(1)/obj/%.o: %.c Makefile | $(BUILD)/.deps
	$$(call say,CC,'$$< ($(1))')
	$(Q)mkdir -p $$(@D)
	$(Q)$$(cc_$(1)) $(STD) $(WARN) $$(CPPFLAGS) $$(CFLAGS_$(1)) -c $$< -o $$@
endef
$(foreach f,rel pic san fuzz,$(eval $(call flavour_rules,$(f))))

# $(1): flavour, $(2): folder. The folder itself is a prerequisite: its time changes when a file
# comes or goes, and then the archive is made again. It is written with a dot, because bench and
# sim are targets, too.
define archive_rules
$(call archive,$(1),$(2)): $(patsubst %.c,$(BUILD)/$(1)/obj/%.o,$(call sources,$(2))) \
                           $(wildcard $(2)/.)
	$(Q)mkdir -p $$(@D)
	$(Q)rm -f $$@
	$(Q)$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach f,rel san fuzz,$(foreach d,$(LAYERS) $(PROGDIRS) $(SUPPORT),\
    $(eval $(call archive_rules,$(f),$(d)))))
$(foreach d,$(LIB_ALL) $(LIB_USED),$(eval $(call archive_rules,pic,$(d))))

# $(1): flavour, $(2): folder, $(3): the program's path.
define program_rules
$(3): $(patsubst %.c,$(BUILD)/$(1)/obj/%.o,$(wildcard $(2)/*.c)) $(call archives,$(1),$(LAYERS))
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$$(cc_$(1)) $$(LDFLAGS_$(1)) $$^ $$(LIBS_$(1)) -o $$@
endef
$(foreach d,daemon cli bench sim,$(eval $(call program_rules,rel,$(d),$(BUILD)/$(prog_$(d)))))
$(foreach d,daemon cli bench sim,$(eval $(call program_rules,san,$(d),$(BUILD)/san/$(prog_$(d)))))

# The client library. Both kinds are one object in which only the public functions are left: what a
# program calls its own functions, or which other library it links, does not matter then. What no
# public function needs is left out, and with it every library but libc and jansson (ld leaves the
# names of what it has left out; objcopy fails should one be needed).
LIB_OBJS := $(foreach d,$(LIB_ALL),$(patsubst %.c,$(BUILD)/pic/obj/%.o,$(call sources,$(d))))

$(BUILD)/pic/reeve.o: $(LIB_OBJS) $(call archives,pic,$(LIB_ALL) $(LIB_USED))
	$(Q)$(LD) -r --gc-sections --gc-keep-exported $(LIB_OBJS) $(call archives,pic,$(LIB_USED)) -o $@
	$(Q)$(OBJCOPY) --localize-hidden --wildcard --strip-symbol='libdeflate_*' $@

$(BUILD)/libreeve.a: $(BUILD)/pic/reeve.o
	$(call say,LINK,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $<

$(BUILD)/$(SONAME): $(BUILD)/pic/reeve.o
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) $(LDFLAGS_pic) $< $(LIBS_pic) -o $@

$(BUILD)/libreeve.so: $(BUILD)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# The examples see what a user sees: the public headers and the library.
$(BUILD)/examples/%: examples/%.c $(BUILD)/libreeve.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) -Iinclude -MMD -MP $(CFLAGS_rel) $(LDFLAGS_rel) $< \
	    $(BUILD)/libreeve.a $(LIBS_pic) -o $@

ALL_SAN  := $(call archives,san,$(SUPPORT) $(PROGDIRS) $(LAYERS))
ALL_FUZZ := $(call archives,fuzz,$(SUPPORT) $(PROGDIRS) $(LAYERS))

# Each *_test.c is a program of its own. It runs in the top folder of the tree.
$(BUILD)/san/test/%: $(BUILD)/san/obj/test/%.o $(ALL_SAN)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(cc_san) $(LDFLAGS_san) $< -Wl,--start-group $(ALL_SAN) -Wl,--end-group \
	    $(LIBS) -lcmocka -o $@

$(BUILD)/fuzz/bin/%: $(BUILD)/fuzz/obj/fuzz/%.o $(ALL_FUZZ)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(cc_fuzz) $(LDFLAGS_fuzz) $< -Wl,--start-group $(ALL_FUZZ) -Wl,--end-group $(LIBS) -o $@

# Says what to install instead of failing at the first missing header.
$(BUILD)/.deps: tools/setup.sh
	$(Q)tools/setup.sh --check build
	$(Q)mkdir -p $(@D) && touch $@

-include $(shell find $(BUILD)/rel $(BUILD)/pic $(BUILD)/san $(BUILD)/fuzz $(BUILD)/examples \
                      -name '*.d' 2>/dev/null)

# ---- targets ------------------------------------------------------------------------------------

.PHONY: all lib examples run run-ensemble test gates unit golden trace fuzz-replay sim-seeds \
        e2e bench sim fuzz e2e-long tidy format install uninstall clean help san test-bins \
        fuzz-bins pure-archives

all: $(call programs,) lib ## build everything that is shipped (build/reeved and its company)

lib: $(LIBS_OF_REEVE) ## the client library: build/libreeve.a and build/libreeve.so

examples: $(EXAMPLES) ## the small programs of examples/, in build/examples

run: ## install what is missing, build, and serve on 127.0.0.1:2181 (PORT=, DATA=./data)
	@tools/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@exec $(BUILD)/reeved --client-port $(PORT) --data-dir $(DATA)

run-ensemble: ## the same, but three servers that are one service (PORT= of the first, DATA=./data)
	@tools/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@exec $(PYTHON) tools/ensemble --reeved $(BUILD)/reeved --port $(PORT) --data $(DATA)/ensemble

san: $(call programs,san/) ## the programs with AddressSanitizer and UBSan, in build/san
test-bins: $(TEST_BINS)
fuzz-bins: $(FUZZ_BINS)
pure-archives: $(call archives,rel,$(filter-out src/os,$(LAYERS)))

# tools/test.py builds and runs the rings and counts; ONLY=word picks tests by name.
RINGS = $(PYTHON) tools/test.py --build $(BUILD) --cc '$(CC)' --clang '$(CLANG)' \
        $(if $(ONLY),--only '$(ONLY)') $(if $(TIME),--time $(TIME)) $(if $(SEEDS),--seeds $(SEEDS))
SETUP_TEST = tools/setup.sh test || { echo '0 passed, 1 failed'; exit 1; }

test: ## install what the tests need and run every ring of them
	@$(SETUP_TEST)
	@$(RINGS) all

gates: ## only the tidy and purity gates, as `make test` runs them
	@$(RINGS) gates
unit: ## only the unit tests (ONLY=word picks some)
	@$(SETUP_TEST)
	@$(RINGS) unit
golden: ## only the golden tests
	@$(SETUP_TEST)
	@$(RINGS) golden
trace: ## only the trace tests
	@$(SETUP_TEST)
	@$(RINGS) trace
fuzz-replay: ## only the corpora of the fuzzers, and a few seconds more
	@$(SETUP_TEST)
	@$(RINGS) fuzz
sim-seeds: ## only the simulator with the seeds of test/seeds.txt
	@$(RINGS) sim
e2e: ## only the end-to-end tests with real clients and servers (ONLY=word picks some)
	@$(SETUP_TEST)
	@$(RINGS) e2e
e2e-long: all ## storms of TIME=60 seconds on real ensembles; ONLY=word: other tests, the long way
	@$(SETUP_TEST)
	@REEVE_E2E_LONG=$(or $(TIME),60) REEVE_BIN=$(abspath $(BUILD))/reeved PYTHONDONTWRITEBYTECODE=1 \
	    REEVE_CACHE=$(abspath $(BUILD))/cache $(PYTHON) -m pytest -q -s -p no:cacheprovider \
	    $(if $(ONLY),-k '$(ONLY)' test/e2e,test/e2e/test_linear.py)

fuzz: ## run every fuzzer for TIME=60 seconds each (ONLY=word picks some)
	@$(SETUP_TEST)
	@$(RINGS) fuzz-long
sim: ## run the simulator on SEEDS=100 new seeds, or as many as fit into TIME= seconds
	@$(RINGS) sim-long
bench: all ## measure Reeve beside Apache's server and a bare one; see bench/
	@tools/setup.sh test
	@if [ -x bench/run ]; then exec bench/run --build $(BUILD) $(ARGS); \
	 else exec $(BUILD)/reeve-bench $(ARGS); fi

tidy: pure-archives ## the gates: layers, sizes, layout, banned functions, purity of the cores
	@tools/tidy
	@tools/purity $(BUILD)/rel/lib

format: ## lay out all C files with clang-format
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

install: all ## install into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/reeve
	for p in $(filter-out reeve-sim,$(PROGRAMS)); do \
	    install -m 755 $(BUILD)/$$p $(DESTDIR)$(PREFIX)/bin/; done
	for f in LICENSE NOTICE README.md; do \
	    [ ! -f $$f ] || install -m 644 $$f $(DESTDIR)$(PREFIX)/share/doc/reeve/; done
	install -d $(DESTDIR)$(PREFIX)/include/reeve $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 include/reeve/*.h $(DESTDIR)$(PREFIX)/include/reeve/
	install -m 644 $(BUILD)/libreeve.a $(DESTDIR)$(LIBDIR)/
	install -m 755 $(BUILD)/$(SONAME) $(DESTDIR)$(LIBDIR)/
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libreeve.so
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' \
	    'Name: reeve' 'Description: client of Reeve and Apache ZooKeeper, and recipes' \
	    'Version: $(VERSION)' 'Libs: -L$${libdir} -lreeve' 'Libs.private: -ljansson -lpthread' \
	    'Cflags: -I$${includedir}' >$(DESTDIR)$(LIBDIR)/pkgconfig/reeve.pc
	if [ -x tools/manpages ]; then rm -rf $(BUILD)/man && tools/manpages $(BUILD)/man && \
	    (cd $(BUILD)/man && find . -type f) >$(BUILD)/man.list && while read -r f; do \
	    install -D -m 644 $(BUILD)/man/$$f $(DESTDIR)$(MANDIR)/$$f || exit 1; \
	    done <$(BUILD)/man.list; fi
	install -d $(DESTDIR)$(MANDIR)/man1
	$(BUILD)/reeve --manual >$(DESTDIR)$(MANDIR)/man1/reeve.1

uninstall: ## take away what install put there
	for p in $(PROGRAMS); do rm -f $(DESTDIR)$(PREFIX)/bin/$$p; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/reeve $(DESTDIR)$(PREFIX)/include/reeve
	rm -f $(DESTDIR)$(MANDIR)/man1/reeve.1
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libreeve.a libreeve.so $(SONAME) pkgconfig/reeve.pc)
	if [ -x tools/manpages ]; then rm -rf $(BUILD)/man && tools/manpages $(BUILD)/man && \
	    (cd $(BUILD)/man && find . -type f) | while read -r f; do \
	    rm -f $(DESTDIR)$(MANDIR)/$$f; done; fi

clean: ## remove what was built
	$(if $(filter / . .. ./ ../,$(BUILD)),$(error BUILD=$(BUILD) is no build folder))
	rm -rf $(BUILD)

help: ## this list
	@echo 'make [target] [BUILD=dir] [V=1]'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
	    while IFS='|' read -r t h; do printf '  %-12s %s\n' $$t "$$h"; done

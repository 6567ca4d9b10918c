# netdeadline: GNU make, gcc or clang. Objects go to $(BUILD); nothing else is written outside it but by install.
#   make            the library and the command           make unit         the unit tests' programs
#   make install    to DESTDIR and PREFIX                  make tests        the integration tests' programs
#   make check      what can be tested here (T=NAME: that) make lint         cppcheck, clang-tidy, clang-format
#   make release    the files for all hosts, in build/release      make deb, make rpm   packages of them
#   make bench      with and without the library           SANITIZE=thread BUILD=build/tsan   a checked build
#   make uninstall  removes what install installed         make compile_commands.json         in $(BUILD), for clangd
# CARES=shared and the directory variables are explained in INSTALL.md.

VERSION := 0.1.0
BUILD ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
OBJCOPY ?= objcopy
INSTALL ?= install
INSTALL_PROGRAM ?= $(INSTALL) -m 755
INSTALL_DATA ?= $(INSTALL) -m 644

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

# The directory variables of GNU. PREFIX and LIBDIR are other names of prefix and libdir. The default of libdir is $LIB of
# the dynamic loader: lib/x86_64-linux-gnu on Debian, lib64 elsewhere. sysconfdir is not below prefix: the library reads
# /etc/netdeadline.conf wherever it is installed.
prefix ?= $(or $(PREFIX),/usr/local)
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
libdir ?= $(or $(LIBDIR),$(exec_prefix)/$(if $(MULTIARCH),lib/$(MULTIARCH),lib$(shell getconf LONG_BIT | sed 's/32//')))
datarootdir ?= $(prefix)/share
datadir ?= $(datarootdir)
mandir ?= $(datarootdir)/man
sysconfdir ?= /etc
unitdir ?= $(prefix)/lib/systemd/system

# Debian has a pkg-config for each architecture that it compiles for.
PKG_CONFIG ?= $(firstword $(wildcard /usr/bin/$(MULTIARCH)-pkg-config) pkg-config)
pkg_config = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)

# static: a copy of c-ares in the library, from CARES_A; shared: the host's libcares.so. A build directory keeps its
# choice, so that `make install` need not repeat it.
CARES ?= $(or $(shell cat $(BUILD)/cares 2>/dev/null),static)
CARES := $(CARES)
ifeq ($(CARES),shared)
CARES_CFLAGS ?= $(call pkg_config,--cflags libcares)
CARES_LIBS ?= $(or $(call pkg_config,--libs libcares),-lcares)
CARES_LINKED := $(strip $(CARES_LIBS))
else ifeq ($(CARES),static)
ifeq ($(origin CARES_A),undefined)
CARES_CFLAGS ?= $(call pkg_config,--cflags libcares)
# What pkg-config says of another architecture than that of gcc -m32 is not taken.
CARES_DIR := $(call pkg_config,--variable=libdir libcares)
CARES_DIR := $(filter /usr/lib/$(MULTIARCH),$(CARES_DIR)) $(filter-out /usr/lib/%-linux-gnu,$(CARES_DIR))
CARES_A := $(firstword $(wildcard $(addsuffix /libcares.a,$(CARES_DIR) /usr/lib/$(MULTIARCH) /usr/lib64 /usr/lib)))
endif
RENAMED_CARES := $(BUILD)/renamed/libcares.a
CARES_LINKED := $(CARES_A)
else
$(error CARES is $(CARES): it can be static or shared)
endif
CARES_CFLAGS := $(CARES_CFLAGS)

# A position independent libunwind.a to link in; without one the host's libunwind is loaded where BACKTRACE=1 asks for it.
UNWIND_A ?=
UNWIND_CFLAGS ?= $(if $(UNWIND_A),,$(call pkg_config,--cflags libunwind))
UNWIND_CFLAGS := $(UNWIND_CFLAGS)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=implicit
CFLAGS ?= -O2 -g
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
ALL_CPPFLAGS := -I. -D_GNU_SOURCE -DND_VERSION='"$(VERSION)"' $(if $(UNWIND_A),-DND_STATIC_UNWIND) $(CPPFLAGS) \
    $(CARES_CFLAGS) $(UNWIND_CFLAGS)
# -fexceptions: a cancelled thread unwinds through the hooks and must run their cleanups on every architecture.
ALL_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden -fexceptions -fno-plt $(WARNINGS) $(CFLAGS) $(SANITIZERS)
# Thread-local storage of a preloaded library must fit into what old loaders keep free.
ALL_CFLAGS += -ftls-model=initial-exec

# `ls shim/hook` is the list of what is interposed. The rest of shim/ is plain code that unit tests and the command can link,
# but for what makes a library of it: the constructor, what binds its calls, and the stand-ins for libgcc's functions.
sources = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
HOOK_OBJS := $(call sources,shim/hook/*.c shim/start.c shim/own_calls.c shim/later_calls.c shim/cleanup.c)
PLAIN_OBJS := $(filter-out $(HOOK_OBJS),$(call sources,shim/*.c shim/*/*.c)) $(call sources,base/*.c)
# What every process runs at its start, linked first and in front of the cold code of all files: it stands on few pages, next to
# the tables that the loader has read, so that the kernel maps it with them.
FIRST_OBJS := $(patsubst %,$(BUILD)/shim/%.o,start own_calls later_calls symbols real next raw call/direct_send tls/loaded_file \
    $(addprefix settings/,settings setting_value duration environment rules_file rules_line rules_header rules_match live warnings program) \
    socket/profile socket/discover socket/record report/report report/origin)
RESOLVER_OBJS := $(call sources,resolver/*.c)
OTHER_OBJS := $(filter-out $(FIRST_OBJS),$(HOOK_OBJS) $(PLAIN_OBJS))
CLI_OBJS := $(call sources,cli/*.c cli/process/*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))
# module.c is a shared object, which its test builds.
TEST_PROGRAMS := $(patsubst tests/integration/%.c,$(BUILD)/tests/%,$(filter-out %/module.c,$(wildcard tests/integration/*.c)))
# Some are built for musl, too, where its compiler is; no sanitizer works with it.
MUSL_CC ?= $(shell command -v musl-gcc)
MUSL_PROGRAMS := $(if $(SANITIZE),,$(if $(MUSL_CC),$(addprefix $(BUILD)/tests/musl/,\
    bynumber call cancel cancels leave libcs masks nulls process random refused same)))

all: $(BUILD)/libnetdeadline.so $(BUILD)/netdeadline

# What the build is made with, told when it starts and again when that has changed.
$(BUILD)/found: FORCE
	@mkdir -p $(@D)
	@CC='$(CC)' CARES='$(CARES)' CARES_LINKED='$(CARES_LINKED)' UNWIND_A='$(UNWIND_A)' \
	    scripts/build-summary $(ALL_CPPFLAGS) >$@.new || { cat $@.new; rm -f $@.new; exit 1; }
	@cmp -s $@.new $@ || { cat $@.new; cp $@.new $@; }; rm -f $@.new

# Files that hold a choice, and change only with it: what depends on them is then made anew.
remember = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@
$(BUILD)/cares: FORCE
	$(call remember,$(CARES))
$(BUILD)/libdir: FORCE
	$(call remember,$(libdir))
$(RESOLVER_OBJS): $(BUILD)/cares
$(BUILD)/cli/library.o: $(BUILD)/libdir
$(BUILD)/cli/library.o: ALL_CPPFLAGS += -DND_LIBDIR='"$(libdir)"'

# Distributions build with _FORTIFY_SOURCE, by which libc's headers redefine the very functions that are hooked, and the library
# would need functions that musl lacks.
$(FIRST_OBJS) $(OTHER_OBJS) $(RESOLVER_OBJS): ALL_CFLAGS += -U_FORTIFY_SOURCE -Wp,-U_FORTIFY_SOURCE
# What runs in the program's threads, whose stacks may be of 64 KB and less; checked code has larger frames.
$(FIRST_OBJS) $(OTHER_OBJS) $(RESOLVER_OBJS): ALL_CFLAGS += $(if $(SANITIZE),,-Wframe-larger-than=8400)

$(BUILD)/%.o: %.c Makefile | $(BUILD)/found
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What is made from the table of hooks: the names, the export list, and the renaming of linked libraries' calls.
$(BUILD)/hooks.names: shim/hooks.def Makefile
	@mkdir -p $(@D)
	printf '%s\n' '#define ND_HOOK(name, ...) name libc' '#define ND_ALIAS(name, of) name libc' \
	    '#define ND_TLS(name, ...) name tls' '#include "shim/hooks.def"' | $(CC) -I. -E -P -x c - | grep . > $@

$(BUILD)/exports.map: $(BUILD)/hooks.names
	{ echo '{ global:'; awk '{ print "  " $$1 ";" }' $<; echo '  netdeadline_state; local: *; };'; } > $@

$(BUILD)/renames: $(BUILD)/hooks.names
	awk '$$2 == "libc" { print $$1, "nd_real_" $$1 }' $< > $@

# The functions of libc that are found at their first call (shim/later_calls.c), as options of the linker.
$(BUILD)/later_calls.options: shim/later_calls.def Makefile
	@mkdir -p $(@D)
	printf '%s\n' '#define ND_LATER(name, ...) name' '#define ND_LATER_OWN(name) name' '#include "shim/later_calls.def"' | \
	    $(CC) -I. -E -P -x c - | awk 'NF { print "--wrap=" $$1 }' > $@

# c-ares and the resolver call by name; in the library those calls go to the real functions, never through our hooks. A
# shared c-ares cannot be renamed; it leaves every call on a socket to the resolver (resolver/dns_attempt.c).
$(BUILD)/renamed/resolver.o: $(RESOLVER_OBJS) $(BUILD)/renames
	@mkdir -p $(@D)
	$(LD) -r -o $@.tmp $(RESOLVER_OBJS)
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames $@.tmp $@ && rm $@.tmp

$(BUILD)/renamed/first.o: $(FIRST_OBJS)
	@mkdir -p $(@D)
	$(LD) -r -o $@.tmp $^
	$(OBJCOPY) --rename-section .text=.text.unlikely --rename-section .text.startup=.text.unlikely.start $@.tmp $@ && rm $@.tmp

# What they refer to and musl lacks is referred to weakly (base/libc.h): of c-ares what Debian's build checks by.
$(BUILD)/renamed/libcares.a: $(CARES_A) $(BUILD)/renames $(BUILD)/cares
	@mkdir -p $(@D)
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames --wildcard --weaken-symbol='__*_chk' --weaken-symbol=__stack_chk_guard $(CARES_A) $@

RENAMED_UNWIND_A := $(if $(UNWIND_A),$(BUILD)/renamed/libunwind.a)
$(BUILD)/renamed/libunwind.a: $(UNWIND_A) $(BUILD)/renames
	@mkdir -p $(@D)
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames --weaken-symbol=getcontext --weaken-symbol=setcontext --weaken-symbol=__stack_chk_guard $(UNWIND_A) $@

# Every program that is started maps the library, and pays for each mapping and each page that is written or read: therefore
# one mapping for what is read and what is executed, and none of the start files of the compiler, which do nothing here but
# write to a page when a program ends.
RENAMED := $(BUILD)/renamed/resolver.o $(RENAMED_CARES) $(RENAMED_UNWIND_A)
$(BUILD)/libnetdeadline.so: $(BUILD)/renamed/first.o $(OTHER_OBJS) $(RENAMED) $(BUILD)/exports.map $(BUILD)/later_calls.options $(BUILD)/cares
	$(CC) $(ALL_CFLAGS) -shared -nostartfiles -Wl,-soname,libnetdeadline.so -Wl,--version-script=$(BUILD)/exports.map \
	    $(if $(SANITIZE),,-Wl,-z,defs -Wl,@$(BUILD)/later_calls.options) -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,-z,noseparate-code \
	    -Wl,--exclude-libs,ALL -Wl,-Bsymbolic-functions -Wl,--hash-style=both $(LDFLAGS) -o $@ $(BUILD)/renamed/first.o $(OTHER_OBJS) $(RENAMED) $(CARES_LIBS) $(LDLIBS) -ldl

# The command and the unit tests take what they need from archives; a test can stand in for the clock or the kernel.
$(BUILD)/libplain.a: $(PLAIN_OBJS) $(RESOLVER_OBJS)
	@mkdir -p $(@D)
	rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/libcli.a: $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJS))
	rm -f $@ && $(AR) qcs $@ $^

# One main function for all; it chooses tests by name where each adds its own (tests/unit/main.c).
$(BUILD)/unit/%_test: tests/unit/%_test.c $(BUILD)/tests/unit/main.o $(BUILD)/libcli.a $(BUILD)/libplain.a Makefile
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/tests/unit/main.o $(BUILD)/libcli.a $(BUILD)/libplain.a $(LDFLAGS) \
	    -Wl,--wrap=_tcase_add_test $(CARES_LINKED) $(UNWIND_A) $(shell $(PKG_CONFIG) --libs check) -ldl

$(BUILD)/tests/%: tests/integration/%.c Makefile
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g $(SANITIZERS) -MMD -MP -MF $@.d -o $@ $< -pthread -ldl $(TEST_LIBS)
# musl's headers come first; those of the kernel are the host's.
$(BUILD)/tests/musl/%: tests/integration/%.c tests/integration/musl.h Makefile
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(MUSL_CC) -std=gnu11 -D_GNU_SOURCE -D_LARGEFILE64_SOURCE -Wall -Wextra -O1 -g -include tests/integration/musl.h \
	    $(addprefix -idirafter ,$(wildcard /usr/include/$(MULTIARCH)) /usr/include) -MMD -MP -MF $@.d -o $@ $< -pthread \
	    -Wl,--eh-frame-hdr
$(addprefix $(BUILD)/tests/,hidden tls13 tlsloop): TEST_LIBS := -lssl -lcrypto
$(BUILD)/tests/liburing: TEST_LIBS := -luring
$(BUILD)/tests/tls: TEST_LIBS := -lssl -lcrypto -lgnutls
# It includes the headers of the state block, and exports one.
$(BUILD)/tests/forged: TEST_LIBS := -I. -rdynamic -DND_VERSION='"$(VERSION)"'
# It defines getenv for the library, too.
$(BUILD)/tests/resstate: TEST_LIBS := -lresolv -rdynamic

# guard's state block is found by its name (cli/guard_state.c). What judges a wait can report it, too, with a backtrace.
$(BUILD)/netdeadline: $(CLI_OBJS) $(BUILD)/libplain.a cli/exports.list
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--dynamic-list=cli/exports.list -o $@ -Wl,--start-group $(filter-out %.list,$^) $(UNWIND_A) $(LDLIBS) -ldl \
	    -Wl,--end-group

# The command for hosts without glibc: the same one, which brings the C library along. What it says of that is known: names are
# looked up by files and DNS alone, and there is no libunwind to load.
$(BUILD)/netdeadline-static: $(CLI_OBJS) $(BUILD)/libplain.a cli/exports.list
	$(CC) $(ALL_CFLAGS) $(STATIC_LDFLAGS) -static-pie -Wl,--no-warnings -Wl,--dynamic-list=cli/exports.list -o $@ -Wl,--start-group \
	    $(filter-out %.list,$^) $(UNWIND_A) -ldl -Wl,--end-group

unit: $(UNIT_TESTS)
tests: $(TEST_PROGRAMS) $(MUSL_PROGRAMS)

check:
	+@BUILD=$(BUILD) scripts/check $(T)
check-unit: unit
	@for t in $(UNIT_TESTS); do $$t || exit 1; done
bench: all
	scripts/bench
lint: all
	scripts/lint
release:
	scripts/release
deb rpm: release
	scripts/packages $@

# Where all that is installed goes.
MAN_PAGES := $(wildcard docs/*.[157])
INSTALLED := $(libdir)/libnetdeadline.so $(bindir)/netdeadline \
    $(foreach page,$(notdir $(MAN_PAGES)),$(mandir)/man$(subst .,,$(suffix $(page)))/$(page)) \
    $(datadir)/bash-completion/completions/netdeadline $(datadir)/zsh/site-functions/_netdeadline \
    $(datadir)/netdeadline/grafana-dashboard.json $(datadir)/netdeadline/prometheus-alerts.yml $(unitdir)/netdeadline-exporter.service
PRELOAD_LIST := /etc/ld.so.preload
DROP_INS := /etc/systemd/system/*.service.d/netdeadline.conf
CONFIGURATION := $(DESTDIR)$(sysconfdir)/netdeadline.conf

# A configuration that is there is the administrator's.
install: all
	$(INSTALL) -d $(addprefix $(DESTDIR),$(sort $(dir $(INSTALLED))) $(sysconfdir))
	$(INSTALL_DATA) $(BUILD)/libnetdeadline.so $(DESTDIR)$(libdir)/
	$(INSTALL_PROGRAM) $(BUILD)/netdeadline $(DESTDIR)$(bindir)/
	@set -e; for page in $(MAN_PAGES); do $(INSTALL_DATA) $$page $(DESTDIR)$(mandir)/man$${page##*.}/; done
	$(INSTALL_DATA) docs/completion/netdeadline.bash $(DESTDIR)$(datadir)/bash-completion/completions/netdeadline
	$(INSTALL_DATA) docs/completion/_netdeadline $(DESTDIR)$(datadir)/zsh/site-functions/
	$(INSTALL_DATA) packaging/grafana-dashboard.json packaging/prometheus-alerts.yml $(DESTDIR)$(datadir)/netdeadline/
	sed 's,@bindir@,$(bindir),' packaging/netdeadline-exporter.service >$(BUILD)/netdeadline-exporter.service
	$(INSTALL_DATA) $(BUILD)/netdeadline-exporter.service $(DESTDIR)$(unitdir)/
	@test -e $(CONFIGURATION) || $(INSTALL_DATA) packaging/netdeadline.conf $(CONFIGURATION)

# A library that is still preloaded stays: every program would complain of its absence.
NAMES_LIBRARY := $(prefix)/([^[:space:]:]*/)?libnetdeadline\.so
uninstall:
	@if [ -z '$(DESTDIR)' ] && grep -qsE '(^|[[:space:]:])$(NAMES_LIBRARY)' $(PRELOAD_LIST); then \
	    echo 'uninstall: first: netdeadline disable --system' >&2; exit 1; fi
	@for unit in $$([ -n '$(DESTDIR)' ] || grep -lsE '^Environment=.*LD_PRELOAD=([^[:space:]]*:)?$(NAMES_LIBRARY)' $(DROP_INS)); do \
	    unit=$${unit%.d/*}; echo "uninstall: first: netdeadline disable $${unit##*/}" >&2; failed=1; done; [ -z "$$failed" ]
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	@! cmp -s packaging/netdeadline.conf $(CONFIGURATION) || rm -f $(CONFIGURATION)

# From the commands that make would run for everything.
compile_commands.json: $(BUILD)/compile_commands.json
$(BUILD)/compile_commands.json: Makefile FORCE
	@mkdir -p $(@D)
	@$(MAKE) -nB --no-print-directory all unit tests | scripts/compile-commands '$(CURDIR)' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@; rm -f $@.new

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) \( -path $(BUILD)/release -o -path $(BUILD)/musl-programs \) -prune -o -name '*.d' -type f -print 2>/dev/null)
.PHONY: all unit tests check check-unit bench lint release deb rpm install uninstall compile_commands.json clean FORCE
.DELETE_ON_ERROR:

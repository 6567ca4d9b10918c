# netdeadline: GNU make, gcc or clang. Objects go to $(BUILD); nothing else is written outside it but by install.
#   make            the library and the command           make unit         the unit tests' programs
#   make install    to DESTDIR and PREFIX                  make tests        the integration tests' programs
#   make check      what can be tested here (T=NAME: that) make lint         cppcheck, clang-tidy, clang-format
#   make release    the files for all hosts, in build/release      make deb, make rpm   packages of them
#   make bench      with and without the library           SANITIZE=thread BUILD=build/tsan   a checked build

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
OBJCOPY ?= objcopy

# $LIB of the dynamic loader: lib/x86_64-linux-gnu on Debian, lib64 elsewhere.
MULTIARCH := $(shell $(CC) -print-multiarch)
LIBDIR ?= $(PREFIX)/$(if $(MULTIARCH),lib/$(MULTIARCH),lib$(shell getconf LONG_BIT | sed 's/32//'))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=implicit
CFLAGS ?= -O2 -g
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
ALL_CPPFLAGS := -I. -D_GNU_SOURCE -DND_VERSION='"$(VERSION)"' -DND_LIBDIR='"$(LIBDIR)"' $(if $(UNWIND_A),-DND_STATIC_UNWIND) $(CPPFLAGS)
# -fexceptions: a cancelled thread unwinds through the hooks and must run their cleanups on every architecture.
ALL_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden -fexceptions -fno-plt $(WARNINGS) $(CFLAGS) $(SANITIZERS)
# Thread-local storage of a preloaded library must fit into what old loaders keep free.
ALL_CFLAGS += -ftls-model=initial-exec

CARES_A ?= $(firstword $(wildcard /usr/lib/$(MULTIARCH)/libcares.a /usr/lib64/libcares.a /usr/lib/libcares.a))
# A position independent libunwind.a to link in; without one the host's libunwind is loaded where BACKTRACE=1 asks for it.
UNWIND_A ?=

# `ls shim/hook` is the list of what is interposed. The rest of shim/ is plain code that unit tests and the command can link,
# but for what makes a library of it: the constructor, and the stand-ins for libgcc's functions.
sources = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
HOOK_OBJS := $(call sources,shim/hook/*.c shim/start.c shim/cleanup.c)
PLAIN_OBJS := $(filter-out $(HOOK_OBJS),$(call sources,shim/*.c shim/*/*.c)) $(call sources,base/*.c)
RESOLVER_OBJS := $(call sources,resolver/*.c)
SHIM_OBJS := $(HOOK_OBJS) $(PLAIN_OBJS)
CLI_OBJS := $(call sources,cli/*.c cli/process/*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))
TEST_PROGRAMS := $(patsubst tests/integration/%.c,$(BUILD)/tests/%,$(wildcard tests/integration/*.c))

all: $(BUILD)/libnetdeadline.so $(BUILD)/netdeadline

$(BUILD)/%.o: %.c Makefile
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

# c-ares and the resolver call by name; in the library those calls go to the real functions, never through our hooks.
$(BUILD)/renamed/resolver.o: $(RESOLVER_OBJS) $(BUILD)/renames
	@mkdir -p $(@D)
	$(LD) -r -o $@.tmp $(RESOLVER_OBJS)
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames $@.tmp $@ && rm $@.tmp

# What they refer to and musl lacks is referred to weakly (shim/start.c): of c-ares what Debian's build checks by.
$(BUILD)/renamed/libcares.a: $(CARES_A) $(BUILD)/renames
	@mkdir -p $(@D)
	@test -n "$(CARES_A)" || { echo "libcares.a is missing: run scripts/setup" >&2; false; }
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames --wildcard --weaken-symbol='__*_chk' $(CARES_A) $@

RENAMED_UNWIND_A := $(if $(UNWIND_A),$(BUILD)/renamed/libunwind.a)
$(BUILD)/renamed/libunwind.a: $(UNWIND_A) $(BUILD)/renames
	@mkdir -p $(@D)
	$(OBJCOPY) --redefine-syms=$(BUILD)/renames --weaken-symbol=getcontext --weaken-symbol=setcontext $(UNWIND_A) $@

$(BUILD)/libnetdeadline.so: $(SHIM_OBJS) $(BUILD)/renamed/resolver.o $(BUILD)/renamed/libcares.a $(RENAMED_UNWIND_A) $(BUILD)/exports.map
	$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libnetdeadline.so -Wl,--version-script=$(BUILD)/exports.map \
	    $(if $(SANITIZE),,-Wl,-z,defs) -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -Wl,--hash-style=both \
	    $(LDFLAGS) -o $@ $(SHIM_OBJS) $(BUILD)/renamed/resolver.o $(BUILD)/renamed/libcares.a $(RENAMED_UNWIND_A) $(LDLIBS)

# The command and the unit tests take what they need from an archive; a test can stand in for the clock or the kernel.
$(BUILD)/libplain.a: $(PLAIN_OBJS) $(RESOLVER_OBJS)
	@mkdir -p $(@D)
	rm -f $@ && $(AR) qcs $@ $^

# One main function for all; it chooses tests by name where each adds its own (tests/unit/main.c).
$(BUILD)/unit/%_test: tests/unit/%_test.c $(BUILD)/tests/unit/main.o $(BUILD)/libplain.a Makefile
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/tests/unit/main.o $(BUILD)/libplain.a $(LDFLAGS) \
	    -Wl,--wrap=_tcase_add_test $(CARES_A) $(UNWIND_A) $(shell pkg-config --libs check) -ldl

$(BUILD)/tests/%: tests/integration/%.c Makefile
	@mkdir -p $(@D)
	@echo '  CC $@'
	@$(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g $(SANITIZERS) -MMD -MP -MF $@.d -o $@ $< -pthread -ldl $(TEST_LIBS)
$(addprefix $(BUILD)/tests/,hidden tls13 tlsloop): TEST_LIBS := -lssl -lcrypto
$(BUILD)/tests/tls: TEST_LIBS := -lssl -lcrypto -lgnutls
# It includes the headers of the state block, and exports one.
$(BUILD)/tests/forged: TEST_LIBS := -I. -rdynamic

$(BUILD)/netdeadline: $(CLI_OBJS) $(BUILD)/libplain.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ -Wl,--start-group $^ $(LDLIBS) -ldl -Wl,--end-group

unit: $(UNIT_TESTS)
tests: $(TEST_PROGRAMS)

check:
	+@BUILD=$(BUILD) scripts/check $(T)
check-unit: unit
	@for t in $(UNIT_TESTS); do $$t || exit 1; done
bench: all
	scripts/bench
lint:
	scripts/lint
release:
	scripts/release
deb rpm: release
	scripts/packages $@

install: all
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(PREFIX)/bin $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 5 7)
	install -m 644 $(BUILD)/libnetdeadline.so $(DESTDIR)$(LIBDIR)/libnetdeadline.so
	install -m 755 $(BUILD)/netdeadline $(DESTDIR)$(PREFIX)/bin/netdeadline
	install -m 644 docs/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 docs/*.7 $(DESTDIR)$(PREFIX)/share/man/man7/
	install -D -m 644 docs/completion/netdeadline.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/netdeadline
	install -D -m 644 docs/completion/_netdeadline $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_netdeadline

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -path $(BUILD)/release -prune -o -name '*.d' -type f -print 2>/dev/null)
.PHONY: all unit tests check check-unit bench lint release deb rpm install clean
.DELETE_ON_ERROR:

# The verbs people type; Meson does the work. `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

all: build/build.ninja ## build build/pail
	@ninja -C build --quiet

build/build.ninja:
	@mkdir -p build
	@command -v meson >/dev/null || { echo "meson is missing; tools/setup build installs what building needs"; exit 1; }
	@meson setup build >build/setup.log 2>&1 || { cat build/setup.log; exit 1; }

demo: ## install what building needs and is missing, build, run the whole server on loopback
	@tools/setup build
	@$(MAKE) --no-print-directory all
	@exec build/pail demo $(ARGS)

check: ## lint, unit, dialog and story tests, plain and with ASan/UBSan, and each fuzz harness for some seconds
	@tools/setup check || { echo "0 passed, 1 failed"; exit 1; }
	@FUZZ_SECONDS=5 FUZZ_SEED=1 tools/check

asan: ## the tests with ASan and UBSan only
	@tools/setup check
	@tools/check asan

fuzz: ## every fuzz harness for FUZZ_SECONDS (60)
	@tools/setup check
	@tools/check fuzz

lint: ## format, forbidden functions, include order, length of files and functions
	@tools/setup check
	@tools/lint

bench: ## measure, with peers from Debian beside
	@tools/setup check
	@$(MAKE) --no-print-directory all
	@bench/run build $(ARGS)

soak: ## the long stories
	@tools/setup soak
	@$(MAKE) --no-print-directory all
	@tests/soak/run build $(ARGS)

build/pail.1: all
	@build/pail manual >$@

install: all build/pail.1 ## the binary and its manual page, to PREFIX (/usr/local) under DESTDIR
	install -D build/pail $(DESTDIR)$(PREFIX)/bin/pail
	install -D -m 644 build/pail.1 $(DESTDIR)$(PREFIX)/share/man/man1/pail.1

uninstall: ## take them away again
	rm -f $(DESTDIR)$(PREFIX)/bin/pail $(DESTDIR)$(PREFIX)/share/man/man1/pail.1

clean: ## remove everything that was built
	rm -rf build build-asan build-fuzz

help:
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | expand -t 12

.PHONY: all demo check asan fuzz lint bench soak install uninstall clean help

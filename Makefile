# The verbs people type; Meson does the work. `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
SENDMAIL ?=
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

all: $(BUILD)/build.ninja ## build build/pail
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@mkdir -p $(BUILD)
	@command -v meson >/dev/null || { echo "meson is missing; tools/setup build installs what building needs"; exit 1; }
	@meson setup $(BUILD) >$(BUILD)/setup.log 2>&1 || { cat $(BUILD)/setup.log; exit 1; }

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

$(BUILD)/pail.1: all
	@$(BUILD)/pail manual >$@

# What programs look for: links to pail, made only with SENDMAIL=yes, and in nobody's place.
SENDMAIL_LINKS = sbin/sendmail=../bin/pail lib/sendmail=../sbin/sendmail bin/mailq=pail bin/newaliases=pail

install: all $(BUILD)/pail.1 ## the binary and its manual page, to PREFIX (/usr/local) under DESTDIR; SENDMAIL=yes: also as sendmail
	install -D $(BUILD)/pail $(DESTDIR)$(PREFIX)/bin/pail
	install -D -m 644 $(BUILD)/pail.1 $(DESTDIR)$(PREFIX)/share/man/man1/pail.1
	@[ "$(SENDMAIL)" = yes ] || exit 0; cd $(DESTDIR)$(PREFIX) && mkdir -p sbin lib && for l in $(SENDMAIL_LINKS); do \
	  [ "$$(readlink $${l%=*})" = $${l#*=} ] || ln -sv $${l#*=} $${l%=*} || exit 1; done

uninstall: ## take them away again
	@cd $(DESTDIR)$(PREFIX) 2>/dev/null || exit 0; for l in $(SENDMAIL_LINKS); do \
	  [ "$$(readlink $${l%=*})" != $${l#*=} ] || rm -v $${l%=*}; done
	rm -f $(DESTDIR)$(PREFIX)/bin/pail $(DESTDIR)$(PREFIX)/share/man/man1/pail.1

clean: ## remove everything that was built
	rm -rf build build-asan build-fuzz

help:
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | expand -t 12

.PHONY: all demo check asan fuzz lint bench soak install uninstall clean help

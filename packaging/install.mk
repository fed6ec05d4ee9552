# make install [PREFIX=/usr/local] [DESTDIR=dir] [LIBDIR=lib] | make uninstall | make deb
# Everything is put together below $(BUILD)/stage first; install copies it and keeps a list of what it made, which
# uninstall takes back.  PREFIX and DESTDIR also count in the environment, as usual.
PREFIX  ?= /usr/local
DESTDIR ?=
# Where libraries lie below PREFIX.
LIBDIR  ?= lib
STRIP   ?= strip
MULTIARCH = $(shell dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null)
# Before 1.0 any version may change a struct or a function, so that each is a library of its own.
SONAME  := liblead.so.$(VERSION)
RECORD   = $(PREFIX)/share/lead/installed.txt

$(BUILD)/$(SONAME): $(OBJ)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $(OBJ) $(LDLIBS)

$(BUILD)/pages: $(BUILD)/packaging/pages.o $(filter-out $(BUILD)/src/cli/main.o,$(CLI:%.c=$(BUILD)/%.o)) $(BUILD)/liblead.a
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
-include $(BUILD)/packaging/pages.d

STAGE = BUILD='$(BUILD)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' VERSION='$(VERSION)' STRIP='$(STRIP)' \
        sh packaging/stage.sh '$(BUILD)/stage'

install: all $(BUILD)/$(SONAME) $(BUILD)/pages
	@$(STAGE)
	@sh packaging/install.sh '$(BUILD)/stage' '$(DESTDIR)' '$(RECORD)'

uninstall:
	@sh packaging/uninstall.sh '$(DESTDIR)' '$(RECORD)'

deb: override PREFIX := /usr
deb: override LIBDIR := $(if $(MULTIARCH),lib/$(MULTIARCH),lib)
deb: all $(BUILD)/$(SONAME) $(BUILD)/pages
	@$(STAGE)
	@BUILD='$(BUILD)' VERSION='$(VERSION)' LIBDIR='$(LIBDIR)' sh packaging/deb.sh '$(BUILD)/stage'

# What the tests install is built by their make, with its compiler and flags.
test: $(BUILD)/$(SONAME) $(BUILD)/pages

.PHONY: install uninstall deb

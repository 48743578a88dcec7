# Needs Python 3.11 or newer (with venv) and make; everything else is installed into .venv.

PYTHON ?= python3
PY = .venv/bin/python
BROWSER ?= 1
ifeq ($(BROWSER),0)
CHOICE = -m "not browser"
endif

.PHONY: run up bench chaos fuzz pictures quick full test checks lint format migrations clean

run: .venv/.installed  ## everything with both sandboxes and a demo shop
	@exec $(PY) -m connector.launcher --end-with-parent run

up: .venv/.installed  ## the same for a real store, configured by the environment and .env
	@exec $(PY) -m connector.launcher --end-with-parent up

test: .venv/.installed  ## lint, types, migrations, every test
	@[ "$(BROWSER)" = 0 ] || $(PY) -m connector.launcher chromium
	@BEGAN=$$(date +%s) exec $(PY) -m connector.launcher test-engines $(MAKE) --no-print-directory checks

checks: lint
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check
	$(PY) -m pytest -n 2 $(CHOICE)
	@[ -z "$$BEGAN" ] || echo $$(($$(date +%s) - BEGAN)) > .venv/.test_seconds  # shown by `make bench`

# make chaos [full] [orders=N] [seed=S] [acts=all|none|NAMES] [replays=N] [rate=R] [points=P] [write=1]
chaos: .venv/.installed  ## orders under faults and kills, then an account of every one; `full` takes about two hours
	@exec $(PY) -m bench.chaos $(if $(filter full,$(MAKECMDGOALS)),full,quick) \
	  $(if $(orders),--orders $(orders)) $(if $(seed),--seed $(seed)) $(if $(acts),--acts $(acts)) \
	  $(if $(replays),--replays $(replays)) $(if $(rate),--rate $(rate)) $(if $(points),--points $(points)) $(if $(write),--write)

fuzz: .venv/.installed  ## nonsense at every door, 24,000 examples; about 15 minutes
	@FUZZ_EXAMPLES=$(or $(examples),6000) $(PY) -m pytest -q tests/test_fuzz.py

pictures: .venv/.installed  ## every page, wide and narrow, into docs/pictures; about 3 minutes
	@$(PY) -m connector.launcher chromium
	@exec $(PY) -m bench.pictures

# make bench [quick|full] [write=1]
bench: .venv/.installed  ## every figure of the budgets in one table; about 15 minutes, `quick` 2
	@exec $(PY) -m bench $(filter quick full,$(MAKECMDGOALS)) $(if $(write),--write)

quick full: ;@:  # sizes of `make chaos` and `make bench`

lint: .venv/.installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m connector.launcher test-engines $(PY) -m mypy
	$(PY) -m connector.launcher audit

format: .venv/.installed
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

migrations: .venv/.installed
	$(PY) -m connector.launcher test-engines $(PY) manage.py makemigrations

clean:  ## forgets the demo's data; a store's, in .run/store, stays
	rm -rf .run/demo staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: as root, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --use-pep517 -r requirements-dev.txt
	@touch $@

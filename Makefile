# Needs GNU make, git and Python 3.11. Everything is installed into .venv; no other Python is touched.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-live test-real-logs services services-stop coverage bench lint run-standalone-app run-standalone-app-debug run-es-app run-es-app-debug \
	manual-map-raw-es manual-map-reduced-es manual-load-raw-es manual-load-reduced-es manual-drop-raw-es manual-drop-reduced-es \
	kafka-elk kafka-elk-down docs clean

PY := .venv/bin/python
READY := .venv/.ready
PYTEST := $(PY) -m pytest
# Test processes at once: more than cores, because many tests wait for a worker.
AT_ONCE ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))

help: ## Print this help
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET, where TARGET is one of\n" } \
	/^[a-z-]+:.*## / { printf "  %-26s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with everything in requirements.txt; nothing to do when it is up to date

$(READY): requirements.txt init.sh
	@sh ./init.sh

run: $(READY) ## Worker, sample log, answers, page until Ctrl-C; LOG=file for your own, ONCE=1 to end when it is stored
	@$(PY) -m app run $(if $(ONCE),--once) $(if $(LOG),"$(LOG)")

test: $(READY) ## The fast tests, twice as many at once as cores (AT_ONCE=1: one by one); COV=1 for the branch coverage, too
	$(if $(COV),@rm -f .coverage .coverage.*)
	$(PYTEST) -m "not long and not real_logs and not live" -n $(AT_ONCE) --dist worksteal $(if $(COV),--cov --cov-report=)
	$(if $(COV),@$(PY) -m coverage html --quiet)
	$(if $(COV),$(PY) -m coverage report --skip-covered --fail-under=85)
	$(if $(COV),$(PY) -m coverage report --include="app/domain/*" --fail-under=95)

test-long: N ?= 100000
test-long: $(READY) ## Kills and large runs; N=1000000 for a million lines (default 100000)
	N=$(N) $(PYTEST) -m "long and not live" -n 3 --dist worksteal --durations=10

# Beside servers of `make services` on free ports, never against them: what tests leave behind is deleted.
LIVE := --base $(or $(TMPDIR),/tmp)/weblogs-live

test-live: N ?= 50000
test-live: $(READY) ## The tests on real Kafka, Elasticsearch and Cassandra, started for them and stopped after; N=500000 for more lines
	N=$(N) $(PY) -m tests.services run $(LIVE) -- $(PYTEST) -m live -n 3 --dist loadscope --durations=25

services: $(READY) ## Start real Kafka, Elasticsearch and Cassandra on the standard ports, without Docker: needs Java 17 and Maven
	@$(PY) -m tests.services start

services-stop: $(READY) ## Stop them; their data stay
	@$(PY) -m tests.services stop

test-real-logs: $(READY) ## The public logs in the folder REAL_LOGS: apache_logs and the NASA heads; every line is accounted for
	REAL_LOGS=$(REAL_LOGS) $(PYTEST) -m real_logs

coverage: COV := 1
coverage: test ## `make test COV=1`: table here, htmlcov/index.html; fails below 85 %, below 95 % of app/domain

QUICK_BENCH := $(if $(PART),,$(QUICK))

bench: $(READY) ## All beside its peers and limits, results checked, into docs/benchmarks.md; half an hour; QUICK=1: small, for equality alone; PART=stream: one part
	$(if $(QUICK_BENCH),$(PY) -m bench.quick,$(PY) -m bench.needs)
	$(if $(QUICK_BENCH),,$(PY) -m bench $(if $(QUICK),--quick) $(addprefix --part ,$(PART)) $(if $(PART),,--page docs/benchmarks.md))
	$(if $(QUICK_BENCH)$(PART),,$(PY) -m bench.votes)

lint: $(READY) ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy app agents tables simulator bench

run-standalone-app: $(READY) ## Four playbacks of the sample without a worker: in order, reversed, shuffled, drawn; tables in out/
	@$(PY) -m app playbacks

run-standalone-app-debug: $(READY) ## The same, with every delivery that is not complete and every rejected line
	@$(PY) -m app playbacks --debug

# On the servers of `make services` or `make kafka-elk`; what is set in the environment goes before.
ON_ES := WEBLOGS_BROKER=$(or $(WEBLOGS_BROKER),kafka://127.0.0.1:9092) WEBLOGS_STORES=elasticsearch

run-es-app: $(READY) ## Worker on Kafka and Elasticsearch: makes topics and indices that lack, then runs until Ctrl-C
	$(ON_ES) $(PY) -m app init
	$(ON_ES) $(PY) -m faust -A app worker

run-es-app-debug: $(READY) ## The same, logging all it does
	$(ON_ES) $(PY) -m app init
	WEBLOGS_LOG_LEVEL=debug $(ON_ES) $(PY) -m faust -A app worker

manual-map-raw-es: $(READY) ## Make the template and the alias raw_weblogs in Elasticsearch; deletes nothing
	$(PY) -m app stores map --store elasticsearch --raw

manual-map-reduced-es: $(READY) ## Make the template and the alias reduced_weblogs in Elasticsearch; deletes nothing
	$(PY) -m app stores map --store elasticsearch --reduced

manual-load-raw-es: $(READY) ## Reduce LOG=file (default: the sample) and put its raw lines into Elasticsearch
	WEBLOGS_STORE_RAW=all $(PY) -m app reduce "$(or $(LOG),samples/weblogs.tsv)" --stores elasticsearch

manual-load-reduced-es: $(READY) ## Reduce LOG=file (default: the sample) and put its deliveries alone into Elasticsearch
	WEBLOGS_STORE_RAW=none $(PY) -m app reduce "$(or $(LOG),samples/weblogs.tsv)" --stores elasticsearch

manual-drop-raw-es: $(READY) ## Delete all raw lines in Elasticsearch; asks first, YES=1 does not
	$(PY) -m app stores drop --store elasticsearch --raw $(if $(YES),--yes)

manual-drop-reduced-es: $(READY) ## Delete all deliveries in Elasticsearch; asks first, YES=1 does not
	$(PY) -m app stores drop --store elasticsearch --reduced $(if $(YES),--yes)

DOCKER := docker
COMPOSE := $(DOCKER) compose -f docker/compose.yml
NEEDS_DOCKER = $(DOCKER) compose version >/dev/null 2>&1 || \
	{ echo "make $@: docker compose is not there; install Docker, or use make services and make run-es-app" >&2; exit 1; }

kafka-elk: ## Kafka, Elasticsearch, Kibana, Logstash, Cassandra and workers in Docker, in the background; page on 5000, Kibana on 5601
	@$(NEEDS_DOCKER)
	$(COMPOSE) up -d --build

kafka-elk-down: ## Stop and remove those containers; their volumes stay
	@$(NEEDS_DOCKER)
	$(COMPOSE) down

docs: $(READY) ## Write docs/reference/commands.md and settings.md anew from the code
	@$(PY) docs/make_reference.py

clean: ## Remove what tests and tools leave behind; .venv, var/ and .env stay
	rm -rf htmlcov out .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app agents tables simulator tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs GNU make, git and Python 3.11. Everything is installed into .venv; no other Python is touched.
.DEFAULT_GOAL := help
.PHONY: help setup run run-usage check test test-long test-live test-servers test-real-logs services services-stop audit coverage bench lint run-standalone-app run-standalone-app-debug run-es-app run-es-app-debug \
	manual-map-raw-es manual-map-reduced-es manual-load-raw-es manual-load-reduced-es manual-drop-raw-es manual-drop-reduced-es \
	kafka-elk kafka-elk-down docs clean

# Hundreds of processes are started here: each would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
READY := .venv/.ready
PYTEST := $(PY) -m pytest
# Test processes at once: one more than cores, because some tests wait for a worker.
AT_ONCE ?= $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))

help: ## Print this help
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET, where TARGET is one of\n" } \
	/^[a-z-]+:.*## / { printf "  %-26s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with everything in requirements.lock (2 min); does nothing when it is up to date

$(READY): requirements.txt requirements.lock init.sh
	@sh ./init.sh

run: $(READY) ## Start a worker, replay a log, print answers, serve the page until Ctrl-C. LOG=file: your own log. ONCE=1: stop when all is stored
	@$(PY) -m app run $(if $(ONCE),--once) $(if $(LOG),"$(LOG)")

run-usage: $(READY) ## Start a FastAPI service that records its calls, call it, archive and check the records, serve until Ctrl-C. ONCE=1: stop then
	@$(PY) -m app usage run $(if $(ONCE),--once)

check: lint test ## Run lint and the fast tests (3 min)

# What only real servers run: `make test COV=1` leaves it out. `make test-live COV=1` after it leaves nothing out.
ON_REAL_SERVERS := app/stores/cassandra/*,app/stores/elasticsearch/*,app/transports/kafka/*,app/web/counted/cache_redis.py

test: $(READY) ## Run the fast tests (2 min). AT_ONCE=1: one by one. COV=1: measure branch coverage
	$(if $(COV),@rm -f .coverage .coverage.*)
	$(PYTEST) -m "not long and not real_logs and not live and not servers" -n $(AT_ONCE) --dist worksteal $(if $(COV),--cov --cov-report=)
	$(if $(COV),@$(PY) -m coverage html --quiet)
	$(if $(COV),$(PY) -m coverage report --skip-covered --omit="$(ON_REAL_SERVERS)" --fail-under=85)
	$(if $(COV),$(PY) -m coverage report --include="app/domain/*" --fail-under=95)

test-long: N ?= 100000
test-long: $(READY) ## Run kills, large inputs and all examples of the property tests (12 min). N=1000000: a million lines (default 100000)
	N=$(N) PROPERTIES=full $(PYTEST) -m "(long or hypothesis or sampled) and not live and not servers and not real_logs" -n 3 --dist worksteal --durations=10

# Beside servers of `make services` on free ports, never against them: what tests leave behind is deleted.
LIVE := --base $(or $(TMPDIR),/tmp)/weblogs-live

test-live: N ?= 50000
test-live: KILLS ?= 10
test-live: $(READY) ## Run the tests on real Kafka, Elasticsearch and Cassandra, started and stopped for them (25 min). N=500000: more lines. KILLS=10: so often one test kills. COV=1: add to the coverage
	N=$(N) KILLS=$(KILLS) $(PY) -m tests.services run $(LIVE) -- $(PYTEST) -m live -n 3 --dist loadscope --durations=25 $(if $(COV),--cov --cov-append --cov-report=)
	$(if $(COV),$(PY) -m coverage report --skip-covered --fail-under=85)

test-servers: $(READY) ## Run real nginx, Apache, Tomcat and eight more with the lines of docs/how-to/configure-your-server.md, PostgreSQL and MariaDB with those of docs/sql (2 min)
	$(PYTEST) -m servers -n 2 --dist loadgroup

services: $(READY) ## Start real Kafka, Elasticsearch and Cassandra on the standard ports without Docker (1 min). Needs Java 17 and Maven
	@$(PY) -m tests.services start

services-stop: $(READY) ## Stop them. Their data are kept
	@$(PY) -m tests.services stop

test-real-logs: $(READY) ## Read the public logs in the folder REAL_LOGS (apache_logs, NASA heads) and account for every line (10 s)
	REAL_LOGS=$(REAL_LOGS) $(PYTEST) -m real_logs

coverage: COV := 1
coverage: test ## Run `make test COV=1` (3 min): table here and htmlcov/index.html. Fails below 85 %, below 95 % of app/domain

QUICK_BENCH := $(if $(PART),,$(QUICK))

bench: $(READY) ## Run all benchmarks and write docs/benchmarks.md (30 min). QUICK=1: small, equality only (4 min). PART=stream: one part
	$(if $(QUICK_BENCH),$(PY) -m bench.quick,$(PY) -m bench.needs)
	$(if $(QUICK_BENCH),,$(PY) -m bench $(if $(QUICK),--quick) $(addprefix --part ,$(PART)) $(if $(PART),,--page docs/benchmarks.md))
	$(if $(QUICK_BENCH)$(PART),,$(PY) -m bench.votes)

audit: $(READY) ## Compare what is installed with requirements.lock, and each file with its hash (10 s). Needs no network
	@$(PY) -m tests.audit

lint: $(READY) ## Run ruff and mypy (20 s)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy app agents tables simulator bench tests

run-standalone-app: $(READY) ## Reduce the sample in four orders without a worker and compare. Tables are written to out/
	@$(PY) -m app playbacks

run-standalone-app-debug: $(READY) ## The same. Also prints each delivery that is not complete and each rejected line
	@$(PY) -m app playbacks --debug

# On the servers of `make services` or `make kafka-elk`; what is set in the environment goes before.
# What .env names is used, so that `check`, the client and `candidates` look where this worker writes.
named = $(or $($(1)),$(shell grep -s '^$(1)=.' .env))
ON_ES := $(if $(call named,WEBLOGS_BROKER),,WEBLOGS_BROKER=kafka://127.0.0.1:9092) $(if $(call named,WEBLOGS_STORES),,WEBLOGS_STORES=elasticsearch)

run-es-app: $(READY) ## Start a worker on Kafka and Elasticsearch: creates missing topics and indices, then runs until Ctrl-C
	$(ON_ES) $(PY) -m app init
	$(ON_ES) $(PY) -m faust -A app worker

run-es-app-debug: $(READY) ## The same, with debug logs
	$(ON_ES) $(PY) -m app init
	WEBLOGS_LOG_LEVEL=debug $(ON_ES) $(PY) -m faust -A app worker

manual-map-raw-es: $(READY) ## Create the template and the alias raw_weblogs in Elasticsearch. Deletes nothing
	$(PY) -m app stores map --store elasticsearch --raw

manual-map-reduced-es: $(READY) ## Create the template and the alias reduced_weblogs in Elasticsearch. Deletes nothing
	$(PY) -m app stores map --store elasticsearch --reduced

manual-load-raw-es: $(READY) ## Reduce LOG=file (default: the sample) and write its raw lines to Elasticsearch
	WEBLOGS_STORE_RAW=all $(PY) -m app reduce "$(or $(LOG),samples/weblogs.tsv)" --stores elasticsearch

manual-load-reduced-es: $(READY) ## Reduce LOG=file (default: the sample) and write only its deliveries to Elasticsearch
	WEBLOGS_STORE_RAW=none $(PY) -m app reduce "$(or $(LOG),samples/weblogs.tsv)" --stores elasticsearch

manual-drop-raw-es: $(READY) ## Delete all raw lines in Elasticsearch. Asks first. YES=1: does not ask
	$(PY) -m app stores drop --store elasticsearch --raw $(if $(YES),--yes)

manual-drop-reduced-es: $(READY) ## Delete all deliveries in Elasticsearch. Asks first. YES=1: does not ask
	$(PY) -m app stores drop --store elasticsearch --reduced $(if $(YES),--yes)

DOCKER := docker
COMPOSE := $(DOCKER) compose -f docker/compose.yml
NEEDS_DOCKER = $(DOCKER) compose version >/dev/null 2>&1 || \
	{ echo "make $@: docker compose is missing. Install Docker, or use make services and make run-es-app" >&2; exit 1; }

kafka-elk: ## Start Kafka, Elasticsearch, Kibana, Logstash, Cassandra and workers in Docker. Page on port 5000, Kibana on 5601
	@$(NEEDS_DOCKER)
	$(COMPOSE) up -d --build

kafka-elk-down: ## Stop and remove those containers. Their volumes are kept
	@$(NEEDS_DOCKER)
	$(COMPOSE) down

docs: $(READY) ## Write the pages of docs/reference that are made from the code (2 s)
	@$(PY) docs/make_reference.py

clean: ## Remove files that tests and tools leave behind. Keeps .venv, var/ and .env
	rm -rf htmlcov out .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app agents tables simulator tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands do all the set-up: `make run` and `make test`. The rest is for people who change
# Berth. Steps that are done already cost next to nothing.

# Without it each process of the tests compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PREPARE := @sh scripts/with_python.sh -m scripts.prepare
BIN := .venv/bin

# What shares the engine, a browser or the weights of a model runs one after the other.
SHARING := docker or e2e or model

.DEFAULT_GOAL := help
.PHONY: help run sign-in test quick lint fmt bench neighbours chaos soak fuzz fuzz-api openapi images doctor clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Set up what is missing and serve (PORT, BIND)
	$(PREPARE) runtime engine images database
	@exec $(BIN)/python manage.py serve

sign-in: ## Print a link that signs the administrator in once, or FOR=somebody
	@$(BIN)/python manage.py sign_in_link $(FOR)

test: ## Lint and every test, Docker and browser included
	$(PREPARE) tools engine images chromium clients
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -m "$(SHARING)"
	@$(BIN)/pytest -n 2 -m "not ($(SHARING))"

quick: ## Lint and the quick tests that need neither Docker, browser nor weights
	$(PREPARE) tools
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -q -n 3 -m "not slow and not docker and not e2e and not model"

lint: ## Formatting, style, types and import contracts
	$(PREPARE) tools
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@find templates -name '*.html' -exec $(BIN)/djade --check --target-version 5.2 {} +
	@$(BIN)/djlint --lint --quiet templates
	@$(BIN)/mypy .
	@$(BIN)/lint-imports

fmt: ## Format Python and templates
	$(PREPARE) tools
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} + || true

bench: ## Measure, each row beside its floor
	$(PREPARE) tools engine images
	@$(BIN)/python -m tests.bench

neighbours: ## Measure what a session feels while another is abused
	$(PREPARE) tools engine images
	@$(BIN)/python -m tests.bench.neighbours

chaos: ## Break a working Berth on purpose, FAULTS times (SEED to repeat a run)
	$(PREPARE) tools engine images
	@$(BIN)/python -m tests.chaos --faults $(or $(FAULTS),200) $(if $(SEED),--seed $(SEED))

soak: ## 200 sessions and 1,000 viewers for 10 minutes (SESSIONS, VIEWERS, MINUTES)
	$(PREPARE) tools engine images
	@$(BIN)/python -m tests.soak --sessions $(or $(SESSIONS),200) \
		--viewers $(or $(VIEWERS),1000) --minutes $(or $(MINUTES),10)

fuzz: ## Fuzz both ends of the guest protocol (SECONDS for each target)
	$(PREPARE) tools
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

openapi: ## Write the OpenAPI document of /v1 (FILE)
	$(PREPARE) runtime
	@$(BIN)/python manage.py openapi $(or $(FILE),openapi.json)

fuzz-api: ## Ask /v1 everything its document allows for, and what not (EXAMPLES, SEED)
	$(PREPARE) tools
	@$(BIN)/python -m tests.api.fuzz --examples $(or $(EXAMPLES),200) --seed $(or $(SEED),1)

images: ## Build the sandbox images and the guest's volume
	$(PREPARE) runtime engine
	@$(BIN)/python manage.py build_images

doctor: ## Say what is enforced on this machine and what is not
	$(PREPARE) runtime
	@$(BIN)/python manage.py doctor

clean: ## Remove caches and what set-up remembers; sessions and the database stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis var/stamps
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

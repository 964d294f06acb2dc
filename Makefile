# loihic: `make demo` to see it work, `make test` to check it. Needs a Python 3.10, 3.11 or 3.12 and nothing else.
# Choose another one with PYTHON=..., another folder for the environment with VENV=...

VENV ?= .venv
VENV310 ?= .venv310
BUILD ?= build
PYTEST_ARGS ?=

suits = import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python3.10 python3.12; do \
	"$$p" -c '$(suits)' >/dev/null 2>&1 && echo "$$p" && break; done)
endif

bin := $(VENV)/bin
# numpy 2 breaks Lava, and pip moves to it with any later install that does not name the limit.
pip_install = $(bin)/python -m pip install --quiet --disable-pip-version-check "numpy<2"
export PYTHONUNBUFFERED := 1

.PHONY: help demo test test-lava test-oracles test-py310 lint format types docs measure-quantisation \
	measure-partition measure-simulator examples clean

help:
	@echo "make demo          compile an example network, run it on Lava, verify it"
	@echo "make test          the whole test suite                 (PYTEST_ARGS=... to choose)"
	@echo "make lint types    ruff, mypy --strict                  (make format to tidy up)"
	@echo "make docs          regenerate docs/operators.md; fails if it had to change"
	@echo "make test-oracles  compare with torch, norse, spikingjelly, snntorch, lava-dl  (installs CPU torch)"
	@echo "make test-py310    the tests of the Lava target on Python 3.10, with Lava as it is released"
	@echo "make measure-quantisation  the tables of docs/quantisation.md; half an hour"
	@echo "make measure-partition     the tables of docs/partitioning.md; ten minutes"
	@echo "make measure-simulator     the tables of docs/simulator.md; five minutes, and installs CPU torch"
	@echo "make examples      train and export the example networks again (installs CPU torch)"
	@echo "make clean         remove environments and everything built"

# ---------------------------------------------------------------------------------------------------- environments
# Each stamp stands for a finished step; an interrupted step leaves no stamp and is repeated.

$(VENV)/.made:
	@'$(PYTHON)' -c '$(suits)' || { \
		echo "loihic needs Python 3.10, 3.11 or 3.12 with venv, and found $(if $(PYTHON),only '$(PYTHON)',none)." >&2; \
		echo "Install one (Debian, Ubuntu: apt install python3.11-venv), or name it: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	'$(PYTHON)' -m venv --clear '$(VENV)'
	@touch $@

$(VENV)/.lava: $(VENV)/.made pyproject.toml
	$(pip_install) -e ".[lava,onnx]"
	@# lava-nc declares Python < 3.11, so from 3.11 on pip will not take it as a dependency.
	@if $(bin)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo '$(bin)/loihic doctor --install-lava --yes'; $(bin)/loihic doctor --install-lava --yes; fi
	@touch $@

$(VENV)/.dev: $(VENV)/.lava
	$(pip_install) -e ".[lava,dev]"
	@touch $@

# The CPU wheel by its local version: the plain one brings gigabytes of CUDA. It lies on PyTorch's own index, unless
# pip's configuration already leads to it. torchao quantises, onnxscript exports.
TORCH ?= torch==2.13.0
$(VENV)/.torch: $(VENV)/.dev
	$(pip_install) "$(TORCH)" torchao==0.18.0 onnxscript==0.7.2
	@touch $@

# norse and spikingjelly declare torchvision and torchaudio, which pin a torch of their own; neither is needed to
# simulate. Their light dependencies are named here. lava-dl declares Python < 3.11 and pins a torch with CUDA, and its
# netx needs neither, nor the rest of what it declares.
$(VENV)/.oracles: $(VENV)/.torch
	$(pip_install) loguru matplotlib packaging requests tqdm "scipy<1.17"
	$(pip_install) --no-deps norse==1.1.0 spikingjelly==2.0.0 snntorch==1.0.0 nirtorch==2.6
	$(pip_install) --no-deps --ignore-requires-python lava-dl==0.6.0
	@touch $@

# ------------------------------------------------------------------------------------------------------------ demo
digits := examples/digits
quantised := examples/quantised
demo := $(BUILD)/demo

demo: $(VENV)/.lava
	@mkdir -p $(demo)
	@echo; echo "== 1. A trained spiking network becomes integers for Loihi 2"
	$(bin)/loihic compile $(digits)/digits_mlp.nir -o $(demo)/digits_mlp.loihic
	@echo; echo "== 2. Three images on Lava's fixed-point simulator"
	$(bin)/loihic run $(demo)/digits_mlp.loihic $(digits)/digits_mlp_few.npz -o $(demo)/lava.npz --backend lava
	$(bin)/python $(digits)/score.py $(demo)/lava.npz $(digits)/digits_mlp_labels.npy
	@echo; echo "== 3. The same bits on loihic's simulator and on Lava?"
	$(bin)/loihic verify $(demo)/digits_mlp.loihic $(digits)/digits_mlp_few.npz --against lava
	@echo; echo "== 4. The whole test split on loihic's simulator: accuracy, confusions, rates"
	$(bin)/loihic evaluate $(demo)/digits_mlp.loihic $(digits)/digits_mlp_test.npz --labels $(digits)/digits_mlp_labels.npy
	@echo; echo "== 5. Where on the chip it lies"
	$(bin)/loihic map $(demo)/digits_mlp.loihic --picture $(demo)/digits_mlp.svg
	@echo; echo "== 6. A network that PyTorch quantised: not one logit is another, on Lava neither"
	$(bin)/loihic compile $(quantised)/digits_cnn.pt2 -o $(demo)/digits_cnn.loihic
	$(bin)/loihic run $(demo)/digits_cnn.loihic $(quantised)/digits_cnn_test.npz -o $(demo)/cnn.npz
	$(bin)/python $(quantised)/score.py $(demo)/cnn.npz $(quantised)/digits_cnn_labels.npy
	$(bin)/loihic verify $(demo)/digits_cnn.loihic $(quantised)/digits_cnn_few.npz --against lava
	@echo; echo "Done. The program is $(demo)/digits_mlp.loihic; try: $(bin)/loihic show $(demo)/digits_mlp.loihic"

# ---------------------------------------------------------------------------------------------------------- checks
# Two tests at a time: one on Lava is many processes by itself.
JOBS ?= 2
test: $(VENV)/.dev
	$(bin)/python -m pytest -m "not oracle" --numprocesses=$(JOBS) $(PYTEST_ARGS)

LAVA_TESTS ?= tests/targets
test-lava: $(VENV)/.dev
	$(bin)/python -m pytest $(LAVA_TESTS) $(PYTEST_ARGS)

# Beside the oracles what is skipped without torch.
ORACLE_TESTS ?= tests/oracles $(sort $(wildcard tests/frontends/test_*torch*.py))
test-oracles: $(VENV)/.oracles
	$(bin)/python -m pytest $(ORACLE_TESTS) $(PYTEST_ARGS)

PYTHON310 ?= python3.10
test-py310:
	@$(MAKE) --no-print-directory test-lava VENV='$(VENV310)' PYTHON='$(PYTHON310)'

lint: $(VENV)/.dev
	$(bin)/ruff check .

format: $(VENV)/.dev
	$(bin)/ruff check --fix .

types: $(VENV)/.dev
	$(bin)/mypy

docs: $(VENV)/.dev
	@$(bin)/python -m loihic.report.capabilities --check || { \
		$(bin)/python -m loihic.report.capabilities; \
		echo "docs/operators.md was out of date and has been regenerated: commit it." >&2; exit 1; }
	@echo "docs/operators.md is up to date"

quantisation := benchmarks/quantisation
measure-quantisation: $(VENV)/.dev
	for script in braille allocation ablation large ranges; do \
		echo; echo "== $$script"; $(bin)/python $(quantisation)/$$script.py || exit 1; done

# intel.py needs lava-dl's PilotNet in $LOIHIC_SHARED_DATA/netx/pilotnet_lif, or ../shared/data.
partition := benchmarks/partition
measure-partition: $(VENV)/.dev
	for script in intel cores placement "scale --chips"; do \
		echo; echo "== $$script"; set -- $$script; $(bin)/python $(partition)/$$1.py $$2 || exit 1; done

# The networks of other projects must be in $LOIHIC_SHARED_DATA, or ../shared/data; without them two are measured.
simulator := benchmarks/simulator
measure-simulator: $(VENV)/.oracles
	for script in speed roofline scaling startup frameworks; do \
		echo; echo "== $$script"; $(bin)/python $(simulator)/$$script.py || exit 1; done

examples: $(VENV)/.torch
	$(bin)/python $(digits)/train.py
	$(bin)/python $(quantised)/digits_cnn.py
	$(bin)/python $(quantised)/friedman.py

clean:
	rm -rf '$(VENV)' '$(VENV310)' '$(BUILD)' dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find loihic tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

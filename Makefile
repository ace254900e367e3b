# make demo             train, evaluate and draw: about five minutes on two cores
# make test             the test suite; with PPDET_SRC=FOLDER against a checkout of PaddleDetection
# make test-paddle26    the quick tests on Paddle 2.6 (Python 3.9 to 3.12), installed as a package
# make cuda-check       compile the CUDA kernels for every architecture: no warnings, no spills; registers, instructions an element
# make cuda-build-check the whole extension against a CUDA build of Paddle, and the operator's tests on the CPU; needs no GPU
# make sanitize         the CPU kernels under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and between guard pages
# make fuzz             random calls against float64 for SECONDS (60); SEED repeats a run
# make lint             ruff, clang-format and mypy
# make site             the documentation as a site, in build/site
# make lock             pin requirements/lock*.txt anew
# make clean            remove what the others made

PYTHON ?= python3
VENV ?= .venv
VENV26 := $(VENV)-paddle26
VENV_CUDA := $(VENV)-cuda
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
# Paddle warns of any number but 1, though its operators do use it
export OMP_NUM_THREADS ?= $(CORES)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

ifdef PPDET_SRC
export PPDET_SRC := $(abspath $(PPDET_SRC))
LOCK := requirements/lock-ppdet-develop.txt
else
LOCK := requirements/lock.txt
endif
SOURCES := setup.py pyproject.toml $(shell find csrc -type f)

.PHONY: demo test test-paddle26 cuda-check cuda-build-check sanitize fuzz lint site lock clean
demo: $(VENV)/built
	$(VENV)/bin/python examples/digits_demo.py

test: $(VENV)/built
	$(if $(PPDET_SRC),PYTHONPATH=$(PPDET_SRC)$(if $(PYTHONPATH),:$(PYTHONPATH))) $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

# from another folder, so that the installed package is what is tested
test-paddle26: $(VENV26)/built
	cd $(VENV26) && bin/pytest -c $(CURDIR)/pyproject.toml --rootdir $(CURDIR) -p no:cacheprovider -m "not slow" $(PYTEST_ARGS) $(CURDIR)/tests

$(VENV)/installed-$(notdir $(LOCK)): $(LOCK)
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-deps -r $(LOCK)
	@touch $@

$(VENV)/built: $(VENV)/installed-$(notdir $(LOCK)) $(SOURCES)
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV26)/installed: requirements/lock-paddle26.txt
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(VENV26)
	$(VENV26)/bin/python -m pip install --quiet --no-deps -r requirements/lock-paddle26.txt
	@touch $@

# in a build folder of its own: objects for the other Paddle must not be taken for these
$(VENV26)/built: $(VENV26)/installed $(SOURCES) $(shell find paddle_vfl -name '*.py' -o -name '*.cc' -o -name '*.h')
	@printf '[build]\nbuild_base = build/paddle26\n' > $(VENV26)/build.cfg
	DIST_EXTRA_CONFIG=$(CURDIR)/$(VENV26)/build.cfg $(VENV26)/bin/python -m pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	@touch $@

cuda-check: $(VENV)-lint/installed
	$(VENV)-lint/bin/python tools/cuda_instructions.py
	$(VENV)-lint/bin/python tools/cuda_check.py

$(VENV_CUDA)/installed: requirements/lock-paddle26.txt
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(VENV_CUDA)
	sed 's/^paddlepaddle==/paddlepaddle-gpu==/' requirements/lock-paddle26.txt > $(VENV_CUDA)/lock.txt
	$(VENV_CUDA)/bin/python -m pip install --quiet --no-deps -r $(VENV_CUDA)/lock.txt
	@touch $@

$(VENV_CUDA)/built: $(VENV_CUDA)/installed $(SOURCES) $(shell find paddle_vfl -name '*.py' -o -name '*.cc' -o -name '*.h')
	@printf '[build]\nbuild_base = build/cuda\n' > $(VENV_CUDA)/build.cfg
	PADDLE_VFL_CUDA=1 PADDLE_VFL_CUDA_ARCHS="80 90" DIST_EXTRA_CONFIG=$(CURDIR)/$(VENV_CUDA)/build.cfg $(VENV_CUDA)/bin/python -m pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	@touch $@

cuda-build-check: $(VENV_CUDA)/built
	cd $(VENV_CUDA) && bin/python -m paddle_vfl info
	cd $(VENV_CUDA) && bin/pytest -c $(CURDIR)/pyproject.toml --rootdir $(CURDIR) -p no:cacheprovider -m "not slow" $(addprefix $(CURDIR)/tests/,losses test_runtime.py test_execution_modes.py)

sanitize: $(VENV)/built
	$(VENV)/bin/python -m pytest tests/csrc/test_memory.py

SECONDS ?= 60
fuzz: $(VENV)/built
	$(VENV)/bin/python tools/fuzz.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

CPP := $(filter-out %/polynomials.h,$(shell find csrc paddle_vfl/testing tests/csrc -name '*.cc' -o -name '*.h' -o -name '*.inl' -o -name '*.cu' -o -name '*.cuh'))
lint: $(VENV)-lint/installed
	$(VENV)-lint/bin/ruff check .
	$(VENV)-lint/bin/ruff format --check .
	$(VENV)-lint/bin/clang-format --dry-run --Werror $(CPP)
	$(VENV)-lint/bin/mypy

site: $(VENV)-lint/installed
	$(VENV)-lint/bin/mkdocs build --strict --quiet

$(VENV)-lint/installed: requirements/lint.txt
	$(PYTHON) -m venv $(VENV)-lint
	$(VENV)-lint/bin/python -m pip install --quiet -r requirements/lint.txt
	@touch $@

COMPILE = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.9 --override requirements/overrides.txt --no-header --no-emit-index-url --no-annotate
lock: $(VENV)/built
	$(VENV)/bin/python -m pip install --quiet uv
	$(COMPILE) requirements/demo.in -o requirements/lock.txt
	$(COMPILE) requirements/paddle26.in -o requirements/lock-paddle26.txt
	$(COMPILE) requirements/ppdet-develop.in -c requirements/lock.txt -o requirements/lock-ppdet-develop.txt

clean:
	rm -rf $(VENV) $(VENV26) $(VENV_CUDA) $(VENV)-lint build dataset output paddle_vfl/_C*.so *.egg-info

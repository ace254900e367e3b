# make demo             train, evaluate and draw: about five minutes on two cores
# make venv             the environment .venv with everything pinned, and the package built into it; the others make it too
# make test             the test suite; with PPDET_SRC=FOLDER against a checkout of PaddleDetection
# make test-paddle      what depends on Paddle, on other versions of it: VERSION="2.6.2 3.1.1", or any; TESTS=tests for all tests
# make test-clang       the same on the extension built by clang
# make wheels           in dist/, each tried where there is no compiler: PADDLE="3.3.1 3.2.2 2.6.2"; with GPU=1 for paddlepaddle-gpu
# make families         which families of PaddleDetection train, evaluate and export, with and without the plugin: five minutes;
#                       with PPDET_SRC=FOLDER also of that checkout: ten
# make cuda-check       compile the CUDA kernels for every architecture, or for ARCHS="75 90": no warnings, no spills; registers,
#                       instructions an element; with QUICK=1 no registers and no spills
# make cuda-build-check the whole extension as for a CUDA build of Paddle, and its tests on the CPU: PADDLE=3.3.1; needs no GPU
# make sanitize         the CPU kernels under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and between guard pages, and
#                       where they have AVX instructions
# make fuzz             random calls against float64 for SECONDS (60); SEED repeats a run
# make fuzz-annotations damaged COCO files: trained on, or refused in a line that names the place; SECONDS and SEED as above
# make lint             ruff, clang-format and mypy
# make site             the documentation as a site, in build/site; with CHECK=1 its test in a browser instead
# make lock             pin requirements/lock*.txt anew
# make clean            remove what the others made

PYTHON ?= python3
VENV ?= .venv
override VENV := $(abspath $(VENV))
VERSION ?= 2.6.2 3.1.1
PADDLE ?= 3.3.1
PACKAGE := paddlepaddle$(if $(GPU),-gpu)
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
# a process of one thread for each core: more threads wait for each other; the tests of a file share what they build
IN_PARALLEL := -n $(CORES) --dist loadfile --no-loadscope-reorder
test test-paddle-%: export OMP_NUM_THREADS := 1
# Paddle warns of any number but 1, though its operators do use it
export OMP_NUM_THREADS ?= $(CORES)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

ifdef PPDET_SRC
export PPDET_SRC := $(abspath $(PPDET_SRC))
LOCK := requirements/lock-ppdet-develop.txt
else
LOCK := requirements/lock.txt
endif
# $(call pip,ENVIRONMENT) installs there. UV=uv is an order of magnitude faster, where it finds what pip is configured to find
pip = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python $(2) || )$(1)/bin/python -m pip install --quiet $(2)
SOURCES := setup.py build_backend.py pyproject.toml $(addprefix paddle_vfl/,_cuda_toolkit.py _cxx_flags.py _version.py) \
           $(shell find csrc -type f -not -name '*.md')

.PHONY: demo venv test families test-paddle test-clang wheels cuda-check cuda-build-check sanitize fuzz fuzz-annotations lint site lock clean
demo: $(VENV)/built
	$(VENV)/bin/python examples/digits_demo.py

venv: $(VENV)/built

test: $(VENV)/built
	$(if $(PPDET_SRC),PYTHONPATH=$(PPDET_SRC)$(if $(PYTHONPATH),:$(PYTHONPATH))) $(VENV)/bin/python -m pytest $(IN_PARALLEL) $(PYTEST_ARGS)

# PPDET_SRC is tried beside the package
families: $(VENV)/built
	$(VENV)/bin/python tools/families.py $(if $(PPDET_SRC),--checkout $(PPDET_SRC)) $(FAMILIES)

$(VENV)/installed-$(notdir $(LOCK)): $(LOCK)
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(VENV)
	$(call pip,$(VENV),--no-deps -r $(LOCK))
	@touch $@

$(VENV)/built: $(VENV)/installed-$(notdir $(LOCK)) $(SOURCES)
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

cuda-check: $(VENV)-lint/installed
	PYTHONPATH=. $(VENV)-lint/bin/python tools/cuda_instructions.py
	PYTHONPATH=. $(VENV)-lint/bin/python tools/cuda_check.py $(if $(QUICK),--quick) $(ARCHS)

# Other Paddles. Each has an environment, .venv-paddlepaddle-VERSION: what Paddle itself needs is resolved, all else locked.
define environment
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(1)
	grep -v '^paddlepaddle==' requirements/$(if $(filter 2.%,$(2)),lock-paddle26.txt,lock.txt) > $(1)/lock.txt
	$(call pip,$(1),--no-deps -r $(1)/lock.txt)
	$(call pip,$(1),-c $(1)/lock.txt $(PACKAGE)==$(2))
endef
# from another folder, so that what is tested is not the source
TEST := -m pytest -c $(CURDIR)/pyproject.toml --rootdir $(CURDIR) -p no:cacheprovider $(IN_PARALLEL) $(PYTEST_ARGS)
OPERATOR_TESTS := $(addprefix $(CURDIR)/tests/,losses test_runtime.py test_execution_modes.py)
TRAINING_TESTS := $(addprefix $(CURDIR)/tests/ppdet_plugin/test_training.py::,test_a_training_step_calls_the_operator \
	test_an_unmodified_script_reaches_the_operator)
# what depends on Paddle; `TESTS=tests` for all
TESTS ?= $(addprefix $(CURDIR)/tests/,losses test_execution_modes.py test_sharding.py \
	$(addprefix test_runtime.py::,test_another_paddle_is_refused_with_the_ways_out test_one_freed_gradient_is_kept_for_the_next_step \
	test_a_forked_child_computes) \
	$(addprefix ppdet_plugin/,test_call_sites.py test_dense_heads.py test_training.py::test_a_training_step_calls_the_operator \
	test_configs_that_travel.py::test_an_exported_model_needs_no_plugin[vfnet_digits.yml-VFNetHead]))

.PRECIOUS: $(VENV)-$(PACKAGE)-%/installed $(VENV)-$(PACKAGE)-%/built
$(VENV)-$(PACKAGE)-%/installed: requirements/lock.txt requirements/lock-paddle26.txt
	$(call environment,$(@D),$*)
	@touch $@

# in a build folder of its own, which holds no file that is gone since
$(VENV)-$(PACKAGE)-%/built: $(VENV)-$(PACKAGE)-%/installed $(SOURCES) $(shell find paddle_vfl -type f -not -name '*.so' -not -name '*.pyc')
	@rm -rf build/$* && printf '[build]\nbuild_base = build/$*\n' > $(@D)/build.cfg
	DIST_EXTRA_CONFIG=$(@D)/build.cfg $(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	@touch $@

# of one instruction set: the kernels are the same whatever the Paddle
test-paddle: $(VERSION:%=test-paddle-%)
test-paddle-%: $(VENV)-$(PACKAGE)-%/built
	cd $(<D) && bin/python $(TEST) --best-isa $(abspath $(TESTS))

wheels: $(PADDLE:%=wheel-%)
# the wheel is tried in a fresh environment, with nothing but it on the PATH
wheel-%: $(VENV)-$(PACKAGE)-%/installed
	@rm -rf build/$* $(VENV)-wheel && mkdir -p dist build/$*/wheel && printf '[build]\nbuild_base = build/$*\n' > $(<D)/build.cfg
	DIST_EXTRA_CONFIG=$(<D)/build.cfg $(<D)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation -w build/$*/wheel .
	$(call environment,$(VENV)-wheel,$*)
	$(VENV)-wheel/bin/python -m pip install --quiet --no-deps build/$*/wheel/*.whl
	cd $(VENV)-wheel && PATH=$(VENV)-wheel/bin bin/paddle-vfl info
	cd $(VENV)-wheel && PATH=$(VENV)-wheel/bin bin/python $(TEST) $(OPERATOR_TESTS) $(TRAINING_TESTS)
	cp build/$*/wheel/*.whl dist
	@rm -rf $(VENV)-wheel

# a CPU build of Paddle has the headers of a CUDA build, and setup.py is told that it is one; GPU=1 takes paddlepaddle-gpu
cuda-build-check: $(VENV)-$(PACKAGE)-$(PADDLE)/installed
	rm -rf build/cuda-$(PADDLE)
	PADDLE_VFL_CUDA=1 PADDLE_VFL_CUDA_ARCHS="80 90" PYTHONPATH=. $(<D)/bin/python tools/setup_for_cuda.py --quiet \
	  build --build-base build/cuda-$(PADDLE) --build-lib build/cuda-$(PADDLE)/lib
	cd build/cuda-$(PADDLE) && PYTHONPATH=$(CURDIR)/build/cuda-$(PADDLE)/lib $(<D)/bin/python -m paddle_vfl info
	cd build/cuda-$(PADDLE) && PYTHONPATH=$(CURDIR)/build/cuda-$(PADDLE)/lib $(<D)/bin/python $(TEST) $(OPERATOR_TESTS)

test-clang: $(VENV)/installed-$(notdir $(LOCK))
	rm -rf build/clang
	CC=clang CXX=clang++ $(VENV)/bin/python setup.py --quiet build --build-base build/clang --build-lib build/clang/lib
	cd build/clang && PYTHONPATH=$(CURDIR)/build/clang/lib $(VENV)/bin/python -m paddle_vfl info
	cd build/clang && PYTHONPATH=$(CURDIR)/build/clang/lib $(VENV)/bin/python $(TEST) $(OPERATOR_TESTS)

sanitize: $(VENV)/built
	$(VENV)/bin/python -m pytest tests/csrc --thorough

SECONDS ?= 60
fuzz: $(VENV)/built
	$(VENV)/bin/python tools/fuzz.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

fuzz-annotations: $(VENV)/built
	OMP_NUM_THREADS=1 $(VENV)/bin/python tools/fuzz_annotations.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

CPP := $(shell find csrc paddle_vfl/testing tests/csrc -name '*.cc' -o -name '*.h' -o -name '*.inl' -o -name '*.cu' -o -name '*.cuh')
lint: $(VENV)-lint/installed
	$(VENV)-lint/bin/ruff check .
	$(VENV)-lint/bin/ruff format --check .
	$(VENV)-lint/bin/clang-format --dry-run --Werror $(CPP)
	$(VENV)-lint/bin/mypy

# as a module, so that it finds the command line whose help it prints; the theme would advertise its successor
site: $(VENV)-docs/installed
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/python -m $(if $(CHECK),pytest -q tests/docs_site --confcutdir=tests/docs_site,mkdocs build --strict --quiet)

$(VENV)-docs/installed: requirements/docs.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(call pip,$(VENV)-docs,-r requirements/docs.txt)
	@touch $@

$(VENV)-lint/installed: requirements/lint.txt
	$(PYTHON) -m venv $(VENV)-lint
	$(call pip,$(VENV)-lint,-r requirements/lint.txt)
	@touch $@

COMPILE = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.9 --override requirements/overrides.txt --no-header --no-emit-index-url --no-annotate
lock: $(VENV)/built
	$(VENV)/bin/python -m pip install --quiet uv
	$(COMPILE) requirements/demo.in -o requirements/lock.txt
	$(COMPILE) requirements/paddle26.in -o requirements/lock-paddle26.txt
	$(COMPILE) requirements/ppdet-develop.in -c requirements/lock.txt -o requirements/lock-ppdet-develop.txt

clean:
	rm -rf $(VENV) $(VENV)-* build dist dataset/digits output/demo paddle_vfl/_C*.so *.egg-info

# make demo    train, evaluate and draw: about five minutes on two cores
# make test    the test suite
# make lock    pin requirements/lock.txt anew
# make clean   remove what the others made

PYTHON ?= python3
VENV ?= .venv
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
# Paddle warns of any number but 1, though its operators do use it
export OMP_NUM_THREADS ?= $(CORES)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lock clean
demo: $(VENV)/built
	$(VENV)/bin/python examples/digits_demo.py

test: $(VENV)/built
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

$(VENV)/installed: requirements/lock.txt
	@PYTHON="$(PYTHON)" sh tools/check_machine.sh
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-deps -r requirements/lock.txt
	@touch $@

$(VENV)/built: $(VENV)/installed setup.py pyproject.toml $(shell find csrc -type f)
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lock: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.9 --override requirements/overrides.txt \
	  --no-header --no-emit-index-url --no-annotate requirements/demo.in -o requirements/lock.txt

clean:
	rm -rf $(VENV) build dataset output paddle_vfl/_C*.so *.egg-info

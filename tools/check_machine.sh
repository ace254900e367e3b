#!/bin/sh
# Is there what the build needs? Says everything that is missing, at once.
python=${PYTHON:-python3}
cxx=${CXX:-g++}
missing=0
say() {
  echo "missing: $1" >&2
  missing=1
}

if ! command -v "$python" >/dev/null 2>&1; then
  say "$python (Python 3.9 to 3.13)"
else
  "$python" -c 'import sys; raise SystemExit(not (3, 9) <= sys.version_info[:2] <= (3, 13))' ||
    say "Python 3.9 to 3.13 ($python is $("$python" --version 2>&1)); name another one: make PYTHON=python3.11 ..."
  "$python" -c 'import ensurepip, venv' 2>/dev/null || say "the venv module of $python (Debian: apt install python3-venv)"
  header=$("$python" -c 'import os, sysconfig; print(os.path.join(sysconfig.get_paths()["include"], "Python.h"))' 2>/dev/null)
  [ -f "$header" ] || say "the headers of $python (Debian: apt install python3-dev)"
fi
command -v "${cxx%% *}" >/dev/null 2>&1 || say "${cxx%% *} (Debian: apt install g++)"
exit $missing

#!/bin/sh
# Runs the tests of lor2c_peft, compares the package and the GGUF files of bin/lor2c with transformers, and executes the
# notebook. Run by `make python-test` from the root of the repository. Without the Python packages it prints the reason
# and runs nothing.
set -eu
if ! python=$(sh scripts/python_env.sh); then
  echo "python_test: left out; the Python package lor2c_peft was not tested"
  exit 0
fi
export HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1
(cd python && "$python" -m pytest -p no:cacheprovider -W ignore::FutureWarning)
"$python" scripts/check_python.py --lor2c bin/lor2c
"$python" scripts/check_gguf.py --tiny
"$python" scripts/check_gguf.py --lor2c bin/lor2c
PATH=$PWD/bin:$PATH PYTHONPATH=$PWD/python "$python" scripts/run_notebook.py docs/notebooks/csv-to-figure.ipynb

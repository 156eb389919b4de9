#!/usr/bin/env bash
# The library and three notebooks with the oldest TensorFlow and Keras that the course runs on,
# which are those that Colab brought when it was written. Everything goes into an environment that
# is deleted at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
exec < /dev/null

environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
"$(command -v python3 || command -v python)" -m venv "$environment/venv"
bin="$environment/venv/bin"
"$bin/python" -m pip install -q "tensorflow==2.19.1" "keras==3.10.0" "numpy~=2.1.0" \
  scipy pandas scikit-learn matplotlib seaborn pillow tqdm psutil \
  ipykernel nbclient nbconvert nbformat nbval pytest pytest-xdist hypothesis
# the tests find the course in this folder, because it is not installed there
PYTHONPATH="$PWD" "$bin/pytest" --nbval "$@" \
  tests/test_{models,training,checkpoints,inversion,confidence,neighbours,realism,attacks}.py \
  notebooks/01_*.ipynb notebooks/05_*.ipynb notebooks/06_*.ipynb

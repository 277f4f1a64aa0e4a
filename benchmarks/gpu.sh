#!/usr/bin/env bash
# Training on this machine's GPU in under 8 minutes, into one JSON file: benchmarks/gpu.sh [--out FILE] [--small]
# --small is the same in a short form, also for a machine without a GPU. What is not finished in time is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec "${PYTHON:-../.venv/bin/python}" gpu.py "$@"

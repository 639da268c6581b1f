#!/usr/bin/env bash
# The tests, on a CPU and without a network, with nothing but Python 3.11+ to start from:
#
#   bash launch/test.sh [--with-vllm] [arguments of pytest]
#
# --with-vllm, which must come first, also runs the tests that ask vLLM; it installs vLLM into .venv-vllm unless
# CGD_VLLM_PYTHON names a Python that has it (vllm_environment.sh). The tests with TRL and lm-evaluation-harness run where
# these are installed beside the project (the extras `peers` and `harness`), or where CGD_PEERS_PYTHON and
# CGD_HARNESS_PYTHON name Pythons that have them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment test
if [ "${1:-}" = --with-vllm ]; then
    shift
    . "$ROOT/launch/vllm_environment.sh"
    prepare_vllm
fi
cd "$ROOT"
export HF_HUB_OFFLINE=1
say "pytest $*"
exec "$VENV/bin/python" -m pytest "$@"

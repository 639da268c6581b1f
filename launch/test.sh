#!/usr/bin/env bash
# The tests, on a CPU and without a network, with nothing but Python 3.11+ to start from:
#
#   bash launch/test.sh [arguments of pytest]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment test
cd "$ROOT"
export HF_HUB_OFFLINE=1
say "pytest $*"
exec "$VENV/bin/python" -m pytest "$@"

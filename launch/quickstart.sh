#!/usr/bin/env bash
# The whole method on the built-in world, on any CPU, in minutes, with nothing but Python 3.11+ to start from:
#
#   bash launch/quickstart.sh [arguments of `cgd quickstart`]
#
# Works from any directory; the run is kept in runs/quickstart of the project. Killed, it continues
# where it stopped when it is called again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment
cd "$ROOT"
say "cgd quickstart $*"
exec "$VENV/bin/cgd" quickstart "$@"

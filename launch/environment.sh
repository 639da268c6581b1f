# Sourced by quickstart.sh, test.sh and .ci/run: gives them the project's virtual environment.
#
#   prepare_environment [EXTRAS]     afterwards $VENV/bin/python has the project and the named extras
#
# What exists is reused; pip runs again only when pyproject.toml has changed. Settings, all optional:
#   CGD_VENV     where the environment lives          (default: .venv in the project root)
#   CGD_PYTHON   the Python that it is made from      (default: the first one found that is 3.11 or newer)
#   PIP_...      pip's own settings, for instance an index with builds of torch for a machine without a GPU

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${CGD_VENV:-$ROOT/.venv}"
case "$VENV" in /*) ;; *) VENV="$PWD/$VENV" ;; esac

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local name names=(python3 python python3.13 python3.12 python3.11 python3.14)
    [ -z "${CGD_PYTHON:-}" ] || names=("$CGD_PYTHON")
    for name in "${names[@]}"; do
        if is_new_enough "$name"; then
            printf '%s' "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    python="$(find_python)" || fail "no Python 3.11 or newer was found${CGD_PYTHON:+ at CGD_PYTHON=$CGD_PYTHON};" \
        "install one, or name it with CGD_PYTHON=/path/to/python3"
    say "making a virtual environment in $VENV ($("$python" --version))"
    "$python" -m venv "$VENV" || fail "$python could not make a virtual environment" \
        "(on Debian and Ubuntu the package python3-venv is needed)"
}

prepare_environment() {
    local extras="${1:-}" stamp digest
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        make_venv
    elif ! is_new_enough "$VENV/bin/python"; then
        fail "the environment in $VENV has $("$VENV/bin/python" --version), but 3.11 or newer is needed;" \
            "remove it, or name another one with CGD_VENV"
    fi
    stamp="$VENV/.installed-${extras:-core}"
    digest="$("$VENV/bin/python" -c \
        'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read() + sys.argv[2].encode()).hexdigest())' \
        "$ROOT/pyproject.toml" "$ROOT")"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
        say "using the environment in $VENV"
    else
        say "installing the project into $VENV (the first time this takes a minute or more)"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
            --editable "$ROOT${extras:+[$extras]}" || fail "pip could not install the project"
        printf '%s\n' "$digest" >"$stamp"
    fi
    export PATH="$VENV/bin:$PATH" VIRTUAL_ENV="$VENV"
    # Small models gain nothing from more threads than this; one that is set already is left alone.
    local cores
    cores="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((cores < 8 ? cores : 8))}"
    export TOKENIZERS_PARALLELISM="${TOKENIZERS_PARALLELISM:-false}"
}

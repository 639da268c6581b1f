# shellcheck shell=bash
# Sourced by scripts that serve: the key of a pool, which is in its folder and readable by its owner alone.
#
#   pool_key FOLDER    prints it; whoever comes first makes it: a hard link can be made once only

pool_key() {
    local folder="$1" own
    mkdir -p "$folder"
    if [ ! -e "$folder/key" ]; then
        own="$folder/key.$(hostname)-$$"
        (umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$own")
        ln "$own" "$folder/key" 2>/dev/null || true
        rm "$own"
    fi
    cat "$folder/key"
}

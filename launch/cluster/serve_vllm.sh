#!/usr/bin/env bash
# One server of a pool: vLLM on this node's GPUs, and its address in a file for those who ask it.
#
#   bash launch/cluster/serve_vllm.sh FOLDER MODEL [options of `vllm serve`]
#
# FOLDER lies where all nodes see it. It gets a file NAME.url while the server is up, and the key that all servers of
# the pool ask for; with_servers.sh reads both. CGD_VLLM names another program than the `vllm` of the environment.
set -euo pipefail
folder="$1" model="$2"
shift 2
name="${SLURM_JOB_ID:-$(hostname)-$$}" vllm="${CGD_VLLM:-vllm}"

# shellcheck source=SCRIPTDIR/pool_key.sh
. "$(dirname "$0")/pool_key.sh"
VLLM_API_KEY="$(pool_key "$folder")"
export VLLM_API_KEY

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')"
rm -f "$folder/$name.url"
"$vllm" serve "$model" --host 0.0.0.0 --port "$port" "$@" &
server=$!

leave() { # in whatever way: first the address goes, then the server
    rm -f "$folder/$name.url"
    kill "$server" 2>/dev/null || true
    wait "$server" || true
}
trap leave EXIT
trap 'exit 75' USR1 TERM INT

is_up() { python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "http://127.0.0.1:$port/health" 2>/dev/null; }
until is_up; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit; }
    sleep 2
done
echo "http://$(hostname):$port/v1" >"$folder/$name.partial"
mv "$folder/$name.partial" "$folder/$name.url"
echo "up: $(cat "$folder/$name.url")"
wait "$server"

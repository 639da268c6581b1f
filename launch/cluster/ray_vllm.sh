#!/usr/bin/env bash
# A server of a model that is larger than a node: vLLM on Ray, over all nodes of a Slurm job, one task on each.
#
#   srun bash launch/cluster/ray_vllm.sh FOLDER MODEL --tensor-parallel-size 8 --pipeline-parallel-size 2 [...]
#
# Tensor parallel within a node, pipeline parallel over the nodes. The first node has Ray's head and vLLM; the others
# give it their GPUs. vLLM waits for half an hour until there are enough. Needs `pip install "ray[cgraph]"` beside vLLM.
# HEAD and PORT say where the nodes meet (the job's first node, 6379). CGD_RAY names another program than `ray`.
set -euo pipefail
ray="${CGD_RAY:-ray}" node="${SLURM_NODEID:?start this with srun}"
HEAD="${HEAD:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)}" PORT="${PORT:-6379}"

# This node's address as the others see it: the one it reaches the head with.
own_address() {
    python3 - "$HEAD" <<'PYTHON'
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect((sys.argv[1], 9))
    print(probe.getsockname()[0])
PYTHON
}
address="${CGD_HOST_IP:-$(own_address)}"
case "$address" in 127.*) address="$(hostname -I | cut -d ' ' -f 1)" ;; esac
# shellcheck source=SCRIPTDIR/pool_key.sh
. "$(dirname "$0")/pool_key.sh"
RAY_AUTH_TOKEN="$(pool_key "$1")" # Ray runs whatever it is sent: only for those who have the pool's key
export VLLM_HOST_IP="$address" RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN

if [ "$node" != 0 ]; then
    for _ in $(seq 60); do # the head may come up later
        if "$ray" start --address="$HEAD:$PORT" --node-ip-address="$address" --block; then exit 0; fi
        sleep 5
    done
    echo "error: node $node does not reach Ray at $HEAD:$PORT" >&2
    exit 1
fi
"$ray" start --head --port="$PORT" --node-ip-address="$address" --include-dashboard=false \
    --temp-dir="/tmp/ray-${SLURM_JOB_ID:-$$}" --block &
trap 'kill %1 2>/dev/null || true' EXIT
export RAY_ADDRESS="$address:$PORT"
for _ in $(seq 60); do
    if "$ray" status >/dev/null 2>&1; then break; fi
    sleep 2
done
bash "$(dirname "$0")/serve_vllm.sh" "$@" --distributed-executor-backend ray &
work=$!
trap 'kill -USR1 "$work" 2>/dev/null' USR1 TERM
code=0
wait "$work" || code=$?
while kill -0 "$work" 2>/dev/null; do wait "$work" || code=$?; done
exit "$code"

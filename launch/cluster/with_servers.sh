#!/usr/bin/env bash
# A command that asks the teacher's servers, once they are up (serve_vllm.sh):
#
#   bash launch/cluster/with_servers.sh FOLDER COUNT cgd generate CONFIG [options]
#
# The configuration must give the teacher an `address`, the name that its texts remember: then servers may come up
# elsewhere the next time. CGD_SERVER_SECONDS limits the wait (an hour).
set -euo pipefail
folder="$1" count="$2" left="${CGD_SERVER_SECONDS:-3600}"
shift 2

addresses() { cat "$folder"/*.url 2>/dev/null | sort -u; }
until [ "$(addresses | wc -l)" -ge "$count" ]; do
    if [ "$left" -le 0 ]; then
        echo "error: $(addresses | wc -l) of $count servers are up in $folder; their logs say why" >&2
        exit 2
    fi
    sleep 5
    left=$((left - 5))
done
CGD_SERVER_KEY="$(cat "$folder/key")"
export CGD_SERVER_KEY
echo "servers: $(addresses | paste -sd ' ')"
exec "$@" --set "teacher.base_url=[$(addresses | sed 's/.*/"&"/' | paste -sd ,)]"

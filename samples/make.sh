#!/bin/bash
# Records the sample captures from nothing, as root, on Debian: nginx serves JSON to curl and wrk over a veth pair between two
# network namespaces, tcpdump records on the client's side, offloads are off so that segments are 1,448 bytes.
#
#   sudo samples/make.sh            writes samples/*.pcap and samples/truth.json (what nginx logged, what was served)
#
# Needs: iproute2 (tc with tbf) ethtool nginx tcpdump curl wrk python3 redis-server redis-tools. Leaves nothing running and no namespace behind. Addresses are 10.77.0.1
# (server) and 10.77.0.2 (client), fd77::1 and fd77::2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "run as root: it makes network namespaces and captures" >&2; exit 1; }
work=$(mktemp -d)
SRV=pcapflow-srv CLI=pcapflow-cli
cleanup() {
  [ ! -s "$work/shop.pid" ] || kill "$(cat "$work/shop.pid")" 2>/dev/null || true
  [ ! -s "$work/login.pid" ] || kill "$(cat "$work/login.pid")" 2>/dev/null || true
  [ ! -s "$work/formats.pid" ] || kill "$(cat "$work/formats.pid")" 2>/dev/null || true
  [ ! -s "$work/redis.pid" ] || kill "$(cat "$work/redis.pid")" 2>/dev/null || true
  [ ! -s "$work/nginx.pid" ] || kill "$(cat "$work/nginx.pid")" 2>/dev/null || true
  sleep 0.3
  ip netns del $CLI 2>/dev/null || true
  ip netns del $SRV 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
mkdir -p "$work/www"
python3 - "$work/www" <<'PY'
import json, random, sys
r = random.Random(7)
def item(i):
    return {"id": i, "name": f"item-{i}", "price": round(r.random() * 100, 2), "tags": [r.choice(["red", "green", "blue"]) for _ in range(3)],
            "owner": {"name": f"Zoë {i}", "address": {"city": "Łódź", "zip": None}}, "active": i % 2 == 0}
for name, n in (("one", 1), ("page", 60), ("list", 900)):
    with open(f"{sys.argv[1]}/{name}.json", "w") as f:
        json.dump({"page": 1, "items": [item(i) for i in range(n)]}, f, ensure_ascii=False)
open(f"{sys.argv[1]}/blob.bin", "wb").write(r.randbytes(120_000))
open(f"{sys.argv[1]}/big.bin", "wb").write(r.randbytes(1_000_000))
PY
cat > "$work/nginx.conf" <<CONF
user root; worker_processes 1; daemon on; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 1024; }
http {
  log_format truth escape=json '{"method":"\$request_method","uri":"\$uri","status":\$status,"body_bytes":\$body_bytes_sent,"port":\$remote_port}';
  access_log $work/access.log truth;
  keepalive_requests 100000; sendfile on; tcp_nopush on;
  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  types { application/json json; application/octet-stream bin; }
  server {
    listen 8080; listen [::]:8080; root $work/www;
    location /gzip/ { gzip on; gzip_types application/json; alias $work/www/; }
    location /chunked/ { ssi on; ssi_types application/json; alias $work/www/; }
    location = /none { return 204; }
    location = /fail { default_type application/json; return 500 '{"error":"boom"}'; }
    location = /api { default_type application/json; return 200 '{"ok":true}'; }
    location = /broken { default_type application/json; return 200 '{"ok":tru, "items":[1,2'; }
  }
}
CONF
ip netns add $SRV; ip netns add $CLI
ip link add pcf-s netns $SRV type veth peer name pcf-c netns $CLI
ip -n $SRV addr add 10.77.0.1/24 dev pcf-s; ip -n $CLI addr add 10.77.0.2/24 dev pcf-c
ip -n $SRV addr add fd77::1/64 dev pcf-s nodad; ip -n $CLI addr add fd77::2/64 dev pcf-c nodad
for pair in "$SRV pcf-s" "$CLI pcf-c"; do set -- $pair; ip -n "$1" link set "$2" up; ip -n "$1" link set lo up; ip netns exec "$1" ethtool -K "$2" tso off gso off gro off >/dev/null 2>&1 || true; done
ip netns exec $SRV nginx -c "$work/nginx.conf"
sleep 0.5

record() {   # NAME TCPDUMP-OPTIONS... -- COMMAND...
  local name=$1; shift
  local opts=()
  while [ "$1" != -- ]; do opts+=("$1"); shift; done; shift
  : > "$work/access.log"
  ip netns exec $CLI tcpdump -Z root -i pcf-c -U -w "$work/$name.pcap" "${opts[@]}" tcp 2> "$work/$name.log" &
  local pid=$!
  sleep 1
  ip netns exec $CLI "$@" > "$work/out" 2>&1 || true
  sleep 1
  kill -INT $pid; wait $pid || true
  cp "$work/access.log" "$work/$name.truth"
  cp "$work/$name.pcap" "$here/$name.pcap"
  echo "$name: $(stat -c %s "$here/$name.pcap") bytes, $(wc -l < "$work/$name.truth") requests, $(grep dropped "$work/$name.log")"
}
U=http://10.77.0.1:8080
record json-api -- sh -c "curl -s $U/one.json $U/page.json $U/api $U/list.json; curl -s $U/page.json; curl -s $U/broken"
record gzip-chunked -- sh -c "curl -s --compressed $U/gzip/page.json $U/gzip/list.json $U/gzip/one.json; curl -s $U/chunked/page.json $U/chunked/list.json"
record pipelined -- python3 -c "
import socket
s = socket.create_connection(('10.77.0.1', 8080))
paths = ['/one.json', '/api', '/page.json', '/none', '/missing', '/one.json'] * 5
s.sendall(b''.join(b'GET %s HTTP/1.1\r\nHost: pipelined\r\n\r\n' % p.encode() for p in paths))
s.shutdown(socket.SHUT_WR)
while s.recv(65536): pass
"
record statuses -- sh -c "curl -s -I $U/page.json $U/api; curl -s $U/none $U/fail $U/missing; E=\$(curl -sI $U/one.json | tr -d '\r' | sed -n 's/^ETag: //p'); curl -s -H \"If-None-Match: \$E\" $U/one.json; curl -s -r 100-199 $U/page.json; curl -s -X POST -H 'Content-Type: application/json' -d '{\"name\": \"x\", \"tags\": [1, 2, 3]}' $U/page.json"
record opaque -- sh -c "curl -s -o /dev/null $U/blob.bin $U/blob.bin"
record ipv6 -- sh -c "curl -s 'http://[fd77::1]:8080/page.json' 'http://[fd77::1]:8080/api' 'http://[fd77::1]:8080/list.json'"
record keepalive -- wrk -t1 -c4 -d1s --latency $U/api
ip netns exec $SRV redis-server --port 6379 --bind 10.77.0.1 --protected-mode no --save '' --daemonize yes --pidfile "$work/redis.pid" > /dev/null
sleep 0.5
R="redis-cli -h 10.77.0.1"
record redis -- sh -c "$R SET greeting 'hello, world'; $R GET greeting; $R GET nothing; $R INCRBY visits 41; $R HSET user:1 name Zoë city Łódź; $R -3 HGETALL user:1; $R INCR greeting; head -c 20000 /dev/zero | tr '\\0' x | $R -x SET page; $R GET page; redis-benchmark -h 10.77.0.1 -q -c 1 -n 12 -P 6 -t lpush,lrange_100"
# a service some of which is slow or fails, behind a link that drops what its queue does not hold: real loss on the network, before the capture
ip -n $CLI addr add 10.77.0.3/24 dev pcf-c
for pair in "$SRV pcf-s" "$CLI pcf-c"; do set -- $pair; ip netns exec "$1" ethtool -K "$2" tx off > /dev/null 2>&1 || true; done
ip netns exec $SRV tc qdisc add dev pcf-s root tbf rate 16mbit burst 6k limit 30k
ip netns exec $SRV python3 "$here/shop.py" serve 8090 "$work/access.log" & echo $! > "$work/shop.pid"
sleep 0.5
S="python3 $here/shop.py ask http://10.77.0.1:8090"
record shop -- sh -c "$S; $S 10.77.0.3"
ip netns exec $SRV tc qdisc del dev pcf-s root
ip netns exec $SRV python3 "$here/login.py" 8091 "$work/access.log" & echo $! > "$work/login.pid"
sleep 0.5
L=http://10.77.0.1:8091
record login -- sh -c "cd $work; curl -s -c jar -d 'user=alice&password=correct-horse-battery' $L/login; curl -s --compressed -b jar -H 'Authorization: Bearer tok_9Kd3nQ7xVb2LmZ8sWp4RtY6h' '$L/account?view=full' '$L/whoami?access_token=tok_9Kd3nQ7xVb2LmZ8sWp4RtY6h' $L/photo.png"
ip netns exec $SRV python3 "$here/formats.py" 8092 "$work/access.log" & echo $! > "$work/formats.pid"
sleep 0.5
F=http://10.77.0.1:8092
printf '{"album": "summer", "tags": ["sea", "sun"]}' > "$work/meta.json"
head -c 3000 "$work/www/blob.bin" > "$work/sea.jpg"
record formats -- sh -c "cd $work; J='Content-Type: application/json'; curl -s $F/deployment $F/broken; curl -s -d user=alice --data-urlencode 'payload={\"action\": \"opened\", \"issue\": {\"number\": 17, \"labels\": [\"bug\"]}}' $F/hook; curl -s -F 'meta=@meta.json;type=application/json' -F title=Sea -F 'photo=@sea.jpg;type=image/jpeg' $F/photos; for q in 'query Orders(\$n: Int) { orders(first: \$n) { id total } }' 'mutation Pay { pay(order: 3) { ok } }' '{ viewer { id } }'; do curl -s -H \"\$J\" -d \"{\\\"query\\\": \\\"\$q\\\"}\" $F/graphql; done; curl -s -H \"\$J\" -d '{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stock.get\", \"params\": [17]}' $F/rpc; curl -s -H \"\$J\" -d '[{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stock.get\"}, {\"jsonrpc\": \"2.0\", \"id\": 2, \"method\": \"stock.set\"}]' $F/rpc"
head_of() { python3 "$here/reshape.py" "$@"; }
# tcpdump with a buffer that is too small for the load: real loss by the capture itself
record lossy -B 64 -s 0 -- wrk -t1 -c8 -d1s $U/list.json
head_of cut "$here/lossy.pcap" "$here/lossy.pcap" 500
head_of cut "$here/keepalive.pcap" "$here/keepalive.pcap" 2000
head_of midstream "$here/json-api.pcap" "$here/midstream.pcap"
head_of vlan "$here/json-api.pcap" "$here/vlan.pcap"
head_of reorder "$here/gzip-chunked.pcap" "$here/reordered.pcap"
python3 - "$work" "$here/truth.json" <<'PY'
import hashlib, json, pathlib, sys
work = pathlib.Path(sys.argv[1])
served = {p.name: {"bytes": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in sorted((work / "www").iterdir())}
logs = {p.stem: [json.loads(line) for line in p.read_text().splitlines()] for p in sorted(work.glob("*.truth")) if p.stem not in ("lossy", "keepalive", "redis")}
with open(sys.argv[2], "w") as f:
    f.write(json.dumps({"served": served, "requests": logs}, indent=1) + "\n")
PY
chmod 644 "$here"/*.pcap "$here/truth.json"

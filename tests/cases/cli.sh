#!/bin/sh
# The command line of the real binary: help, wrong use, check, explain, map, sandbox's refusals.
#
#     tests/cases/cli.sh BINARY
#
# The last line is "N passed, N failed".
binary=$(readlink -f "$1") || exit 2
cd "$(dirname "$0")/../.." || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

# try CODE "ARGUMENTS" WORD…: runs the binary (standard input is $folder/in); its exit code must be
# CODE, and its output on both sides must hold every WORD (or none that begins with "!").
try() {
    code=$1 arguments=$2
    shift 2
    # shellcheck disable=SC2086 # the arguments are words
    "$binary" $arguments <"$folder/in" >"$folder/out" 2>&1
    got=$?
    why=
    [ "$got" = "$code" ] || why="exit code $got, not $code"
    for word in "$@"; do
        case $word in
        !*) grep -qF -- "${word#!}" "$folder/out" && why="$why; says \"${word#!}\"" ;;
        *) grep -qF -- "$word" "$folder/out" || why="$why; does not say \"$word\"" ;;
        esac
    done
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "  FAIL  sluice $arguments: $why"
    head -n 20 "$folder/out" | sed 's/^/        /'
}

: >"$folder/in"
try 0 "version" "sluice 0."
try 0 "--version" "sluice 0."
try 0 "--help" serve check explain map sandbox version --help-config --secret-key-file
try 0 "check --help" "--mappings" "!sandbox"
try 0 "map --from x -h" "--operation"
try 0 "--help-config" "targets.NAME.endpoint" "default 15000" "store.retention_s" "needs a restart"
for command in serve check explain map sandbox version; do
    try 0 "$command --help" "sluice $command"
done

# Wrong use
try 2 "" "a command is needed"
try 2 "serv" "did you mean" serve
try 2 "--nonsense" "no command"
try 2 "serve" "--config"
try 2 "serve --config" "needs a value"
try 2 "serve --confg x" "did you mean --config"
try 2 "serve --config a --config b" twice
try 2 "serve -c x" "-c"
try 2 "serve x --config a" serve
try 2 "version x" version
try 2 "map --lenient=yes" "takes no value"
try 2 "map --from canonical" "--operation"
try 2 "map --from canonical --to canonical --operation crate" crate
try 2 "map --from canonical --to canonical --operation create --side left" side
try 2 "map --from canonical --to canonical --operation create --parameter x" NAME=VALUE
try 2 "map --from canonical --to canonical --operation create a b" map
try 2 "explain otc-vpc" explain
try 2 "explain otc-vpc crate" crate
try 2 "explain otc-vpc create x" explain
try 2 "explain sign md5" explain

# check
try 0 "check" "otc-vpc: " "otc-er: " "alibaba-vpc: " "cases proven both ways"
try 0 "check --mappings mappings" "rows"
try 0 "check --mappings=mappings" "rows"
try 0 "check mappings/otc-vpc.json" "otc-vpc: " "!otc-er: "
try 1 "check mappings/none.json" "mappings/none.json"
try 1 "check --mappings /nonexistent" "/nonexistent"
try 1 "check --config /nonexistent/gateway.json" "/nonexistent/gateway.json"
printf '{"dialect": "x"' >"$folder/half.json"
try 1 "check $folder/half.json" "half.json:1:"
printf '{"dialect": "empty", "felds": []}' >"$folder/empty.json"
try 1 "check $folder/empty.json" "empty.json: /felds" fields
printf 'sandbox-text' >"$folder/sk"
cat >"$folder/good.json" <<END
{"listen": [{"address": "127.0.0.1:0"}], "mappings": "mappings", "store": {"sqlite": "x"},
 "targets": {"net": {"dialect": "otc-vpc", "endpoint": "https://vpc.example",
  "parameters": {"project_id": "b2782e6708b8475c993e6064bc456bf8"},
  "credentials": {"scheme": "sdk-hmac-sha256", "access_key": {"value": "AK"},
                  "secret_key": {"file": "$folder/sk"}}},
  "keep": {"dialect": "memory"}}}
END
try 0 "check --config $folder/good.json" "2 targets" "otc-vpc: " "!keeps no journal"
try 1 "check --config $folder/good.json --mappings $folder" "/targets/net/dialect" "half.json:1:"
sed 's/"endpoint"/"endpont"/; s/vpc\.example/x/; s/"127/"x127/' "$folder/good.json" >"$folder/bad.json"
try 1 "check --config $folder/bad.json" "bad.json: /targets/net/endpont: " \
    "bad.json: /targets/net/endpoint: " "bad.json: /listen/0/address: " "!rows"
try 1 "serve --config $folder/bad.json" "bad.json: /targets/net/endpont: "
sed 's/{"file"[^}]*}/"sandbox-text"/' "$folder/good.json" >"$folder/open.json"
try 1 "check --config $folder/open.json" "/credentials/secret_key" "!sandbox-text"

# explain
for operation in create get list delete; do
    try 0 "explain otc-vpc $operation" "/fl/flow_logs"
done
try 0 "explain net create --config $folder/good.json" "/fl/flow_logs"
try 0 "explain --mappings mappings alibaba-vpc create" "CreateFlowLog"
try 1 "explain otc-vpx create" "did you mean" otc-vpc
try 1 "explain keep create --config $folder/good.json" memory
try 1 "explain sign md5 $folder/sk" md5
try 1 "explain sign sdk-hmac-sha25 $folder/sk" "did you mean" sdk-hmac-sha256
try 1 "explain sign sdk-hmac-sha256 /nonexistent" "/nonexistent"
try 1 "explain sign sdk-hmac-sha256 $folder/half.json"
try 0 "explain sign sdk-hmac-sha256 tests/vectors/sdk-hmac-sha256/vectors.json" \
    canonical_request string_to_sign "SDK-HMAC-SHA256"

# map
cat >"$folder/create.json" <<'END'
{"name": "edge-reject", "resource_type": "vpc", "resource_id": "05c4052d-8d14-488f-aa00-19fea5a25fde",
 "traffic_type": "reject", "destination": {"type": "lts",
 "group": "05c4052d-8d14-488f-aa00-19fea5a25fdd", "stream": "a9d7dee7-37d2-4cba-a208-a016252aaa63"}}
END
try 0 "map --from canonical --to otc-vpc --operation create $folder/create.json" \
    '"flow_log"' '"log_topic_id"' '"loss"'
cp "$folder/create.json" "$folder/in"
try 0 "map --from canonical --to otc-vpc --operation create -" '"flow_log"'
try 0 "map --from canonical --to otc-vpc --operation create" '"flow_log"'
"$binary" map --from canonical --to otc-vpc --operation create <"$folder/in" |
    python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["document"]))' >"$folder/in2"
mv "$folder/in2" "$folder/in"
try 0 "map --from otc-vpc --to canonical --operation create" '"resource_type": "vpc"' edge-reject
cp "$folder/create.json" "$folder/in"
try 0 "map --from canonical --to canonical --operation create" '"document"' edge-reject
try 1 "map --from canonical --to otc-vpc --operation create $folder/half.json" ":"
try 1 "map --from canonical --to otc-vpc --operation create /nonexistent" "/nonexistent"
try 1 "map --from canonical --to otc --operation create" "no mapping table"
sed 's/"reject"/"rejct"/; s/"name"/"nme"/' "$folder/create.json" >"$folder/in"
try 1 "map --from canonical --to otc-vpc --operation create" "/traffic_type" "/nme" name
sed 's/"traffic_type"/"index": true, "aggregation_interval": 600, "traffic_type"/' \
    "$folder/create.json" >"$folder/in"
try 1 "map --from canonical --to otc-vpc --operation create" "/aggregation_interval"
try 0 "map --from canonical --to otc-vpc --operation create --lenient" '"loss"' \
    '"/aggregation_interval"' '"request"'

# What only the first dialect knows does not reach the second one.
cat >"$folder/in" <<'END'
{"flow_log": {"id": "f6d1d2c5-0f7b-4e7c-8f6c-2f5f5d1f9a10", "name": "edge", "description": "",
 "tenant_id": "b2782e6708b8475c993e6064bc456bf8", "resource_type": "vpc",
 "resource_id": "05c4052d-8d14-488f-aa00-19fea5a25fde", "traffic_type": "all",
 "log_group_id": "05c4052d-8d14-488f-aa00-19fea5a25fdd",
 "log_topic_id": "a9d7dee7-37d2-4cba-a208-a016252aaa63", "created_at": "2019-01-14T11:03:02",
 "updated_at": "2019-01-14T11:03:02", "admin_state": true, "status": "ACTIVE", "odd": 0.10}}
END
try 0 "map --from otc-vpc --to canonical --operation get --side reply" '"odd": 0.10' '"native"'
try 0 "map --from otc-vpc --to otc-vpc --operation get --side reply" '"odd": 0.10' '"ACTIVE"'
try 0 "map --from otc-vpc --to alibaba-vpc --operation get --side reply" "/native/odd" \
    "only the dialect it came from" '"reply"'

# From dialect to dialect: a list as a whole, a create in the other cloud's words, and what does not travel.
try 0 "map --help" "from one dialect to another" "--parameter"
cat >"$folder/in" <<'END'
{"flow_logs": [{"id": "f6d1d2c5-0f7b-4e7c-8f6c-2f5f5d1f9a10", "name": "one", "status": "ACTIVE", "admin_state": true},
 {"id": "f6d1d2c5-0f7b-4e7c-8f6c-2f5f5d1f9a11", "name": "two", "status": "DOWN", "admin_state": false}]}
END
try 0 "map --from otc-vpc --to otc-er --operation list --side reply" '"one"' '"two"' '"available"'
cat >"$folder/in" <<'END'
{"FlowLogName": "edge", "ResourceType": "VSwitch", "ResourceId": "vsw-1", "TrafficType": "All",
 "ProjectName": "flow-project", "LogStoreName": "flow-store", "TrafficPath.1": "all"}
END
try 1 "map --from alibaba-vpc --to otc-vpc --operation create" "/destination/type" "/resource_id" \
    "/native/TrafficPath.1" "only the dialect it came from"
sed 's/VSwitch/Switch/' "$folder/in" >"$folder/in2" && mv "$folder/in2" "$folder/in"
try 1 "map --from alibaba-vpc --to otc-vpc --operation create" "/ResourceType" "!/resource_type"
try 1 "map --from canonical --to otc-vpc --operation get" "no document in the request of get"

# sandbox: what it refuses
try 1 "sandbox --listen 0.0.0.0" "--access-key" "--secret-key-file"
try 1 "sandbox --listen 0.0.0.0 --access-key x" "--secret-key-file"
try 1 "sandbox --listen example.net" "--listen"
try 1 "sandbox --port 65535" "--port"
try 1 "sandbox --port x" "--port"
try 1 "sandbox --mappings /nonexistent" "/nonexistent"
try 1 "sandbox --access-key x --secret-key-file /nonexistent" "/nonexistent"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

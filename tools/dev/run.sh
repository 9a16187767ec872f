# ./dev run: the platform on the embedded default with a sample extension that is signed, published, installed and
# called. Data, keys and the admin token stay in build/run (BULKHEAD_RUN_DIR names another folder) for the next time.

RUN_ORG=demo RUN_EXTENSION=com.example.hello

# run_step TEXT COMMAND …: quiet unless it fails.
run_step() {
  local text=$1 log=$BH_RUN/step.log
  shift
  echo "  $text" >&2
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "./dev run: failed: $text" >&2
    return 1
  }
}

# Waits for {"event":"ready","address":…} and prints the address. The file is serve's log.
ready_address() {
  local log=$1 pid=$2 address tries=600
  while [ $tries -gt 0 ]; do
    address=$(sed -n 's/.*"event":"ready".*"address":"\([^"]*\)".*/\1/p' "$log" | head -n 1)
    [ -z "$address" ] || { echo "$address"; return 0; }
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
    tries=$((tries - 1))
  done
  tail -n 20 "$log" >&2
  echo "./dev run: the server did not become ready; its log is $log" >&2
  return 1
}

# A version that is not published yet: 1.0.0, then 1.0.1, … (versions never change once they are published).
next_version() {
  local last
  last=$(cat "$BH_RUN/version" 2>/dev/null || echo "1.0.-1")
  echo "1.0.$((${last##*.} + 1))"
}

# Builds, signs, publishes and installs the sample as a new version.
publish_sample() {
  local version sample=$BH_RUN/hello
  version=$(next_version)
  rm -rf "$sample"
  mkdir -p "$sample"
  run_step "build the sample (AssemblyScript)" examples/hello/build.sh
  cp -r examples/hello/dist "$sample/"
  sed "s/\"version\": \"[^\"]*\"/\"version\": \"$version\"/" examples/hello/manifest.json >"$sample/manifest.json"
  run_step "pack $RUN_EXTENSION $version" "$bulkhead" ext pack "$sample" -o "$BH_RUN/hello.tar.zst"
  run_step "sign it" "$bulkhead" ext sign "$BH_RUN/hello.tar.zst" --key "$BH_RUN/signing.key"
  run_step "publish it" "$bulkhead" ext publish "$BH_RUN/hello.tar.zst"
  run_step "install it for the organization $RUN_ORG" \
    "$bulkhead" ext install "$RUN_EXTENSION@$version" --org "$RUN_ORG" --grant log.emit
  echo "$version" >"$BH_RUN/version"
}

dev_run() {
  local once='' listen=${BULKHEAD_RUN_LISTEN:-127.0.0.1:8080} bulkhead=$BH_ROOT/build/bulkhead
  while [ $# -gt 0 ]; do
    case $1 in
      --once) once=1 ;;                 # stop after the sample has answered; a test's use
      --publish) RUN_PUBLISH=1 ;;       # the third command: publish the sample again into a running platform
      --listen) listen=$2; shift ;;
      *)
        echo "usage: ./dev run [--listen HOST:PORT] [--once] | ./dev run --publish" >&2
        return 2
        ;;
    esac
    shift
  done
  BH_RUN=${BULKHEAD_RUN_DIR:-$BH_ROOT/build/run}
  # The server takes every BULKHEAD_… variable for a setting; these are ./dev's own.
  unset BULKHEAD_RUN_DIR BULKHEAD_RUN_LISTEN BULKHEAD_CACHE
  require_setup system python node
  dev_build bulkhead
  mkdir -p "$BH_RUN"
  chmod 700 "$BH_RUN"
  if [ -n "${RUN_PUBLISH:-}" ]; then
    [ -f "$BH_RUN/env" ] || { echo "./dev run --publish: start ./dev run first" >&2; return 1; }
    # shellcheck source=/dev/null
    . "$BH_RUN/env"
    publish_sample
    echo "published $(cat "$BH_RUN/version"); the next call uses it" >&2
    return
  fi
  start_platform
}

# What is made once: a signing key that the platform trusts, an organization, and a key for it. $1 is the admin token.
make_identity() {
  [ ! -s "$BH_RUN/api.key" ] || return 0
  rm -f "$BH_RUN"/signing.key "$BH_RUN"/signing.key.pub
  export BULKHEAD_TOKEN=$1
  run_step "make a signing key" "$bulkhead" ext keygen -o "$BH_RUN/signing.key"
  run_step "trust it" "$bulkhead" trust add "$BH_RUN/signing.key.pub"
  run_step "make the organization $RUN_ORG" "$bulkhead" org create "$RUN_ORG"
  (umask 077 && "$bulkhead" key create --org "$RUN_ORG" --role developer --name dev-run --json >"$BH_RUN/key.json")
  (umask 077 && sed -n 's/.*"key" *: *"\([^"]*\)".*/\1/p' "$BH_RUN/key.json" | head -n 1 >"$BH_RUN/api.key")
  rm "$BH_RUN/key.json"
}

start_platform() {
  local address pid
  [ -s "$BH_RUN/admin.token" ] || (umask 077 && head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$BH_RUN/admin.token")
  : >"$BH_RUN/serve.log" # before the start, or the last run's address could be read from it
  PLATFORM_API_ADMIN_TOKEN=$(cat "$BH_RUN/admin.token") "$bulkhead" serve --data-dir "$BH_RUN/data" --listen "$listen" \
    >"$BH_RUN/serve.log" 2>&1 &
  pid=$!
  # shellcheck disable=SC2064 # the process that was started now
  trap "kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null || true" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  address=$(ready_address "$BH_RUN/serve.log" "$pid")
  export BULKHEAD_SERVER=http://${address#http://}
  make_identity "$(cat "$BH_RUN/admin.token")"
  BULKHEAD_TOKEN=$(cat "$BH_RUN/api.key")
  export BULKHEAD_TOKEN
  (umask 077 && printf 'export BULKHEAD_SERVER=%q BULKHEAD_TOKEN=%q\n' "$BULKHEAD_SERVER" "$BULKHEAD_TOKEN" >"$BH_RUN/env")
  publish_sample
  run_step "call it" "$bulkhead" ext invoke "$RUN_EXTENSION" GET /hello/you
  cat <<TEXT

  Bulkhead is running.

    address   $BULKHEAD_SERVER
    key       $BULKHEAD_TOKEN   (organization $RUN_ORG)

  Try, in another terminal:

    export BULKHEAD_SERVER=$BULKHEAD_SERVER BULKHEAD_TOKEN=$BULKHEAD_TOKEN

    build/bulkhead ext invoke $RUN_EXTENSION GET /hello/you     # call it
    build/bulkhead ext logs -f $RUN_EXTENSION                   # follow its log
    ./dev run --publish                                         # after a change to examples/hello/assembly/index.ts

  Ctrl-C stops it. Data and keys are in $BH_RUN, the server's log is $BH_RUN/serve.log.
TEXT
  [ -n "$once" ] || wait "$pid"
}

# ./dev test --fresh [COMMAND …]: proves on a bare Debian 12 (debootstrap, minbase, entered with bubblewrap: no sudo, curl,
# python3, git or compiler) that ./dev brings all that it needs. Default command: run --once. Needs root, 12 GB of disk and,
# on 2 cores, about half an hour.

fresh_mirror() {
  # The mirror that this machine's apt uses, unless one is named.
  echo "${BULKHEAD_DEBIAN_MIRROR:-$(apt-cache policy | sed -n 's/.* \(http[^ ]*\) bookworm\/main .*/\1/p' | head -n 1)}"
}

# How this machine reaches the network (names, proxies, certificate authorities, settings of package clients) is not part
# of the promise, so the fresh one gets the same.
copy_network_settings() {
  local root=$1 file
  for file in /etc/hosts /etc/resolv.conf /etc/pip.conf "$HOME/.npmrc" "$HOME/.cargo/config.toml" \
    "$HOME/.config/pip/pip.conf"; do
    [ -f "$file" ] || continue
    mkdir -p "$root$(dirname "${file/#$HOME//root}")"
    cp -L "$file" "$root${file/#$HOME//root}"
  done
  for file in /usr/local/share/ca-certificates/*.crt /etc/apt/apt.conf.d/*proxy*; do
    [ -f "$file" ] || continue
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
  done
}

network_environment() {
  env -0 | grep -zE '^([a-z]+_proxy|[A-Z]+_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|CARGO_HTTP_[A-Z]+|PIP_(CERT|INDEX_URL|DEFAULT_TIMEOUT)|GO(PROXY|SUMDB|NOSUMDB))=' || true
}

make_fresh_root() {
  local root=$1 mirror
  mirror=$(fresh_mirror)
  rm -rf "$root"
  mkdir -p "$root"
  echo "making a bare Debian 12 in $root" >&2
  debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    return 1
  }
  cat >"$root/etc/apt/sources.list" <<TEXT
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${mirror%/debian}/debian-security bookworm-security main
TEXT
  copy_network_settings "$root"
  mkdir -p "$root/src"
  tar -c --exclude=./build --exclude=./.git --exclude=node_modules --exclude=dist . | tar -x -C "$root/src"
}

# in_fresh ROOT COMMAND …
in_fresh() {
  local root=$1 settings=() setting
  shift
  while IFS= read -r -d '' setting; do settings+=(--setenv "${setting%%=*}" "${setting#*=}"); done < <(network_environment)
  bwrap --bind "$root" / --proc /proc --dev /dev --perms 1777 --tmpfs /tmp --tmpfs /run --perms 1777 --tmpfs /dev/shm --unshare-pid --unshare-ipc \
    --unshare-uts --hostname fresh --die-with-parent --cap-add ALL --clearenv --setenv HOME /root \
    --setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --setenv LANG C.UTF-8 "${settings[@]}" \
    --chdir /src -- "$@"
}

test_fresh() {
  local root=${BULKHEAD_FRESH_ROOT:-$BH_CACHE/fresh} output
  [ $# -gt 0 ] || set -- run --once
  if [ "$(id -u)" != 0 ]; then
    echo "./dev test --fresh: debootstrap needs root" >&2
    return 1
  fi
  command -v debootstrap bwrap >/dev/null || install_packages debootstrap bubblewrap
  make_fresh_root "$root"

  # Without root ./dev must say which one line is needed, and fail.
  if output=$(in_fresh "$root" setpriv --reuid=65534 --regid=65534 --clear-groups \
    env BULKHEAD_CACHE=/tmp/cache ./dev build 2>&1); then
    echo "fresh: ./dev build did not fail without root" >&2
    return 1
  fi
  if [ "$(grep -c '^apt-get update && apt-get install' <<<"$output")" != 1 ]; then
    printf 'fresh: without root ./dev build did not name the one line:\n%s\n' "$output" >&2
    return 1
  fi
  echo "fresh: without root ./dev names the one line that is needed" >&2

  in_fresh "$root" ./dev "$@"
  echo "fresh: ./dev $* works on a bare Debian 12"
  rm -rf "$root" "$root.log"
}

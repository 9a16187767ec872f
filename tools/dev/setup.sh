# ./dev setup: Debian packages, Rust, Node and Go tools.

require_setup() { :; }
dev_setup() { :; }

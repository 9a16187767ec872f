# ./dev bench: see bench/README.md. Figures go to standard output, one per line; what is going on, to standard error.

dev_bench() {
  require_setup system python node
  PYTHONPATH=$BH_ROOT/bench "$BH_VENV/bin/python" bench/run.py "$@"
}

#!/usr/bin/env bash
# Runs every target for so many seconds, 600 where none are given, and prints what was tried: tests/fuzz/run.sh [SECONDS]
# TARGETS="npy npz" runs these alone. Needs `cargo install cargo-fuzz` and a nightly compiler; fails if an input crashes.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-600}
cargo +nightly fuzz build --fuzz-dir .
built=${CARGO_TARGET_DIR:-target}/$(rustc +nightly --print host-tuple)/release
# Inputs are files in a folder in memory, where there is one.
TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
"$built/seeds" corpus
# The threads of the image reader: one at a time, or coverage would depend on chance.
export RAYON_NUM_THREADS=1

crashed=0
printf '%-18s %12s %8s %8s %8s\n' target executions seconds edges crashes | tee results.txt
for target in ${TARGETS:-$(sed -n 's/^path = "targets\/\(.*\)\.rs"/\1/p' Cargo.toml)}; do
  mkdir -p "corpus/$target" "artifacts/$target"
  log=artifacts/$target/log
  # What a file of 16 KiB may need: the largest is an image, 64 MiB in memory, copied a few times.
  "$built/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -max_len=16384 \
    -timeout=30 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 >"$log" 2>&1 && crashes=0 || crashes=1
  crashed=$((crashed + crashes))
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  took=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
  edges=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -c6-)
  printf '%-18s %12s %8s %8s %8s\n' "$target" "${executions:--}" "${took:--}" "${edges:--}" "$crashes" | tee -a results.txt
done
exit $((crashed > 0))

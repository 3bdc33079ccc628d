#!/usr/bin/env bash
# Everything that is to be known of a GPU, in one folder, within 8 minutes. For Linux.
#
#   benches/gpu.sh pack [FILE]         where Rust is: builds, strips and packs the binaries [target/gpu.tar.xz]
#   benches/gpu.sh run [FILE]          where the GPU is, in a checkout of the same commit
#   benches/gpu.sh suite [FILE]        likewise: the integration tests, which need an adapter; minutes more
#
# The environment says the rest:
#
#   DEVICE=gpu                         an adapter, as `vae-gpu devices` lists it
#   OUT=target/gpu-DATE                where the results go, a folder that is not there yet
#   WORKS="standard-128 ..."           of `vae-gpu bench`
#   PRODUCT=4096x4096x4096             the product of which the share of the peak is reported
#   PEAK=67000,4800                    what the card's data sheet says: GFLOP/s in f32 without tensor cores, GB/s
#   PYTHON=python3                     one with PyTorch for CUDA; none leaves the peers out
#   MINUTES=8                          no step is begun after that, and the one that runs then is ended
#
# What is written: devices.txt, check.txt, check.json, product.jsonl, bench-WORK.jsonl and kernels-WORK.jsonl, before tuning and after
# (tuned-*), profile.toml, peers-WORK.jsonl, steps.txt with what each step took and how it ended, and report.md with the tables.
set -euo pipefail
cd "$(dirname "$0")/.."

command=${1:-}
file=${2:-target/gpu.tar.xz}
device=${DEVICE:-gpu}
out=${OUT:-target/gpu-$(date +%Y%m%d-%H%M%S)}
works=${WORKS:-standard-128 standard-1024 wide-1024 conv-28 conv-64}
product=${PRODUCT:-4096x4096x4096}
python=${PYTHON:-python3}
most=$((60 << 20))

pack() {
  cargo build --release --locked
  local main
  main=$(cargo test --release --locked --no-run --test main --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\/main-[^"]*\)".*/\1/p' | tail -n 1)
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  strip -s -o "$folder/vae-gpu" target/release/vae-gpu
  strip -s -o "$folder/main" "$main"
  git rev-parse HEAD >"$folder/commit"
  pwd >"$folder/root"
  # One stream with a dictionary as long as both: the digits are in each.
  tar -C "$folder" -cf - vae-gpu main commit root | xz -T0 --lzma2=preset=6,dict=128MiB >"$file"
  local bytes
  bytes=$(stat -c %s "$file")
  echo "$file: $((bytes >> 20)) MiB"
  [ "$bytes" -lt "$most" ] || { echo "error: $file has $bytes bytes: at most $most are allowed" >&2; exit 1; }
}

unpack() {
  [ -s "$file" ] || { echo "error: there is no $file: make it with \`benches/gpu.sh pack\` where Rust is" >&2; exit 2; }
  binaries=$(mktemp -d)
  trap 'rm -rf "$binaries"' EXIT
  tar -C "$binaries" -xJf "$file"
  if [ "$(cat "$binaries/commit")" != "$(git rev-parse HEAD 2>/dev/null || cat "$binaries/commit")" ]; then
    echo "error: $file is of another commit than this checkout: pack it anew" >&2
    exit 2
  fi
}

# step NAME SECONDS FILE COMMAND...: runs it for so long at most, and for no longer than there is time; what it prints goes to the
# file, and how it went to steps.txt.
began=$SECONDS
limit=$((60 * ${MINUTES:-8}))
step() {
  local name=$1 seconds=$2 to=$3 left=$((limit - SECONDS + began)) started=$SECONDS status=0
  shift 3
  if [ "$left" -le 5 ]; then
    echo "$name: left out, no time" | tee -a "$out/steps.txt"
    return
  fi
  timeout -k 5 "$((left < seconds ? left : seconds))" "$@" >"$out/$to" || status=$?
  echo "$name: $((SECONDS - started)) s, exit code $status" | tee -a "$out/steps.txt"
}

run() {
  unpack
  mkdir -p "$(dirname "$out")"
  mkdir "$out"
  local vae_gpu=$binaries/vae-gpu pass work
  local bench=("$vae_gpu" bench --device "$device" --json)
  export VAE_GPU_PROFILE=none
  step devices 20 devices.txt "$vae_gpu" devices
  step check 150 check.txt "$vae_gpu" check --device "$device" --json "$out/check.json"
  step product 30 product.jsonl "${bench[@]}" --product "$product" --seconds 15
  for pass in "" tuned-; do
    if [ -n "$pass" ]; then
      step tune 60 tune.jsonl "${bench[@]}" --tune --seconds 2 --profile "$out/profile.toml"
      [ -s "$out/profile.toml" ] || break
      export VAE_GPU_PROFILE=$out/profile.toml
    fi
    for work in $works; do
      step "${pass}bench $work" 30 "${pass}bench-$work.jsonl" "${bench[@]}" --work "$work" --seconds 3
      step "${pass}kernels $work" 20 "${pass}kernels-$work.jsonl" "${bench[@]}" --work "$work" --kernels --seconds 1
    done
  done
  if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for work in $works; do
      step "peers $work" 60 "peers-$work.txt" "$python" benches/peers/run.py --binary "$vae_gpu" --python "$python" \
        --device "$device" --works "$work" --variants eager compiled graphs --rounds 10 --seconds 0.1 \
        --json "$out/peers-$work.jsonl"
    done
  else
    echo "peers: left out, $python has no PyTorch with CUDA" | tee -a "$out/steps.txt"
  fi
  python3 benches/gpu_report.py "$out" ${PEAK:+--peak "$PEAK"} | tee "$out/report.md"
}

# The tests look for the repository, and for the program, where they were built.
suite() {
  unpack
  local root
  root=$(cat "$binaries/root")
  if [ ! -e "$root" ]; then
    mkdir -p "$(dirname "$root")"
    ln -s "$PWD" "$root"
  fi
  mkdir -p target/release
  [ -e target/release/vae-gpu ] || cp "$binaries/vae-gpu" target/release/vae-gpu
  env "CARGO_BIN_EXE_vae-gpu=$binaries/vae-gpu" VAE_GPU_REQUIRE_ADAPTER=1 VAE_GPU_PROFILE=none INSTA_UPDATE=no "$binaries/main"
}

case $command in
pack | run | suite) "$command" ;;
*)
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
  ;;
esac

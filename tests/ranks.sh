#!/bin/sh
# Ranks of an MPI job, on this machine: tests/ranks.sh BINARY, one that was built with --features mpi.
# Every model ends in the same bytes on 1, 2 and 4 ranks, which share evaluations too; what can't be is refused; ranks that are killed at random (KILLS times, 3)
# leave a run that any number of ranks takes to the same bytes. DEVICE is cpu, or gpu;
# MPIRUN starts a job, where that is not Open MPI's.
set -eu
binary=$(realpath "$1")
kills=${KILLS:-3}
device=${DEVICE:-cpu}
mpirun=${MPIRUN:-mpirun --oversubscribe}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# A name by which its processes are found.
vae_gpu=$folder/rank-$$
cp "$binary" "$vae_gpu"
export VAE_GPU_PROFILE=none OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

ranks() {
    count=$1
    shift
    # shellcheck disable=SC2086 # it is words
    $mpirun -n "$count" "$vae_gpu" "$@" < /dev/null
}

checkpoint() {
    sha256sum < "$1/checkpoints/last.safetensors"
}

fail() {
    echo "FAILED: $*"
    exit 1
}

small="--data uniform:603x64 --batch-size 64 --shards 4 --epochs 3 --seed 3 --device $device"

# Every model, and what keeps state or looks at the whole gradient; the last batch lacks a shard.
while read -r options; do
    for count in 1 2 4; do
        # shellcheck disable=SC2086 # options are words
        ranks $count train $small $options --out "$count" > log 2>&1 || { cat log; fail "$options on $count ranks"; }
    done
    [ "$(checkpoint 1)" = "$(checkpoint 2)" ] && [ "$(checkpoint 1)" = "$(checkpoint 4)" ] \
        || fail "$options: ranks end in different bytes"
    echo "same bytes: $options"
    rm -r 1 2 4
done <<EOF
--hidden 16
--model ae --hidden 16 --clip-norm 0.1
--model collapsed --hidden 16
--model gan --hidden 16
--model iwae --samples 5 --hidden 16
--model contractive --hidden 16
--hidden 16 --prior vamp:8
--hidden 16 --beta auto:40
--hidden 16 --loss gaussian --variance optimal
--conv 4 --norm batch
EOF

# What ranks share of an evaluation, and of scores. Numbers of one rank, whose batches are those of the others.
# shellcheck disable=SC2086
ranks 1 train $small --hidden 16 --out run > log 2>&1 || { cat log; fail "a run to evaluate"; }
for count in 1 2 4; do
    ranks $count eval run --device "$device" --samples 20 --json - > "eval.$count" 2> log || { cat log; fail "eval on $count ranks"; }
    ranks $count score run --device "$device" --by likelihood --samples 20 --out "$count.csv" > log 2>&1 \
        || { cat log; fail "score on $count ranks"; }
    { cmp eval.1 "eval.$count" && cmp 1.csv "$count.csv"; } || fail "$count ranks find other numbers"
done
echo "same numbers: eval and score"

refused() {
    text=$1
    shift
    if "$@" > log 2>&1; then fail "$* is not refused"; fi
    grep -q -- "$text" log || { cat log; fail "$* does not say: $text"; }
    echo "refused: $text"
}
# shellcheck disable=SC2086
{
    refused "3 ranks must divide it" ranks 3 train $small --out refused
    refused "its configuration is" $mpirun -n 1 "$vae_gpu" train $small --out refused : \
        -n 1 "$vae_gpu" train $small --lr 0.5
    refused "its data is" $mpirun -n 1 "$vae_gpu" train $small --out refused : \
        -n 1 "$vae_gpu" train $(echo "$small" | sed s/uniform/normal/)
}
[ ! -e refused ] || fail "a refused run has a folder"

# Killed at random, and taken further by another number of ranks.
long="--data uniform:6003x64 --hidden 64 --batch-size 64 --shards 4 --epochs 20 --seed 3 --device $device"
# shellcheck disable=SC2086
ranks 1 train $long --out whole > log 2>&1 || { cat log; fail "a whole run"; }
killed=0
for turn in $(seq "$kills"); do
    rm -rf parts
    for count in 2 4 1; do
        if [ -e parts/config.toml ]; then set -- --resume parts; else set -- $long --out parts; fi
        ranks "$count" train "$@" > log 2>&1 &
        job=$!
        sleep "$(awk -v seed="$turn$count" 'BEGIN { srand(seed); print 0.3 + 1.2 * rand() }')"
        # One of its ranks, if the job has not ended.
        victim=$(pgrep -x "rank-$$" | shuf -n 1)
        if [ -n "$victim" ] && kill -9 "$victim" 2> /dev/null; then killed=$((killed + 1)); fi
        wait $job || true
    done
    if ! ranks 2 train --resume parts > log 2>&1; then
        grep -q "has 20 epochs already" log || { cat log; fail "turn $turn: it can't go on"; }
    fi
    [ "$(checkpoint whole)" = "$(checkpoint parts)" ] || fail "turn $turn: a killed run ends in other bytes"
    echo "resumed to the same bytes: $turn of $kills"
done
[ "$killed" -ge "$kills" ] || fail "only $killed ranks were killed in $kills turns: the runs are too short for this machine"
echo "$killed ranks killed in $kills turns"
echo "ranks: ok"

#!/usr/bin/env bash
# What an accelerator is asked for, in order of value, in at most 12 minutes on one GPU:
#
#   benchmarks/on_device.sh [gpu|tpu|cpu] [FOLDER]
#
#   1. exactness   whether the laws hold in float32 and with TF32 on
#   2. benchmarks  run_all.py --quick, with bandwidths next to a copy's
#   3. cells       finite volumes cell by cell against whole arrays
#   4. stefan      the Stefan study at its published size, for as long as is left
#
# JSON goes to FOLDER (benchmarks/results/gpu). Each part has its own limit, a part that
# has finished is not run again, and an interrupted one continues where it was: start the
# same command again. A part that fails does not stop the next ones; the exit status says
# whether all parts have finished. TOY=1 runs all of it at toy size, and BUDGET=SECONDS
# changes the 12 minutes.
set -u
cd "$(dirname "$0")/.."
device=${1:-gpu}
out=${2:-benchmarks/results/$device}
python=${PYTHON:-python}
toy=${TOY:+--toy}
begin=$SECONDS
budget=${BUDGET:-720}
case $device in gpu) platform=cuda ;; *) platform=$device ;; esac
export JAX_PLATFORMS=$platform
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$out/cache}
mkdir -p "$out"
failed=0

left() { echo $((budget - (SECONDS - begin))); }

# part NAME SECONDS COMMAND...: run a part unless it has finished.
part() {
  local name=$1 limit=$2 code=0
  shift 2
  if [ -e "$out/$name.done" ]; then
    echo "== $name: finished before"
    return
  fi
  [ "$limit" -gt "$(left)" ] && limit=$(left)
  if [ "$limit" -le 0 ]; then
    echo "== $name: no time left"
    failed=1
    return
  fi
  echo "== $name: at most $limit s"
  timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1 || code=$?
  if [ "$code" = 0 ]; then
    touch "$out/$name.done"
  else
    echo "   ended with status $code; the end of $out/$name.log:"
    tail -n 5 "$out/$name.log"
    failed=1
  fi
}

part exactness 150 "$python" benchmarks/device_exactness.py $toy \
  --output "$out/exactness.json"
part benchmarks 270 "$python" benchmarks/run_all.py --device "$device" --quick --resume \
  --timeout 90 ${TOY:+--only "${TOY_ONLY:-roofline}"} --output "$out/run_all.json"
part cells 90 "$python" benchmarks/device_cells.py $toy --output "$out/cells.json"

size=(--preset paper)
if [ -n "$toy" ]; then
  size=(--tasks.train 64 --tasks.per_parameter 1 --network.size 16 --training.steps 4
    --training.soft_steps 2 --training.batch 4 --repeats 1 --evaluation.nt 3
    --evaluation.nx 21 --evaluation.latent_samples 2 --evaluation.dense_latent_samples 2
    --evaluation.shock_samples 20)
fi
part stefan "$(left)" "$python" -m physcon run stefan "${size[@]}" --quiet --resume \
  --output "$out/stefan"
if [ -e "$out/stefan.done" ] && [ ! -e "$out/stefan.json" ]; then
  "$python" benchmarks/evidence.py stefan "$out/stefan" \
    "physcon run stefan ${size[*]}" --output "$out" || failed=1
fi
echo "== $((SECONDS - begin)) s; results in $out"
exit $failed

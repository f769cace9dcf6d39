#!/usr/bin/env bash
# Pre-train `small` on a GPU, in pieces of at most ten minutes, and bring back a model folder.
#
#   python recipes/pack.py pack CORPUS corpus.parquet     # where the recordings are: one file, 24 h in 26 MiB
#   bash recipes/pretrain-gpu.sh corpus.parquet OUT       # on the GPU machine; again until it says "finished"
#
# Every call goes on where the last one was killed; a kill at any moment is harmless. OUT gets the newest checkpoint in parts
# of 15 MB, so that the next call may run on a fresh machine (copy OUT there first), and in the end model/ and metrics.jsonl.
#
#   STEPS=100000  PIECE_S=540 (seconds a call)  WORK=/tmp/selfpab-gpu  PYTHON=python3  PRESET=small  BATCH=64
#
# Needs what pyproject.toml lists; without internet bring the wheels of constraints.txt (pip download) and install with
# pip --no-index. Expected on one H200: not measured yet. Tried on a CPU: the same with PRESET=tiny STEPS=400 PIECE_S=20.
set -euo pipefail
packed=$1 out=$2
steps=${STEPS:-100000} piece=${PIECE_S:-540} work=${WORK:-/tmp/selfpab-gpu} python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$work" "$out"

[ -f "$work/corpus/index.parquet" ] || "$python" "$here/recipes/pack.py" unpack "$packed" "$work/corpus"

run=$work/run
if [ ! -d "$run" ] && [ -f "$out/checkpoint/name" ]; then # a fresh machine: put the run together again, whole or not at all
  rm -rf "$run.part" && mkdir -p "$run.part"
  cp "$out"/{config.yaml,environment.json,metrics.jsonl} "$run.part/"
  cat "$out"/checkpoint/part-* >"$run.part/$(cat "$out/checkpoint/name")"
  mv "$run.part" "$run"
fi

status=0
# the batch is the one of the paper
timeout -s KILL "$piece" "$python" -m selfpab pretrain "$work/corpus" "$run" \
  preset="${PRESET:-small}" steps="$steps" batch="${BATCH:-64}" save_every="${SAVE_EVERY:-1000}" validate_every=1000 log_every=100 || status=$?

for name in config.yaml environment.json metrics.jsonl; do
  if [ -f "$run/$name" ]; then cp "$run/$name" "$out/"; fi
done
newest=$(ls "$run"/step-*.ckpt 2>/dev/null | tail -n 1 || true)
if [ -n "$newest" ]; then # the old parts go only when the new ones are complete
  rm -rf "$out/checkpoint.new" && mkdir "$out/checkpoint.new"
  split -b 15M "$newest" "$out/checkpoint.new/part-"
  basename "$newest" >"$out/checkpoint.new/name"
  rm -rf "$out/checkpoint" && mv "$out/checkpoint.new" "$out/checkpoint"
fi
if [ "$status" -eq 0 ] && [ -f "$run/model/config.json" ]; then
  rm -rf "$out/model" && cp -r "$run/model" "$out/model" && rm -rf "$out/checkpoint"
  echo "finished: $out/model"
elif [ "$status" -eq 137 ]; then
  echo "not finished ($(basename "${newest:-no checkpoint}")); call again"
else
  echo "failed with $status" >&2 && exit "$status"
fi

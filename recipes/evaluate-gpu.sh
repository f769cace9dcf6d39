#!/usr/bin/env bash
# Leave one subject out on a GPU, in pieces of at most ten minutes, restartable by fold.
#
#   bash recipes/evaluate-gpu.sh DATASET MODEL OUT [key=value ...]     # on the GPU machine; again until it says "finished"
#
# DATASET is a folder (har70plus/ with its files), MODEL the pre-trained encoder, e.g. what pretrain-gpu.sh left. Every call goes
# on with the folds that are missing; OUT/folds.tar.gz holds the finished ones, so that the next call may run on a fresh machine
# (copy OUT there first). In the end OUT has report.html, table.csv, differences.csv and results.tar.gz.
#
#   METHODS=selfpab,spectr-te,spectr-mlp  SEEDS=0,1,2  PRESET=paper  PIECE_S=540  WORK=/tmp/selfpab-gpu  PYTHON=python3
#
# Expected on one H200: not measured yet. Tried on a CPU with PRESET=tiny.
set -euo pipefail
dataset=$(realpath "$1") model=$(realpath "$2")
mkdir -p "$3" && out=$(realpath "$3")
shift 3
piece=${PIECE_S:-540} work=${WORK:-/tmp/selfpab-gpu} python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$work" && cd "$work"
if [ ! -d evaluation ] && [ -f "$out/folds.tar.gz" ]; then # a fresh machine
  rm -rf unpacked && mkdir unpacked && tar -xzf "$out/folds.tar.gz" -C unpacked && mv unpacked evaluation
fi

status=0
timeout -s KILL "$piece" "$python" -m selfpab evaluate "${METHODS:-selfpab,spectr-te,spectr-mlp}" "$dataset" evaluation \
  preset="${PRESET:-paper}" upstream="$model" seeds="${SEEDS:-0,1,2}" "$@" || status=$?

if [ -d evaluation ]; then # folds are whole or not there; the pool can be computed again
  tar -czf "$out/folds.part" -C evaluation --exclude=./pool --exclude='*.part' . && mv "$out/folds.part" "$out/folds.tar.gz"
fi
if [ "$status" -eq 0 ]; then
  cp evaluation/{report.html,table.csv,differences.csv} "$out/"
  (cd evaluation && tar -czf "$out/results.tar.gz" ./*/seed-*/results.json ./*/seed-*/config.yaml)
  echo "finished: $out/report.html"
elif [ "$status" -eq 137 ]; then
  echo "not finished ($(find evaluation -path '*/folds/*.json' 2>/dev/null | wc -l) folds); call again"
else
  echo "failed with $status" >&2 && exit "$status"
fi

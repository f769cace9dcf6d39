#!/usr/bin/env bash
# Does it help to make pre-training harder? Masks of 15 frames over up to 60 % of a window, which cannot be filled from beside, instead of the
# paper's 3 frames over 15 % (recipes/probe_layers.py found 3 to 5 points in every layer on HARTH); and with four times the downstream steps.
#
#   bash recipes/wide-masks.sh DATA RUNS      # DATA holds harth/, dsads/, har70plus/; RUNS may be that of har70plus.sh
#
# Two CPU cores: 40 minutes to pre-train, half an hour for SelfPAB, an hour for Spectrograms + TE (which takes of the encoder its shape alone).
# The same command goes on after a stop.
set -euo pipefail
export SELFPAB_DATA=$(realpath "$1")
home=$(realpath "$(dirname "$0")/..")
export PATH="$home/.venv/bin:$PATH"
mkdir -p "$2" && cd "$2"

[ -f corpus/index.parquet ] || selfpab ingest "$SELFPAB_DATA/harth" "$SELFPAB_DATA/dsads" corpus
selfpab pretrain corpus pretrain-wide-12000 preset=small steps=12000 masking.time_width=15 masking.time_fraction=0.6
selfpab evaluate selfpab har70plus wide-1600 preset=small upstream=pretrain-wide-12000/model finetune.steps=1600 finetune.rate=0.003 \
  workers="$(nproc)"
selfpab evaluate spectr-te har70plus te-1600 preset=small upstream=pretrain-wide-12000/model finetune.steps=1600 finetune.rate=0.001 \
  workers="$(nproc)"

mkdir -p "$home/results/pretrain-wide"
cp pretrain-wide-12000/{config.yaml,metrics.jsonl} "$home/results/pretrain-wide/"
for run in wide-1600/selfpab te-1600/spectr-te; do
  into="$home/results/har70plus-$run/seed-0"
  mkdir -p "$into" && cp "$run"/seed-0/{results.json,config.yaml} "$into/"
done

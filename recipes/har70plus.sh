#!/usr/bin/env bash
# The main job, thin but real: pre-train `small` on HARTH + DSADS, evaluate on HAR70+ leave-one-subject-out, predict.
#
#   bash recipes/har70plus.sh DATA RUNS      # DATA holds harth/, dsads/, har70plus/ (parquet or csv)
#
# Two CPU cores: 40 minutes to pre-train, 10 to evaluate. Small results land in results/.
set -euo pipefail
export SELFPAB_DATA=$(realpath "$1")
home=$(realpath "$(dirname "$0")/..")
export PATH="$home/.venv/bin:$PATH"
mkdir -p "$2" && cd "$2" # so that commands, and what results.json says of them, hold no path of a machine

selfpab ingest "$SELFPAB_DATA/harth" "$SELFPAB_DATA/dsads" corpus
selfpab pretrain corpus pretrain-small preset=small
selfpab ingest "$SELFPAB_DATA/har70plus" corpus-har70plus # only to measure: nothing of it is pre-trained on
python "$home/recipes/measure_pretraining.py" corpus pretrain-small "$home/results/pretrain-small" corpus-har70plus

selfpab evaluate selfpab,random-encoder,spectr-mlp har70plus har70plus-frozen preset=small upstream=pretrain-small/model
for method in selfpab random-encoder spectr-mlp; do
  mkdir -p "$home/results/har70plus-frozen/$method"
  cp "har70plus-frozen/$method"/{results.json,config.yaml} "$home/results/har70plus-frozen/$method/"
done

# what `predict` looks like; person 501 is in this model's training set, so this is no score
selfpab finetune har70plus model-har70plus preset=small upstream=pretrain-small/model
selfpab predict "$(ls "$SELFPAB_DATA"/har70plus/*501* | tail -n 1)" predicted model=model-har70plus

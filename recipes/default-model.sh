#!/usr/bin/env bash
# The model in the box: score the method on people it never saw, train it on everybody, calibrate it by the former.
#
#   bash recipes/default-model.sh DATA RUNS      # DATA holds harth/, har70plus/, dsads/, daphnet/ (parquet or csv)
#
# Leaks: the shipped encoder and its classifier may have seen everybody. The scores come from others: HAR70+ is scored with
# an encoder that was pre-trained without HAR70+, HARTH with one without HARTH, each person left out of the training of
# its fold; temperature, decision and intervals are cross-fitted over people. Two CPU cores: an hour and a half to pre-train
# (RUNS of har70plus.sh are gone on with), two hours for the folds, minutes for the rest. Goes on after a stop.
set -euo pipefail
export SELFPAB_DATA=$(realpath "$1")
home=$(realpath "$(dirname "$0")/..")
export PATH="$home/.venv/bin:$PATH"
mkdir -p "$2" && cd "$2" # so that commands, and what results.json says of them, hold no path of a machine
workers=$(nproc)

[ -f corpus/index.parquet ] || selfpab ingest "$SELFPAB_DATA/harth" "$SELFPAB_DATA/dsads" corpus
selfpab pretrain corpus pretrain-12000 preset=small steps=12000
[ -f corpus-no-harth/index.parquet ] ||
  selfpab ingest "$SELFPAB_DATA/dsads" "$SELFPAB_DATA/daphnet" "$SELFPAB_DATA/har70plus" corpus-no-harth
selfpab pretrain corpus-no-harth pretrain-no-harth preset=small steps=4000

# ten classes throughout: who is said to run and never ran is wrong
selfpab evaluate selfpab-plus,xgb har70plus plus-har70plus preset=small upstream=pretrain-12000/model train_with=harth \
  classes=harth workers="$workers"
selfpab evaluate selfpab-plus,xgb harth plus-harth preset=small upstream=pretrain-no-harth/model train_with=har70plus \
  workers="$workers"

model="$home/selfpab/models/default"
selfpab finetune har70plus,harth "$model" preset=small method=selfpab-plus classes=harth upstream=pretrain-12000/model
python "$home/recipes/finish_default_model.py" "$model" plus-har70plus plus-harth

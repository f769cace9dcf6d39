#!/usr/bin/env bash
# The main job: pre-train `small` on HARTH + DSADS, search rates on HARTH, evaluate on HAR70+ leave-one-subject-out with three
# seeds, show how the score depends on pre-training, predict.
#
#   bash recipes/har70plus.sh DATA RUNS      # DATA holds harth/, dsads/, har70plus/ (parquet or csv)
#
# Two CPU cores: about 40 minutes to pre-train, 20 to search, two hours to evaluate. Small results land in results/. The same
# command goes on after a stop.
set -euo pipefail
export SELFPAB_DATA=$(realpath "$1")
home=$(realpath "$(dirname "$0")/..")
export PATH="$home/.venv/bin:$PATH"
mkdir -p "$2" && cd "$2" # so that commands, and what results.json says of them, hold no path of a machine
workers=$(nproc)

keep() { # RUN NAME: the small files of an evaluation
  for results in "$1"/*/seed-*/results.json; do
    part=$(dirname "${results#"$1"/}")
    mkdir -p "$home/results/$2/$part"
    cp "$1/$part"/{results.json,config.yaml} "$home/results/$2/$part/"
  done
  for study in "$1"/*/search-*.json; do
    [ ! -f "$study" ] || cp "$study" "$home/results/$2/${study#"$1"/}"
  done
  cp "$1"/{table.csv,differences.csv,report.html} "$home/results/$2/"
}

[ -f corpus/index.parquet ] || selfpab ingest "$SELFPAB_DATA/harth" "$SELFPAB_DATA/dsads" corpus
[ -f corpus-har70plus/index.parquet ] || selfpab ingest "$SELFPAB_DATA/har70plus" corpus-har70plus # only to measure
for steps in 1000 4000 12000; do # nothing of HAR70+ is pre-trained on
  selfpab pretrain corpus pretrain-$steps preset=small steps=$steps
  python "$home/recipes/measure_pretraining.py" corpus pretrain-$steps measured-$steps corpus-har70plus
done
mkdir -p "$home/results/pretrain-small" && cp measured-12000/* "$home/results/pretrain-small/"

# rates of preset small; S009 cycles nearly all the time, it is trained on and not scored
python "$home/recipes/search_downstream.py" harth pretrain-12000/model search-harth \
  selfpab,spectr-mlp,spectr-te rates=0.001,0.003 steps=400 without=S009
python "$home/recipes/search_downstream.py" harth pretrain-12000/model search-harth \
  selfpab rates=0.003 steps=1600 without=S009
mkdir -p "$home/results/search-harth" && cp search-harth/results.json "$home/results/search-harth/"

selfpab evaluate selfpab,spectr-te,spectr-mlp,selfpab-unfrozen har70plus loso-har70plus preset=small upstream=pretrain-12000/model \
  seeds=0,1,2 workers="$workers"
# SVM and XGB: the settings of a search on HARTH, once; and as released. Their seeds change next to nothing
selfpab evaluate svm,xgb har70plus loso-har70plus preset=small search=harth search_without=S009 workers="$workers"
selfpab evaluate svm,xgb har70plus loso-har70plus-released preset=small workers="$workers"
selfpab evaluate deepconvlstm-spectr,deepconvlstm-ts har70plus loso-har70plus preset=small upstream=pretrain-12000/model \
  workers="$workers"
keep loso-har70plus har70plus
keep loso-har70plus-released har70plus-released
for what in table1 figure2; do selfpab reproduce $what "$home/results/har70plus/$what" results=loso-har70plus; done
python "$home/recipes/probe_layers.py" harth pretrain-12000/model probe-harth without=S009 frames=2000
mkdir -p "$home/results/probe-harth" && cp probe-harth/results.json "$home/results/probe-harth/12000.json"

selfpab evaluate selfpab,spectr-mlp har70plus loso-har70plus-1600 preset=small upstream=pretrain-12000/model \
  finetune.steps=1600 finetune.rate=0.003 workers="$workers"
keep loso-har70plus-1600 har70plus-1600

curve=()
for steps in 0 1000 4000 12000; do
  method=selfpab losses=measured-$steps/results.json model=pretrain-$steps/model
  [ $steps = 0 ] && method=random-encoder losses=- model=pretrain-12000/model
  for kind in frozen tuned; do
    [ $kind = frozen ] && share=1 || share=0.75
    selfpab evaluate $method har70plus curve-$steps-$kind preset=small upstream=$model finetune.unfreeze_at=$share \
      workers="$workers"
  done
  curve+=("$steps=$losses:curve-$steps-frozen/$method/seed-0:curve-$steps-tuned/$method/seed-0")
done
python "$home/recipes/draw_curve.py" "$home/results/har70plus-curve" "${curve[@]}"

# what `predict` looks like; person 501 is in this model's training set, so this is no score
selfpab finetune har70plus model-har70plus preset=small upstream=pretrain-12000/model
selfpab predict "$(ls "$SELFPAB_DATA"/har70plus/*501* | tail -n 1)" predicted model=model-har70plus

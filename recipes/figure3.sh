#!/usr/bin/env bash
# Figure 3 on public data: F1 on HAR70+ against the hours of pre-training, 1, 3, 10 and all of HARTH (11 people), DSADS and Daphnet.
#
#   bash recipes/figure3.sh DATA RUNS      # DATA holds harth/, dsads/, daphnet/, har70plus/
#
# As many steps for every amount; windows do not shift, so that an hour is an hour. Two CPU cores: about 20 minutes for each
# pre-training and 30 for each evaluation (18 people, two seeds). The same command goes on after a stop.
set -euo pipefail
export SELFPAB_DATA=$(realpath "$1")
home=$(realpath "$(dirname "$0")/..")
export PATH="$home/.venv/bin:$PATH"
mkdir -p "$2" && cd "$2"

[ -f corpus-all/normalisation.json ] || selfpab ingest "$SELFPAB_DATA"/{harth,dsads,daphnet} corpus-all repair=off
for hours in 1 3 10 all; do
  amount=(); [ $hours = all ] || amount=(hours=$hours)
  name=$hours; [ $hours = all ] || name=${hours}h
  selfpab pretrain corpus-all fig3-pre-$name preset=small steps=3000 shift=false "${amount[@]}"
  selfpab evaluate selfpab har70plus fig3-$name preset=small upstream=fig3-pre-$name/model seeds=0,1 workers="$(nproc)"
  for results in fig3-$name/selfpab/seed-*/results.json; do
    seed=$(basename "$(dirname "$results")")
    mkdir -p "$home/results/har70plus-$name/selfpab/$seed"
    cp "$(dirname "$results")"/{results.json,config.yaml} "$home/results/har70plus-$name/selfpab/$seed/"
  done
  mkdir -p "$home/results/har70plus-$name/pretraining"
  cp fig3-pre-$name/{config.yaml,metrics.jsonl} "$home/results/har70plus-$name/pretraining/"
done
(cd "$home" && selfpab reproduce figure3 results/har70plus-figure3 results=results/har70plus-1h,results/har70plus-3h,results/har70plus-10h,results/har70plus-all)

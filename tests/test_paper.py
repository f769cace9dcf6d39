"""Double entry: what the paper prints, typed a second time with its place, against what the package does by default."""

from dataclasses import asdict

import pytest

from selfpab.cohorts.settings import PredictConfig
from selfpab.config import ConfigError, build, load, preset_names, preset_values
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.methods import METHODS, EvaluateConfig
from selfpab.paper import FIGURE_3, MINUTES, PRETRAINING_HOURS, SUBJECTS, TABLE_1, VERSIONS
from selfpab.upstream.corpus import IngestConfig
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.masking import MaskingConfig
from selfpab.upstream.pretraining import PretrainConfig

SECTIONS = {"pretrain": PretrainConfig, "evaluate": EvaluateConfig, "ingest": IngestConfig, "predict": PredictConfig}

PRINTED = [
    ("3.1 zeros with 80 %", MaskingConfig, "zero_probability", 80 / 100),
    ("3.1 swapped with 10 %", MaskingConfig, "swap_probability", 10 / 100),
    ("3.1 band in every window", MaskingConfig, "bin_probability", 1),
    ("3.1 starts among all frames", MaskingConfig, "reach_last", True),
    ("4.1 frame of 50 samples", SpectrogramConfig, "frame_samples", 50),
    ("4.1 overlap of 25 samples", SpectrogramConfig, "hop_samples", 50 - 25),
    ("4.1 599 time frames", SpectrogramConfig, "window_frames", 599),
    ("4.1 26 frequency bins", SpectrogramConfig, "bins", 26),
    ("4.1 15,000 samples", SpectrogramConfig, "window_samples", 15_000),
    ("4.1 width 1500", EncoderConfig, "d_model", 1500),
    ("4.1 four layers", EncoderConfig, "layers", 4),
    ("4.1 six heads", EncoderConfig, "heads", 6),
    ("4.1 feed-forward 2048", EncoderConfig, "d_feedforward", 2048),
    ("4.1 weight decay 1e-5", PretrainConfig, "weight_decay", 0.00001),
    ("4.1 warm-up 7 %", PretrainConfig, "warmup", 7 / 100),
    ("4.1 peak rate 1e-4", PretrainConfig, "peak_rate", 0.0001),
    ("4.1 final rate 1e-6", PretrainConfig, "final_rate", 0.000001),
    ("4.1 batch of 64", PretrainConfig, "batch", 64),
    ("4.1 P_T 0.15", MaskingConfig, "time_fraction", 0.15),
    ("4.1 W_T 3", MaskingConfig, "time_width", 3),
    ("4.1 P_F 0.2", MaskingConfig, "bin_fraction", 0.2),
    ("4.1 W_F 3", MaskingConfig, "bin_width", 3),
    ("4.2 hidden layer of 1028", FinetuneConfig, "hidden", 1028),
    ("4.2 first 20 % are not trained on", FinetuneConfig, "validation_share", 20 / 100),
    ("4.2 batch of 32", FinetuneConfig, "batch", 32),
    ("4.2 2000 steps", FinetuneConfig, "steps", 2000),
    ("4.2 rate 1e-4", FinetuneConfig, "rate", 0.0001),
    ("4.2 decay by 0.1", FinetuneConfig, "decay", 0.1),
    ("3.2 unfrozen after 75 %", FinetuneConfig, "unfreeze_at", 75 / 100),
    ("3.2 weighted sum of the layers", FinetuneConfig, "weighted", True),
    ("4.2 random cuts", FinetuneConfig, "cuts", "random"),
    ("4.2 five minutes at once", FinetuneConfig, "overlap", 0),
    ("release: beta1", PretrainConfig, "beta1", 0.9),
    ("release: beta2", PretrainConfig, "beta2", 0.98),
    ("release: beta1 of Adam", FinetuneConfig, "beta1", 0.9),
    ("release: beta2 of Adam", FinetuneConfig, "beta2", 0.98),
    ("release: dropout", EncoderConfig, "dropout", 0.1),
    ("release: dropout in attention", EncoderConfig, "attention_dropout", 0.1),
]


@pytest.mark.parametrize(("kind", "name", "printed"), [row[1:] for row in PRINTED], ids=[row[0] for row in PRINTED])
def test_a_default_is_what_the_paper_prints(kind, name, printed):
    assert getattr(kind(), name) == (printed if isinstance(printed, str) else pytest.approx(printed, rel=1e-12))


@pytest.mark.parametrize(
    ("hours", "epochs"), [(10, 500_000), (100, 50_000), (1_000, 5_000), (10_000, 500), (100_000, 50)]
)
def test_all_five_sizes_take_the_same_steps(hours, epochs):
    """Section 4.1: 12 five-minute windows an hour, 64 a step."""
    assert PretrainConfig().steps == hours * 12 * epochs / 64
    assert hours in PRETRAINING_HOURS


def test_the_input_is_six_spectrograms_stacked():
    assert 6 * SpectrogramConfig().bins == 156


def test_parts_are_configured_by_their_own_defaults():
    config = PretrainConfig()
    assert (config.spectrogram, config.masking, config.encoder) == (
        SpectrogramConfig(),
        MaskingConfig(),
        EncoderConfig(),
    )
    assert EvaluateConfig().finetune == FinetuneConfig()


def test_no_quirk_of_the_release_and_no_idea_of_ours_is_a_default():
    assert PretrainConfig().first_at_peak is False
    assert EncoderConfig().norm_first is False  # section 3.1 builds on Vaswani et al., who normalise after adding
    assert EncoderConfig().identical_layers is False


TABLE = """
svm                 71.7 2.0  64.3 2.9
xgb                 74.2 1.9  63.7 2.4
deepconvlstm-ts     51.2 6.2  54.7 3.3
deepconvlstm-spectr 60.2 2.2  59.3 1.9
spectr-mlp          60.5 2.4  61.9 2.5
spectr-te           66.1 2.0  64.5 2.5
selfpab             81.3 1.3  78.5 2.1
"""


def test_table_1():
    rows = [line.split() for line in TABLE.strip().splitlines()]
    typed = {name: tuple(map(float, scores)) for name, *scores in rows}
    assert {name: (*harth, *har70) for name, (harth, har70) in TABLE_1.items()} == typed
    assert list(TABLE_1) == list(typed)


def test_the_data_sets_of_section_4():
    assert MINUTES == {"harth": 2221.6, "har70plus": 756}
    assert SUBJECTS == {"harth": 22, "har70plus": 18}
    assert VERSIONS["harth"] == "1.2"
    assert PRETRAINING_HOURS == (10, 100, 1000, 10_000, 100_000)


def test_figure_3_has_what_the_text_says_and_nothing_else():
    """Section 5.2: HARTH v1.2 after 10 hours 73.9 %; Table 1: both data sets after 100,000 hours."""
    assert FIGURE_3 == {
        "harth": {10: (73.9, None), 100_000: (81.3, 1.3)},
        "har70plus": {100_000: (78.5, 2.1)},
    }
    assert all(hours in PRETRAINING_HOURS for points in FIGURE_3.values() for hours in points)


def test_what_has_the_name_of_a_row_is_that_row():
    assert set(METHODS) - set(TABLE_1) == {"selfpab-plus", "selfpab-unfrozen", "random-encoder"}


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


CHANGES = {
    "paper": {},
    "authors": {
        "pretrain.masking.bin_probability": 0.9,
        "pretrain.masking.reach_last": False,
        "pretrain.encoder.identical_layers": True,
        "pretrain.first_at_peak": True,
        "pretrain.seed": 256,
        "pretrain.precision": "fp32",
        "evaluate.finetune.epochs": 15,
        "evaluate.finetune.batch": 100,
        "evaluate.finetune.weighted": False,
        "evaluate.finetune.decay": 0.8,
        "evaluate.finetune.decay_steps": 200,
        "evaluate.finetune.frozen_dropout": True,
        "evaluate.finetune.validation_share": 0.0,
        "evaluate.finetune.cuts": "grid",
        "evaluate.finetune.overlap": 587,
        "evaluate.finetune.framing": "release",
        "evaluate.finetune.merge": "confusion",
        "evaluate.svm.framing": "release",
        "evaluate.svm.merge": "confusion",
        "evaluate.xgb.framing": "release",
        "evaluate.xgb.merge": "confusion",
        "evaluate.xgb.trees": "exact",
        "evaluate.deepconvlstm_ts.framing": "release",
        "evaluate.seeds": "42",
        "evaluate.precision": "fp32",
    },
    "small": {
        "pretrain.spectrogram.window_frames": 119,
        "pretrain.encoder.d_model": 192,
        "pretrain.encoder.heads": 4,
        "pretrain.encoder.d_feedforward": 768,
        "pretrain.encoder.dropout": 0.0,
        "pretrain.encoder.attention_dropout": 0.0,
        "pretrain.encoder.norm_first": True,
        "pretrain.shift": True,
        "pretrain.steps": 12_000,
        "pretrain.batch": 32,
        "pretrain.peak_rate": 5e-3,
        "pretrain.validate_every": 500,
        "pretrain.save_every": 500,
        "pretrain.validation_windows": 160,
        "evaluate.finetune.steps": 400,
        "evaluate.finetune.batch": 16,
        "evaluate.finetune.rate": 1e-3,
        "evaluate.finetune.pool_step": 60,
        "evaluate.finetune.overlap": 24,
        "evaluate.spectr_mlp.rate": 3e-3,
        "evaluate.deepconvlstm_ts.steps": 400,
    },
    "tiny": {
        "pretrain.spectrogram.window_frames": 119,
        "pretrain.encoder.d_model": 48,
        "pretrain.encoder.layers": 2,
        "pretrain.encoder.heads": 2,
        "pretrain.encoder.d_feedforward": 96,
        "pretrain.encoder.dropout": 0.0,
        "pretrain.encoder.attention_dropout": 0.0,
        "pretrain.encoder.norm_first": True,
        "pretrain.steps": 600,
        "pretrain.batch": 16,
        "pretrain.peak_rate": 5e-3,
        "pretrain.validate_every": 100,
        "pretrain.log_every": 10,
        "pretrain.save_every": 100,
        "pretrain.validation_windows": 32,
        "evaluate.finetune.steps": 300,
        "evaluate.finetune.batch": 8,
        "evaluate.finetune.hidden": 128,
        "evaluate.finetune.rate": 3e-3,
        "evaluate.finetune.pool_step": 60,
        "evaluate.finetune.overlap": 24,
    },
}


def test_every_shipped_preset_is_listed_here():
    assert set(preset_names()) == set(CHANGES)


@pytest.mark.parametrize("preset", list(CHANGES))
def test_what_a_preset_changes_and_nothing_else(preset):
    changed = {}
    there = preset_values(preset)
    for section, kind in SECTIONS.items():
        if preset != "paper" and section not in there:
            with pytest.raises(ConfigError, match=f"preset {preset} says nothing of '{section}'"):
                load(kind, preset=preset, section=section)
            continue
        now, default = (dict(flat(asdict(load(kind, preset=p, section=section)))) for p in (preset, "paper"))
        changed |= {f"{section}.{key}": now[key] for key in now if now[key] != default[key]}
    assert changed == CHANGES[preset]
    assert set(preset_values(preset)) <= set(SECTIONS)


@pytest.mark.parametrize(("section", "kind"), SECTIONS.items())
def test_the_paper_preset_is_the_defaults(section, kind):
    assert load(kind, preset="paper", section=section) == kind() == build(kind, asdict(kind()))

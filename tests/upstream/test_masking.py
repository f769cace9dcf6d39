"""Alteration and loss: what is altered, how often, and that nothing else is."""

import numpy as np
import pytest
import torch

from selfpab.upstream.masking import MaskingConfig, alter, choose_starts, cover, draw, masked_l1

CLEAN = torch.randn(64, 599, 6, 26, generator=torch.Generator().manual_seed(0)) + 10  # nowhere zero
ALL = torch.ones(64, 599, dtype=torch.bool)


def draws(seed: int, windows: int = 64):
    return draw(windows, 599, 26, torch.Generator().manual_seed(seed))


def kinds(altered, mask, clean=CLEAN):
    """Per window: zero, swap or keep, told from the result."""
    frames = mask.all(3).all(2)
    names = []
    for window, here in enumerate(frames):
        if not here.any():
            names.append("keep")
        else:
            names.append("zero" if bool((altered[window][here] == 0).all()) else "swap")
    return names


def test_nothing_outside_the_mask_is_changed():
    altered, mask = alter(CLEAN, ALL, draws(1), MaskingConfig())
    torch.testing.assert_close(altered[~mask], CLEAN[~mask], rtol=0, atol=0)
    assert mask.any()


def test_zeroed_and_swapped_frames_are_all_of_the_mask():
    altered, mask = alter(CLEAN, ALL, draws(2), MaskingConfig(bin_probability=0.0))
    found = kinds(altered, mask)
    assert {"zero", "swap", "keep"} == set(found)
    for window, kind in enumerate(found):
        if kind == "swap":  # every altered frame is a copy of some frame of the same window
            for frame in mask[window, :, 0, 0].nonzero().flatten().tolist():
                assert (CLEAN[window] == altered[window, frame]).flatten(1).all(1).any()
    frame_wise = mask.flatten(2)
    assert (frame_wise.any(2) == frame_wise.all(2)).all()


def test_a_swapped_width_comes_from_consecutive_frames():
    config = MaskingConfig(zero_probability=0.0, swap_probability=1.0, bin_probability=0.0)
    count = torch.arange(599.0)[None, :, None, None].expand(8, 599, 6, 26).contiguous() + 1
    altered, mask = alter(count, ALL[:8], draws(3, 8), config)
    frames = mask[:, :, 0, 0]
    sources = altered[:, :, 0, 0]
    steps = (sources[:, 1:] - sources[:, :-1])[frames[:, 1:] & frames[:, :-1]]
    assert (steps == 1).float().mean() > 0.6  # two of three steps inside a width; the rest where widths meet


def test_the_band_is_the_same_in_all_channels_and_frames():
    _, mask = alter(CLEAN, ALL, draws(4), MaskingConfig(zero_probability=0.0, swap_probability=0.0))
    assert (mask == mask[:, :1, :1]).all()
    assert (mask[:, 0, 0].sum(1) == 3).all()


def test_reach_last_reaches_the_last_frame_and_bin_and_the_release_does_not():
    ours = torch.zeros(599, 26, dtype=torch.bool)
    theirs = ours.clone()
    for seed in range(10):
        ours |= alter(CLEAN, ALL, draws(seed), MaskingConfig())[1].any(2).any(0)
        theirs |= alter(CLEAN, ALL, draws(seed), MaskingConfig(reach_last=False))[1].any(2).any(0)
    bins_only = MaskingConfig(zero_probability=0, swap_probability=0, reach_last=False)
    assert ours[598].all()
    assert not alter(CLEAN, ALL, draws(5), bins_only)[1][..., 25].any()
    assert not theirs[598].all()


def test_padding_is_never_altered_and_short_windows_have_fewer_starts():
    valid = ALL.clone()
    valid[:, 100:] = False
    clean = CLEAN * valid[:, :, None, None]
    altered, mask = alter(clean, valid, draws(6), MaskingConfig(bin_probability=0.0))
    assert not mask[:, 100:].any()
    torch.testing.assert_close(altered[:, 100:], clean[:, 100:], rtol=0, atol=0)
    touched = mask[:, :100, 0, 0].sum(1)
    assert touched.max() <= 15  # floor(0.15 * 100 / 3) = 5 starts of 3
    assert touched[touched > 0].float().mean() > 12


def test_a_masked_band_ends_where_the_window_does():
    valid = ALL.clone()
    valid[:, 100:] = False
    _, mask = alter(CLEAN, valid, draws(12), MaskingConfig(zero_probability=0.0, swap_probability=0.0))
    assert mask[:, :100].any(1).any(1).any(1).all()
    assert not mask[:, 100:].any()


def test_a_window_of_one_frame_is_left_alone_in_time():
    valid = torch.zeros(4, 599, dtype=torch.bool)
    valid[:, 0] = True
    _, mask = alter(CLEAN[:4], valid, draws(7, 4), MaskingConfig(bin_probability=0.0))
    assert not mask.any()


def test_a_window_is_altered_the_same_alone_and_in_a_batch():
    whole, whole_mask = alter(CLEAN, ALL, draws(8), MaskingConfig())
    part, part_mask = alter(CLEAN[16:32], ALL[16:32], draws(8)[16:32], MaskingConfig())
    torch.testing.assert_close(part, whole[16:32], rtol=0, atol=0)
    assert (part_mask == whole_mask[16:32]).all()


@pytest.mark.parametrize("reach_last", [True, False])
def test_alteration_is_a_loop_of_assignments(reach_last):
    config = MaskingConfig(0.4, 3, 0.3, 3, 0.4, 0.4, 0.7, reach_last)
    clean, noise = CLEAN[:24, :30], draw(24, 30, 26, torch.Generator().manual_seed(10))
    length = torch.tensor([30, 30, 30, 17, 4, 1] * 4)
    valid = torch.arange(30) < length[:, None]
    altered, mask = alter(clean, valid, noise, config)
    kinds_seen = set()
    for row in range(24):
        wanted, counted = clean[row].clone(), torch.zeros(30, 6, 26, dtype=torch.bool)
        each = [(noise.time_starts, length[row], 0.4), (noise.swap_starts, length[row], 0.4)]
        each.append((noise.bin_starts, torch.tensor(26), 0.3))
        starts, sources, bands = (
            chosen[0, : int(count)].tolist()
            for chosen, count in (choose_starts(n[row : row + 1], at[None], f, 3, reach_last) for n, at, f in each)
        )
        kind = "zero" if noise.kind[row] < 0.4 else "swap" if noise.kind[row] < 0.8 else "keep"
        kinds_seen.add(kind)
        for start, source in zip(starts, sources, strict=True):
            if kind != "keep":
                counted[start : start + 3] = True
                wanted[start : start + 3] = 0 if kind == "zero" else clean[row, source : source + 3]
        if noise.bins[row] < 0.7:
            for band in bands:
                wanted[: length[row], :, band : band + 3] = 0
                counted[: length[row], :, band : band + 3] = True
        torch.testing.assert_close(altered[row], wanted, rtol=0, atol=0)
        assert torch.equal(mask[row], counted)
    assert kinds_seen == {"zero", "swap", "keep"}


def test_starts_are_without_replacement_and_within_reach():
    noise = torch.rand(100, 599, generator=torch.Generator().manual_seed(9))
    starts, count = choose_starts(noise, torch.full((100,), 599), 0.15, 3, True)
    assert (count == 29).all()
    assert all(len(set(row.tolist())) == 29 for row in starts)
    assert starts.min() >= 0
    assert starts.max() <= 596


@pytest.mark.parametrize(("length", "fraction", "expected"), [(599, 0.15, 29), (26, 0.2, 1), (30, 0.2, 2), (2, 0.9, 0)])
def test_the_number_of_starts_is_the_floor_of_the_paper(length, fraction, expected):
    noise = torch.rand(1, 599, generator=torch.Generator().manual_seed(1))
    _, count = choose_starts(noise, torch.tensor([length]), fraction, 3, True)
    assert count.tolist() == [expected]


def test_cover_is_a_loop_of_assignments():
    rng = np.random.default_rng(3)
    starts = torch.from_numpy(rng.integers(0, 18, (5, 6)))
    count = torch.tensor([6, 3, 0, 1, 5])
    winner, offset = cover(starts, count, 3, 20)
    for row in range(5):
        slow = [-1] * 20
        for k in range(count[row]):
            for place in range(starts[row, k], starts[row, k] + 3):
                slow[place] = k
        assert winner[row].tolist() == slow
        for place, k in enumerate(slow):
            assert offset[row, place] == (place - starts[row, k] if k >= 0 else 0)


def test_the_loss_counts_each_window_alike_and_an_empty_one_as_zero():
    clean = torch.zeros(3, 4, 2)
    rebuilt = torch.ones(3, 4, 2) * torch.tensor([1.0, 5.0, 9.0])[:, None, None]
    mask = torch.zeros(3, 4, 2, dtype=torch.bool)
    mask[0, 0, 0] = True
    mask[1] = True
    assert masked_l1(rebuilt, clean, mask).item() == pytest.approx((1 + 5 + 0) / 3)

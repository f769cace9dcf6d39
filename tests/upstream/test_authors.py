"""The authors' checkpoint becomes a model folder, or an error says what it lacks."""

import numpy as np
import pytest
import torch

from selfpab.upstream.authors import import_checkpoint, our_name, read_weights
from selfpab.upstream.checkpoint import open_model

RNG = np.random.default_rng(3)
MEAN, STD = RNG.normal(0, 1, 156), RNG.uniform(0.1, 1, 156)


@pytest.fixture
def numbers(tmp_path):
    folder = tmp_path / "normalisation"
    folder.mkdir()
    np.savetxt(folder / "mean.csv", MEAN)
    np.savetxt(folder / "std.csv", STD)
    return folder


@pytest.fixture
def genuine(golden):
    return golden / "g2_small_upstream.ckpt"


@pytest.fixture
def faulty(genuine, tmp_path):
    """Write the genuine checkpoint with something done to it."""

    def write(change):
        content = torch.load(genuine, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "faulty.ckpt")
        return tmp_path / "faulty.ckpt"

    return write


def test_it_becomes_a_folder_that_computes_the_same(genuine, golden, numbers, tmp_path):
    import_checkpoint(genuine, tmp_path / "model", normalisation=numbers)
    found = open_model(tmp_path / "model")
    with np.load(golden / "g2_small_io.npz") as g2, torch.no_grad():
        x = torch.from_numpy(g2["x"])
        states = found.upstream.encoder.hidden_states(x)
        for name, ours in (("layer0", states[0]), ("layer1", states[1]), ("y", found.upstream.encoder(x))):
            np.testing.assert_allclose(ours.numpy(), g2[name], rtol=0, atol=5e-6, err_msg=name)
    shape = found.upstream.encoder_config
    assert (shape.d_model, shape.layers, shape.heads, shape.d_feedforward) == (60, 2, 6, 64)
    np.testing.assert_array_equal(found.upstream.normalisation.mean, MEAN.astype(np.float32))
    np.testing.assert_array_equal(found.upstream.normalisation.std, STD.astype(np.float32))
    assert found.upstream.trained == {"imported": "g2_small_upstream.ckpt"}
    assert "g2_small_upstream.ckpt" in (tmp_path / "model" / "README.md").read_text()
    assert not any(path.suffix in (".ckpt", ".pkl", ".pt") for path in (tmp_path / "model").iterdir())


LAYER = "transformer_encoder.layers.1.norm2.weight"
TABLE = "emb.pos_encoder.pe"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["state_dict"].pop(LAYER), r"missing layers.1.norm_feedforward.weight \(60,\)"),
        (lambda c: c["state_dict"].pop("emb.lin_proj_layer.weight"), r"misses \['projection.weight'\]; it has:\n  emb"),
        (
            lambda c: c["state_dict"].pop("transformer_encoder.layers.0.linear1.weight"),
            r"misses \['layers.0.widen.weigh",
        ),
        (lambda c: c["state_dict"].update({"mlp.weight": torch.ones(1)}), "not of an upstream encoder:\n  mlp.weight"),
        (lambda c: c["state_dict"].update({LAYER: torch.ones(9)}), r"has shape \(9,\), wanted \(60,\)"),
        (
            lambda c: c["state_dict"].update({TABLE: c["state_dict"][TABLE] + 0.01}),
            "differs from the sine table by 0.01",
        ),
        (lambda c: c.pop("state_dict"), "is no Lightning checkpoint: wanted a key state_dict, got"),
        (lambda c: c["hyper_parameters"].clear(), "does not say how many heads it has"),
    ],
    ids=["layer", "projection", "widen", "extra", "shape", "positions", "not Lightning", "heads"],
)
def test_a_checkpoint_that_does_not_fit_says_what_is_wrong(faulty, numbers, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        import_checkpoint(faulty(change), tmp_path / "model", normalisation=numbers)
    assert not (tmp_path / "model" / "config.json").exists()


def test_a_table_of_positions_may_be_left_out(faulty):
    weights, heads = read_weights(faulty(lambda c: c["state_dict"].pop(TABLE)))
    assert heads == 6
    assert "projection.weight" in weights


def test_a_file_that_is_cut_off(genuine, numbers, tmp_path):
    short = tmp_path / "short.ckpt"
    short.write_bytes(genuine.read_bytes()[:50_000])
    with pytest.raises(ValueError, match=r"short.ckpt cannot be read as a torch checkpoint \(cut off\?\)"):
        import_checkpoint(short, tmp_path / "model", normalisation=numbers)


def test_a_pointer_of_git_lfs(numbers, tmp_path):
    pointer = tmp_path / "pointer.ckpt"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match="is a Git LFS pointer, not the checkpoint: fetch it with `git lfs pull`"):
        import_checkpoint(pointer, tmp_path / "model", normalisation=numbers)


@pytest.mark.parametrize("content", [b"", b"back_x,back_y\n1,2\n", torch.ones(3)])
def test_something_else_altogether(numbers, tmp_path, content):
    path = tmp_path / "other.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"other.ckpt (cannot be read|is no Lightning)"):
        import_checkpoint(path, tmp_path / "model", normalisation=numbers)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*none.ckpt"):
        import_checkpoint(tmp_path / "none.ckpt", tmp_path / "model", normalisation=numbers)


def test_a_checkpoint_that_would_run_code_is_refused(numbers, tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a checkpoint ran",))

    torch.save({"state_dict": {}, "evil": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        import_checkpoint(tmp_path / "evil.ckpt", tmp_path / "model", normalisation=numbers)


@pytest.mark.parametrize("name", ["mean.csv", "std.csv"])
def test_normalisation_that_is_missing_short_or_no_number(genuine, numbers, tmp_path, name):
    path = numbers / name
    whole = path.read_text().splitlines()
    path.write_text("\n".join(whole[:155]))
    with pytest.raises(ValueError, match=r"(155 means and 156|156 means and 155) deviations, the network 156 inputs"):
        import_checkpoint(genuine, tmp_path / "model", normalisation=numbers)
    path.write_text("\n".join(["mean", *whole[1:]]))
    with pytest.raises(ValueError, match=f"{name} must hold one number per line"):
        import_checkpoint(genuine, tmp_path / "model", normalisation=numbers)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"no .*{name}: normalisation= wants the folder"):
        import_checkpoint(genuine, tmp_path / "model", normalisation=numbers)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("emb.lin_proj_layer.bias", "projection.bias"),
        ("transformer_encoder.layers.12.self_attn.out_proj.bias", "layers.12.attended.bias"),
        ("transformer_encoder.layers.0.linear2.weight", "layers.0.narrow.weight"),
        ("transformer_encoder.layers.0.norm1.bias", "layers.0.norm_attention.bias"),
        ("transformer_encoder.layers.0.norm3.bias", None),
        ("emb.lin_proj_layer.scale", None),
        ("x.transformer_encoder.layers.0.norm1.bias", None),
    ],
)
def test_names(theirs, ours):
    assert our_name(theirs) == ours

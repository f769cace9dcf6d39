"""The layers, as a test (STYLE 5.3), and what else every file owes: size, a name, a mirror test, no early torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "selfpab"
LAYERS = [  # ground first
    {
        "recording",
        "sensors",
        "activities",
        "config",
        "seeding",
        "paper",
        "provenance",
        "progress",
        "allocator",
        "core_threads",
        "scratch",
        "scratch_tables",
        "writing",
        "workers",
    },
    {"devices"},
    {"data", "features", "evaluation"},
    {"upstream", "baselines"},
    {"downstream"},
    {"methods", "inference"},
    {"search", "reports", "sharing"},
    {"cohorts"},
    {"fold_jobs", "exports"},
    {"cross_validation", "final_models"},
    {"reproduce"},
    {"command_words"},
    {"cli"},
    {"__main__"},
]
GROUND = LAYERS[0]
LAYER_OF = {name: place for place, names in enumerate(LAYERS) for name in names}
WITHOUT_TORCH = GROUND | {"devices", "data", "evaluation"}
LONGEST = 300
NAMELESS = {"utils", "util", "common", "helpers", "base", "core", "misc"}
WITHOUT_MIRROR = {"__init__", "__main__"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "presets" not in path.parts)


def imports(tree: ast.AST, place: Path) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a file; `place` is its path below selfpab."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = ["selfpab", *place.parts[:-1]]
            start = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def layer_faults(place: Path, source: str) -> list[str]:
    """What a file imports that does not lie in its own folder or below; the front door may import everything."""
    own = place.with_suffix("").parts[0]
    if own == "__init__":
        return []
    if own not in LAYER_OF:
        return [f"{place.as_posix()} belongs to no layer"]
    faults = []
    for name in imports(ast.parse(source), place):
        root, *rest = name.split(".")
        if root != "selfpab" or rest == ["__version__"]:
            continue
        target = rest[0] if rest else ""
        if target not in LAYER_OF:
            faults.append(f"{place.as_posix()} imports the front door ({name})")
        elif target != own and not (LAYER_OF[target] < LAYER_OF[own] or {own, target} <= GROUND):
            faults.append(f"{place.as_posix()} imports {target}")
    return faults


def when_imported(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run on import: not those inside functions, nor under TYPE_CHECKING."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]


def imports_torch_early(source: str) -> bool:
    names = [
        name
        for node in when_imported(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imports(node, Path("x.py"))
    ]
    return any(name.split(".")[0] in ("torch", "lightning_fabric") for name in names)


def exports(source: str) -> set[str]:
    """Functions and classes that a file defines at its top."""
    kinds = ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef
    return {node.name for node in ast.parse(source).body if isinstance(node, kinds)}


def mirror(place: Path) -> Path:
    return ROOT / "tests" / place.parent / f"test_{place.stem}.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
class TestEveryFile:
    def test_it_imports_only_from_its_folder_or_below(self, path):
        assert layer_faults(path.relative_to(PACKAGE), path.read_text()) == []

    def test_it_fits_in_300_lines(self, path):
        assert len(path.read_text().splitlines()) <= LONGEST

    def test_it_has_a_name_of_its_own(self, path):
        assert path.stem not in NAMELESS
        assert path.stem not in exports(path.read_text()), "a file is never named like what it exports"

    def test_it_has_a_mirror_test(self, path):
        place = path.relative_to(PACKAGE)
        if place.stem not in WITHOUT_MIRROR:
            assert mirror(place).is_file(), f"{place} needs {mirror(place).relative_to(ROOT)}"

    def test_it_does_not_import_torch_early(self, path):
        if path.relative_to(PACKAGE).with_suffix("").parts[0] in WITHOUT_TORCH | {"__init__"}:
            assert not imports_torch_early(path.read_text())


def test_there_are_files_to_check():
    assert len(FILES) > 10


def test_no_module_is_in_two_layers():
    assert len(LAYER_OF) == sum(map(len, LAYERS))


def test_the_front_door_opens_without_heavy_packages():
    heavy = {"torch", "polars", "scipy", "matplotlib", "pyarrow", "sklearn", "dask", "distributed", "pandas"}
    code = f"import sys, selfpab; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("place", "source", "faults"),
    [
        (
            "features/spectrograms.py",
            "from selfpab.upstream.masking import MaskingConfig",
            ["features/spectrograms.py imports upstream"],
        ),
        ("features/x.py", "def f():\n    import selfpab.data.store", ["features/x.py imports data"]),
        ("data/x.py", "from selfpab import evaluation", ["data/x.py imports evaluation"]),
        ("data/x.py", "from ..features import spectrograms", ["data/x.py imports features"]),
        ("recording.py", "from selfpab.data.store import Corpus", ["recording.py imports data"]),
        ("data/x.py", "from selfpab import read", ["data/x.py imports the front door (selfpab.read)"]),
        ("data/x.py", "import selfpab", ["data/x.py imports the front door (selfpab)"]),
        ("tools/x.py", "", ["tools/x.py belongs to no layer"]),
        ("downstream/x.py", "from selfpab.upstream.encoder import Encoder\nfrom . import head", []),
        ("activities.py", "from selfpab.recording import Recording\nfrom selfpab import __version__", []),
    ],
)
def test_the_layer_check_reports(place, source, faults):
    assert layer_faults(Path(place), source) == faults


@pytest.mark.parametrize(
    ("source", "early"),
    [
        ("import torch", True),
        ("from torch.nn import Linear", True),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", True),
        ("class A:\n    import torch", True),
        ("def f():\n    import torch", False),
        ("if TYPE_CHECKING:\n    import torch", False),
        ("import torchless", False),
    ],
)
def test_the_torch_check_reports(source, early):
    assert imports_torch_early(source) is early


def test_the_name_check_reports():
    assert exports("def pretrain(): ...\nclass Run: ...\nx = 1") == {"pretrain", "Run"}
    assert mirror(Path("data/store.py")) == ROOT / "tests" / "data" / "test_store.py"

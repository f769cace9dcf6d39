"""Which files of a folder are raw files of a device."""

from selfpab.data.device_files import files_below, is_device


def test_files_are_found_once_below_links_and_without_a_dot(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.cwa").touch()
    (tmp_path / ".two.cwa").touch()
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    assert [file.name for file in files_below(tmp_path)] == ["one.cwa"]


def test_of_bin_files_those_of_a_geneactiv_count(tmp_path):
    for name, content, wanted in (
        ("own.bin", b"Device Identity\r\n", True),
        ("damaged.bin", b"\0" * 40, True),
        ("other.bin", b"MZ and so on", False),
        ("any.cwa", b"", True),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_device(tmp_path / name) is wanted

"""Fetching the data sets: whole or not at all, from a server of our own on this machine, never from the internet."""

import hashlib
import io
import json
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from selfpab.config import ConfigError
from selfpab.data import download
from selfpab.data.datasets import open_dataset
from selfpab.data.download import DownloadConfig, checked, fetch, unpack
from selfpab.recording import RecordingError

HEAD = "timestamp,back_x,back_y,back_z,thigh_x,thigh_y,thigh_z,label\n"


def csv(label: int = 7, thigh_z: float = 1.0, head: str = HEAD) -> str:
    rows = [f"2019-01-12 00:00:00.{20 * i:03d},-1,0,{i / 4096},0,0,{thigh_z},{label}\n" for i in range(50)]
    return head + "".join(rows)


def official(name: str, **changed: str | None) -> bytes:
    """A zip archive in the official form: a folder, a csv file per person; and what else archives may hold."""
    folder = {"harth": "harth", "har70plus": "har70plus"}[name]
    texts = {f"{folder}/{person}.csv": csv() for person in download.PEOPLE[name]}
    texts |= {f"{folder}/README.txt": "hello", "__MACOSX/harth/._S006.csv": "x", **changed}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # not compressed, so that there is something to break off
        for path, text in texts.items():
            if text is not None:
                archive.writestr(path, text)
    return file.getvalue()


@pytest.fixture
def server(monkeypatch):
    """A server whose next answers are made by `server.content`, `.breaks` (bytes after which it hangs up) ..."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            own.asked.append(asked)
            first = int(asked.split("=")[1].rstrip("-")) if asked and own.ranges else 0
            if first >= len(own.content) > 0:
                return self.send_error(416)
            if own.status != 200:
                return self.send_error(own.status)
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(own.content) - 1}/{len(own.content)}")
            if own.tells_length:
                self.send_header("Content-Length", str(len(own.content) - first))
            self.end_headers()
            upto = own.breaks.pop(0) if own.breaks else len(own.content)
            self.wfile.write(own.content[first:upto])

        def log_message(self, *_):
            pass

    own = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.content, own.breaks, own.asked, own.ranges, own.tells_length, own.status = b"", [], [], True, True, 200
    own.config = DownloadConfig(url=f"http://127.0.0.1:{own.server_port}/file.zip")
    thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield own
    own.shutdown()
    own.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["harth", "har70plus"])
def test_what_arrives_is_found_by_its_name_and_says_where_it_is_from(server, tmp_path, name, monkeypatch):
    server.content = official(name)
    dataset = fetch(name, tmp_path / "data", server.config, quiet=True)
    monkeypatch.setenv("SELFPAB_DATA", str(tmp_path / "data"))
    assert open_dataset(name) == dataset == open_dataset(tmp_path / "data" / name)
    assert tuple(file.stem for file in dataset.files) == download.PEOPLE[name]
    assert dataset.files[0].read_text() == csv()
    said = json.loads((dataset.folder / "download.json").read_text())
    assert said["archive"] == {
        "url": server.config.url,
        "sha256": hashlib.sha256(server.content).hexdigest(),
        "bytes": len(server.content),
    }
    assert said["version"] == {"harth": "1.2", "har70plus": "1.0"}[name]
    assert said["sha256"] == dataset.sha256
    assert said["checksum"] == "computed; none was known to compare with"
    assert [path.rsplit("/")[-1] for path in said["left_out"]] == ["README.txt", "._S006.csv"]
    archive = download.URLS[name].rsplit("/")[-1]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted([archive, name])
    assert len(list(dataset.folder.iterdir())) == len(download.PEOPLE[name]) + 1


def test_the_version_of_harth_is_told_by_the_data_and_more_people_are_welcome(server, tmp_path):
    turned = {f"harth/{person}.csv": csv(thigh_z=-1.0) for person in (*download.PEOPLE["harth"], "S030")}
    server.content = official("harth", **turned)
    dataset = fetch("harth", tmp_path / "harth", server.config, quiet=True)
    assert dataset.folder == tmp_path / "harth"  # the folder itself, where it has the name
    assert (dataset.version, len(dataset.files)) == ("2.0", 23)


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    server.content = official("har70plus")
    first = fetch("har70plus", tmp_path, server.config, quiet=True)
    (tmp_path / "har70.zip").unlink()
    assert fetch("har70plus", tmp_path / "har70plus", server.config, quiet=True) == first
    assert len(server.asked) == 1
    (tmp_path / "har70plus" / "download.json").unlink()  # as if put there by hand
    assert fetch("har70plus", tmp_path, server.config, quiet=True) == first
    (tmp_path / "har70plus" / "505.csv").unlink()
    with pytest.raises(RecordingError, match=r"har70plus is not whole, 1 of 18 people are missing \(505\)"):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    assert len(server.asked) == 1


def test_files_that_changed_since_are_told(server, tmp_path):
    server.content = official("har70plus")
    dataset = fetch("har70plus", tmp_path, server.config, quiet=True)
    with pytest.raises(RecordingError, match=r"came from an archive with SHA-256 \w{64}, wanted 00$"):
        fetch("har70plus", tmp_path, DownloadConfig(sha256="00"), quiet=True)
    dataset.files[3].write_text(csv(label=8))
    with pytest.raises(RecordingError, match=r"its files are no longer those of .*download\.json"):
        fetch("har70plus", tmp_path, server.config, quiet=True)


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_goes_on(server, tmp_path, monkeypatch, ranges, tells_length):
    monkeypatch.setattr(download, "CHUNK_BYTES", 1000)
    server.content, server.ranges, server.tells_length = official("har70plus"), ranges, tells_length
    server.breaks = [20_000, 30_000 if ranges else 10_000]
    with pytest.raises(ConnectionError, match=r"0\.0 MB are kept, the same command goes on from there"):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == [".har70.zip.part"]
    assert (tmp_path / ".har70.zip.part").read_bytes() == server.content[:20_000]
    with pytest.raises(ConnectionError, match="goes on from there"):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    assert not (tmp_path / "har70plus").exists()
    fetch("har70plus", tmp_path, server.config, quiet=True)
    assert server.asked == [None, "bytes=20000-", f"bytes={30_000 if ranges else 10_000}-"]
    assert (tmp_path / "har70.zip").read_bytes() == server.content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["har70.zip", "har70plus"]


def test_a_rest_of_something_longer_is_thrown_away(server, tmp_path):
    server.content = official("har70plus")
    (tmp_path / ".har70.zip.part").write_bytes(b"PK" + bytes(len(server.content)))
    fetch("har70plus", tmp_path, server.config, quiet=True)
    assert server.asked == [f"bytes={len(server.content) + 2}-", None]


def test_a_rest_of_something_else_does_not_unpack(server, tmp_path):
    server.content = official("har70plus")
    (tmp_path / ".har70.zip.part").write_bytes(b"PK" + bytes(9_998))
    with pytest.raises(
        RecordingError, match=r"har70\.zip: is no whole zip archive \(.*\); remove it, and fetch it again"
    ):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["har70.zip"]
    (tmp_path / "har70.zip").unlink()
    fetch("har70plus", tmp_path, server.config, quiet=True)


def test_an_answer_that_is_no_archive(server, tmp_path):
    server.content = b"<html>please log in</html>"
    with pytest.raises(ConnectionError, match=r"the answer is no zip archive but nothing, 26 bytes\. Without internet"):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    server.status = 404
    with pytest.raises(ConnectionError, match="404"):
        fetch("har70plus", tmp_path, server.config, quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_without_internet_it_says_what_to_fetch_and_where_to_put_it(server, tmp_path):
    nobody = DownloadConfig(url="http://127.0.0.1:9/har70.zip")  # the discard port; nothing listens
    with pytest.raises(ConnectionError) as error:
        fetch("har70plus", tmp_path / "data", nobody, quiet=True)
    said = str(error.value)
    assert "http://127.0.0.1:9/har70.zip could not be fetched" in said
    assert "https://archive.ics.uci.edu/dataset/780" in said
    put = re.search(r"put it at (\S+) and give the same command again", said)
    assert "kept" not in said
    assert put
    assert put[1] == str(tmp_path / "data" / "har70.zip")
    assert f"put its 501.csv ... into {tmp_path / 'data' / 'har70plus'}" in said
    (tmp_path / "data" / "har70.zip").write_bytes(official("har70plus"))  # as told
    assert len(fetch("har70plus", tmp_path / "data", nobody, quiet=True).files) == 18
    assert server.asked == []


def test_a_known_checksum_is_compared(server, tmp_path):
    server.content = official("har70plus")
    right, wrong = hashlib.sha256(server.content).hexdigest(), "0" * 64
    with pytest.raises(ValueError, match=f"expected {wrong} but got {right}"):
        fetch("har70plus", tmp_path, DownloadConfig(server.config.url, wrong), quiet=True)
    assert list(tmp_path.iterdir()) == []
    dataset = fetch("har70plus", tmp_path, DownloadConfig(server.config.url, right.upper()), quiet=True)
    assert json.loads((dataset.folder / "download.json").read_text())["checksum"] == "as given"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "har70.zip").write_bytes(server.content)
    with pytest.raises(RecordingError, match=f"has SHA-256 {right}, wanted {wrong}; remove it"):
        fetch("har70plus", tmp_path / "other", DownloadConfig(sha256=wrong), quiet=True)


@pytest.mark.parametrize(
    "name", ["../S006.csv", "/S006.csv", "harth/../../S006.csv", "C:\\S006.csv", "harth\\..\\S006.csv"]
)
def test_an_archive_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    (tmp_path / "x.zip").write_bytes(official("harth", **{name: csv()}))
    with pytest.raises(RecordingError, match=r"refused, .* leads out of the folder"):
        unpack(tmp_path / "x.zip", tmp_path / "out", r"S\d\d\d")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"harth/S013.csv": None, "harth/S020.csv": None}, r"2 of 22 people are missing \(S013, S020\)"),
        ({"harth/S010.csv": csv(head=HEAD.replace("thigh_y", "thigh"))}, r"S010\.csv.*thigh_y"),
        ({"harth/S010.csv": csv(head=HEAD.replace("label", "note"))}, r"S010\.csv: has no column label"),
        ({"harth/S010.csv": csv(label=99)}, r"S010\.csv.*label 99 is no activity"),
        ({"again/S010.csv": csv()}, r"files of one name in several folders: .*again/S010\.csv"),
        ({f"harth/{person}.csv": None for person in download.PEOPLE["harth"]}, r"no recordings, only harth/README"),
    ],
)
def test_an_archive_that_is_not_the_data_set_leaves_no_folder(tmp_path, changed, message):
    (tmp_path / "harth.zip").write_bytes(official("harth", **changed))
    with pytest.raises(RecordingError, match=message):
        fetch("harth", tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["harth.zip"]


def test_a_damaged_archive_leaves_no_folder(tmp_path):
    content = bytearray(official("harth"))
    content[5_000] ^= 1  # inside a file
    (tmp_path / "harth.zip").write_bytes(bytes(content))
    with pytest.raises(RecordingError, match=r"is no whole zip archive \(Bad CRC-32"):
        fetch("harth", tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["harth.zip"]


def test_progress_is_told_in_megabytes(server, tmp_path, capsys):
    server.content = official("har70plus", **{"har70plus/more.bin": "x" * 3_000_000})
    fetch("har70plus", tmp_path, server.config)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("har70.zip in MB 1/3, ")
    assert said[-1].startswith("har70plus: files read 18/18, ")


def test_another_name_is_a_wrong_call(tmp_path):
    with pytest.raises(ConfigError, match="'hunt4' cannot be downloaded; there are harth, har70plus"):
        fetch("hunt4", tmp_path)


def test_the_people_are_those_of_the_paper():
    assert {name: len(people) for name, people in download.PEOPLE.items()} == {"harth": 22, "har70plus": 18}


@pytest.mark.shared
def test_the_real_recordings_are_whole(shared):
    assert len(checked(shared / "data" / "har70plus", "har70plus", quiet=True).files) == 18
    with pytest.raises(RecordingError, match="people are missing"):  # 11 of version 2.0
        checked(shared / "data" / "harth", "harth", quiet=True)

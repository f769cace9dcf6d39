"""HARTH and HAR70+ from the UCI repository: fetched, unpacked, and known to be whole by their content.

The repository publishes no checksums and we have none from elsewhere, so the archive's SHA-256 is computed and written
down, not compared, unless `sha256=` gives one; that the data are what they are called is told by reading every file.
That the addresses end in harth.zip and har70.zip, with folders harth/ and har70plus/ inside, was taken from other
projects' published code, without the internet. Which version of HARTH the repository gives today is told by the data.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from selfpab.config import ConfigError
from selfpab.data.checks import sha256_of
from selfpab.data.datasets import PUBLISHED, SUFFIXES, Dataset, open_dataset
from selfpab.progress import Progress
from selfpab.recording import RecordingError
from selfpab.writing import write_text

URLS = {
    "harth": "https://archive.ics.uci.edu/static/public/779/harth.zip",
    "har70plus": "https://archive.ics.uci.edu/static/public/780/har70.zip",
}
PEOPLE = {  # of v1.2 (BEHAVIOUR (h)), the paper's; v2.0 has 9 more
    "harth": ("S006", "S008", "S009", "S010", *(f"S{number:03d}" for number in range(12, 30))),
    "har70plus": tuple(str(number) for number in range(501, 519)),
}
RECORD = "download.json"
TIMEOUT_S = (20, 60)  # to connect; without a byte
MB = 1_000_000
CHUNK_BYTES = 1 << 16  # of the one in which a download breaks off nothing is kept


@dataclass(frozen=True)
class DownloadConfig:
    url: str = ""  # another address of the same archive, such as a mirror; empty: the UCI repository
    sha256: str = ""  # checksum that the archive must have, where one is known


def fetch(name: str, destination: Path, config: DownloadConfig | None = None, *, quiet: bool = False) -> Dataset:
    """Bring `harth` or `har70plus` into `destination`, or into the folder of that name below it.

    `open_dataset` tells these data sets by the folder's name, so `data` and `data/harth` both give `data/harth/` with
    S006.csv ... and `download.json` (address, checksum and size of the archive, version, people). The archive lies beside
    the folder and may be removed. What is there and whole is not fetched again.

    A download that breaks off keeps what came in `.<archive>.part`; the same call goes on from there where the server
    can, else from the beginning. An archive put in its place by hand is taken instead of the internet. The folder
    appears when everything was unpacked and read.

    Raises RecordingError for an archive or a folder that is not the data set, ConnectionError with what to fetch
    elsewhere and where to put it, ConfigError for a name that is none of the two.
    """
    config = config or DownloadConfig()
    if name not in URLS:
        raise ConfigError(f"{name!r} cannot be downloaded; there are {', '.join(URLS)}")
    folder = destination if destination.name.lower().startswith(name) else destination / name
    if folder.is_dir() and any(folder.iterdir()):
        return _there(name, folder, config.sha256, quiet)
    url = config.url or URLS[name]
    archive = folder.parent / PurePosixPath(URLS[name]).name
    if not archive.is_file():
        _download(name, url, archive, folder, config.sha256, quiet)
    checksum = sha256_of(archive)
    if config.sha256.lower() not in ("", checksum):
        raise RecordingError(
            f"{archive}: has SHA-256 {checksum}, wanted {config.sha256}; remove it, and fetch it again"
        )

    unpacked = folder.parent / f".{folder.name}.unpacked" / name
    shutil.rmtree(unpacked.parent, ignore_errors=True)
    try:
        left_out = unpack(archive, unpacked, PUBLISHED[name].files)
        dataset = checked(unpacked, name, quiet=quiet)
        record = {
            "dataset": name,
            "version": dataset.version,
            "people": [file.stem for file in dataset.files],
            "sha256": dataset.sha256,
            "archive": {"url": url, "sha256": checksum, "bytes": archive.stat().st_size},
            "checksum": "as given" if config.sha256 else "computed; none was known to compare with",
            "left_out": left_out,
            "unpacked": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text(unpacked / RECORD, json.dumps(record, indent=1) + "\n")
        if folder.is_dir():
            folder.rmdir()  # it is empty
        os.replace(unpacked, folder)
    finally:
        shutil.rmtree(unpacked.parent, ignore_errors=True)
    return open_dataset(folder)


def checked(folder: Path, name: str, *, quiet: bool = False) -> Dataset:
    """The data set in `folder`, every file of which was read; RecordingError unless all of its people are there."""
    dataset = open_dataset(folder)
    missing = sorted(set(PEOPLE[name]) - {file.stem for file in dataset.files})
    if missing:
        raise RecordingError(
            f"{folder}: {name} is not whole, {len(missing)} of {len(PEOPLE[name])} people are missing "
            f"({', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}); remove what is there, and download it again"
        )
    with Progress(f"{name}: files read", len(dataset.files), quiet=quiet) as progress:
        for file in dataset.files:
            if dataset.load(file).labels is None:
                raise RecordingError(f"{file}: has no column label; wanted a labelled recording of {name}")
            progress.advance()
    return dataset


def unpack(archive: Path, folder: Path, files: str) -> list[str]:
    """Write the archive's recordings, whose stem is `files` (a regular expression), side by side into `folder`.

    Returns the names of everything else, which is left in the archive. RecordingError, before anything is written,
    where a name leads out of the folder, and where the archive is damaged or has no recording.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            names = [info.filename for info in content.infolist() if not info.is_dir()]
            for name in names:
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|\\", name):
                    raise RecordingError(
                        f"{archive}: refused, {name!r} leads out of the folder; do not use this archive"
                    )
            chosen = {name: PurePosixPath(name) for name in names if _is_recording(PurePosixPath(name), files)}
            if len({path.name for path in chosen.values()}) < len(chosen):
                raise RecordingError(f"{archive}: has files of one name in several folders: {', '.join(chosen)}")
            if not chosen:
                raise RecordingError(f"{archive}: has no recordings, only {', '.join(names[:5]) or 'nothing'}")
            folder.mkdir(parents=True)
            for name, path in chosen.items():  # zipfile checks every file's CRC at its end
                with content.open(name) as source, open(folder / path.name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise RecordingError(f"{archive}: is no whole zip archive ({error}); remove it, and fetch it again") from error
    return [name for name in names if name not in chosen]


def _there(name: str, folder: Path, sha256: str, quiet: bool) -> Dataset:
    """A folder with something in it: the whole data set, or an error."""
    record = folder / RECORD
    if not record.is_file():
        return checked(folder, name, quiet=quiet)  # put there by hand
    known, dataset = json.loads(record.read_text(encoding="utf-8")), open_dataset(folder)
    if known["sha256"] != dataset.sha256:
        raise RecordingError(
            f"{folder}: its files are no longer those of {record} ({dataset.sha256[:12]} instead of "
            f"{known['sha256'][:12]}); remove the folder to unpack them again"
        )
    if sha256.lower() not in ("", known["archive"]["sha256"]):
        raise RecordingError(
            f"{folder}: came from an archive with SHA-256 {known['archive']['sha256']}, wanted {sha256}"
        )
    return dataset


def _download(name: str, url: str, archive: Path, folder: Path, sha256: str, quiet: bool) -> None:
    """Pooch keeps the file from its place until it is whole and has the checksum."""
    import pooch
    import requests

    part = archive.with_name(f".{archive.name}.part")
    pooch.get_logger().setLevel(logging.WARNING)
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        pooch.retrieve(
            url,
            known_hash=sha256.lower() or None,
            fname=archive.name,
            path=archive.parent,
            downloader=resuming(part, quiet=quiet),
        )
    except requests.RequestException as error:
        kept = part.stat().st_size / MB if part.is_file() else 0.0
        more = f" {kept:.1f} MB are kept, the same command goes on from there." if kept else ""
        raise ConnectionError(
            f"{url} could not be fetched: {error}.{more} Without internet: fetch that file on another machine, from this "
            f"address or from {PUBLISHED[name].where}, put it at {archive.absolute()} and give the same command again; "
            f"or unpack it there and put its {PUBLISHED[name].subjects} into {folder.absolute()}"
        ) from error


def resuming(part: Path, *, quiet: bool = False) -> Any:
    """A downloader for pooch that gathers the bytes in `part`, and asks only for those which it lacks.

    Pooch's own begins anew after every break. A server that ignores the question sends all, and all is taken; one that
    has another file than before gives an archive that does not unpack.
    """

    def get(url: str, output_file: Any, _: Any) -> None:
        import requests

        had = part.stat().st_size if part.is_file() else 0
        ask = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
        with requests.get(url, headers=ask, stream=True, timeout=TIMEOUT_S) as answer:
            goes_on = answer.status_code == requests.codes.partial_content
            if had and not (goes_on and answer.headers.get("Content-Range", "").startswith(f"bytes {had}-")):
                if answer.status_code == requests.codes.requested_range_not_satisfiable or goes_on:
                    part.unlink()  # longer than the file there: of another one
                    return get(url, output_file, None)
                had = 0
            answer.raise_for_status()
            told = answer.headers.get("Content-Length")
            total = had + int(told) if told else 0
            label = f"{part.name[1:].removesuffix('.part')} in MB"
            with (
                open(part, "ab" if had else "wb") as file,
                Progress(label, total // MB, done=had // MB, quiet=quiet or not total) as progress,
            ):
                for chunk in answer.iter_content(CHUNK_BYTES):
                    file.write(chunk)
                    if more := file.tell() // MB - progress.done:
                        progress.advance(more)
        _check_whole(part, total, answer.headers.get("Content-Type", "nothing"))
        os.replace(part, output_file)

    return get


def _check_whole(part: Path, total: int, kind: str) -> None:
    """Not every server tells the length; a zip archive has its table of contents at the end."""
    import requests

    size = part.stat().st_size
    with part.open("rb") as file:
        begins = file.read(2)
    if begins != b"PK":
        part.unlink()
        raise requests.ConnectionError(f"the answer is no zip archive but {kind}, {size} bytes")
    if (total and size != total) or not zipfile.is_zipfile(part):
        raise requests.ConnectionError(f"it broke off after {size} of {total or 'unknown'} bytes")


def _is_recording(path: PurePosixPath, files: str) -> bool:
    return path.suffix.lower() in SUFFIXES and re.fullmatch(files, path.stem) is not None

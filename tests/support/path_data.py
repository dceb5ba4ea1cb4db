"""PathData: 10,000 paths of twelve channels with how many converted and how many did not, the sample of the package ChannelAttribution.

It comes in the package's source distribution, which pip brings when first asked for (half a minute: pip prepares what it downloads).
"""

import csv
import hashlib
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_CACHE = Path("build/channel-attribution")  # git ignores it
_REQUIREMENT = "channelattribution==2.2.5"
_ARCHIVE = "channelattribution-2.2.5.tar.gz"
_SHA256 = "01c597dabdcd436e358a6c05a191151db2eaabf7c12a6875fb3a087dcf609448"
_MEMBER = "channelattribution-2.2.5/src/cypack/data/Data.csv"


@dataclass(frozen=True, slots=True)
class JourneyPath:
    channels: tuple[str, ...]
    conversions: int
    nulls: int


def path_data() -> list[JourneyPath]:
    rows = csv.DictReader(path_data_file().decode().splitlines(), delimiter=";")
    return [JourneyPath(tuple(row["path"].split(" > ")), int(row["total_conversions"]), int(row["total_null"])) for row in rows]


def path_data_file() -> bytes:
    """Data.csv. Skips the test where it can't be had, but not in CI: there a check that was not made is a failure."""
    archive = _CACHE / _ARCHIVE
    if not archive.is_file():
        _fetch()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == _SHA256
    with tarfile.open(archive) as files:
        member = files.extractfile(_MEMBER)
        assert member is not None
        return member.read()


def _fetch() -> None:
    """Into the cache as a whole: tests that run beside this one may fetch it too."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_CACHE) as directory:
        requirements = Path(directory, "requirements.txt")
        requirements.write_text(f"{_REQUIREMENT} --hash=sha256:{_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=channelattribution", "--require-hashes"]
        done = subprocess.run([*pip, "--dest", directory, "--requirement", requirements], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"{_REQUIREMENT} could not be downloaded: {(done.stderr.strip() or 'pip said nothing').splitlines()[-1]}"
            assert "CI" not in os.environ, reason
            pytest.skip(reason)
        Path(directory, _ARCHIVE).replace(_CACHE / _ARCHIVE)

"""Where the published files are fetched from: plain addresses with checksums, and what to do by hand.

Checksums: the publishers' own pages (SHD, SSC), torchaudio (GSC), SpikingJelly (CIFAR10-DVS), tonic
(N-MNIST). Series that have none are checked by their rows and variates once they are here.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its address, its name, md5 or sha256 ("" unknown), and where its archive is unpacked.

    ``into`` "" means that it is no archive and stays as it is, below the data folder.
    """

    url: str
    file: str
    digest: str = ""
    into: str = ""


_ZENKE, _LSTNET = "https://zenkelab.org/datasets/", "https://raw.githubusercontent.com/laiguokun/"
_LSTNET += "multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023/"
_ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_FIGSHARE = "https://ndownloader.figshare.com/files/"
_CIFAR10_DVS = (
    ("airplane", "7712788", "0afd5c4bf9ae06af762a77b180354fdd"),
    ("automobile", "7712791", "8438dfeba3bc970c94962d995b1b9bdd"),
    ("bird", "7712794", "a9c207c91c55b9dc2002dc21c684d785"),
    ("cat", "7712812", "52c63c677c2b15fa5146a8daf4d56687"),
    ("deer", "7712815", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    ("dog", "7712818", "f379ebdf6703d16e0a690782e62639c3"),
    ("frog", "7712842", "cad6ed91214b1c7388a5f6ee56d08803"),
    ("horse", "7712851", "e7cbbf77bec584ffbf913f00e682782a"),
    ("ship", "7712836", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    ("truck", "7712839", "89f3922fd147d9aeff89e76a2b0b70a7"),
)


def _zenke(part: str, name: str, md5: str) -> Source:
    return Source(f"{_ZENKE}{name}_{part}.h5.zip", f"{name}_{part}.h5.zip", md5, name)


SOURCES: Final[dict[str, tuple[Source, ...]]] = {
    "shd": (
        _zenke("train", "shd", "f3252aeb598ac776c1b526422d90eecb"),
        _zenke("test", "shd", "1503a5064faa34311c398fb0a1ed0a6f"),
    ),
    "ssc": (
        _zenke("train", "ssc", "d102be95e7144fcc0553d1f45ba94170"),
        _zenke("valid", "ssc", "b4eee3516a4a90dd0c71a6ac23a8ae43"),
        _zenke("test", "ssc", "a35ff1e9cffdd02a20eb850c17c37748"),
    ),
    "gsc": (
        Source(
            "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "speech_commands_v0.02.tar.gz",
            "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            "speech_commands_v0.02",
        ),
    ),
    "cifar10-dvs": tuple(
        Source(f"{_FIGSHARE}{number}", f"{name}.zip", md5, "cifar10-dvs")
        for name, number, md5 in _CIFAR10_DVS
    ),
    "nmnist": (
        Source(
            f"{_MENDELEY}39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            "train.zip",
            "20959b8e626244a1b502305a9e6e2031",
            "nmnist",
        ),
        Source(
            f"{_MENDELEY}05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            "test.zip",
            "69ca8762b2fe404d9b9bad1103e97832",
            "nmnist",
        ),
    ),
    "solar": (Source(f"{_LSTNET}solar-energy/solar_AL.txt.gz", "solar_AL.txt.gz"),),
    "electricity": (Source(f"{_LSTNET}electricity/electricity.txt.gz", "electricity.txt.gz"),),
    "exchange-rate": (
        Source(
            f"{_LSTNET}exchange_rate/exchange_rate.txt.gz",
            "exchange_rate.txt.gz",
            "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d",
        ),
    ),
    **{
        f"ett-{name}": (Source(f"{_ETT}ETT{name}.csv", f"ETT{name}.csv"),)
        for name in ("h1", "h2", "m1", "m2")
    },
}
SAME: Final = {"gsc-mel": "gsc"}
"""Sets that read another one's files."""

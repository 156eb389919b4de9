"""Fill a USB stick: everything that a class needs where there is no network, or a zip for Colab."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.course import editions, notebooks, release
from helpers.session import ROOT

LOCK = ROOT / "requirements.lock"
TEXTS = {kind: Path(__file__).with_name(f"pack_{kind}.md") for kind in ("stick", "colab")}
PYTHONS = ("3.11", "3.12", "3.13")
PATCHES = (0, 99)  # the oldest and the newest 3.NN: a package may ask for 3.11.5 or newer


def _manylinux(machine):
    return [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [
        f"manylinux{year}_{machine}" for year in (2014, 2010, 1)
    ]


def _mac():
    from packaging import tags

    return list(tags.mac_platforms((12, 0), "arm64"))


# What pip calls a system, and what the conditions of the lock file ask of it.
SYSTEMS = {
    "windows": (lambda: ["win_amd64"], ("win32", "Windows", "nt", "AMD64")),
    "mac": (_mac, ("darwin", "Darwin", "posix", "arm64")),
    "linux": (lambda: _manylinux("x86_64"), ("linux", "Linux", "posix", "x86_64")),
    "linux-arm": (lambda: _manylinux("aarch64"), ("linux", "Linux", "posix", "aarch64")),
}


def add_parser(commands):
    """Say what the command takes."""
    parser = commands.add_parser(
        "pack",
        description="Put packages, data and the students' copy into a folder that needs no "
        "network; or, with --colab, into a zip that Colab unpacks.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new or empty")
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, help="whose packages; default: this computer's"
    )
    parser.add_argument(
        "--pythons",
        nargs="+",
        choices=PYTHONS,
        metavar="3.NN",
        default=[f"{sys.version_info[0]}.{sys.version_info[1]}"],
        help=f"for which of {notebooks.in_words(PYTHONS)}; default: this one",
    )
    parser.add_argument(
        "--colab", action="store_true", help="make course.zip and notebooks that unpack it"
    )
    parser.set_defaults(main=main)


def main(arguments):
    """Run the command."""
    target = arguments.out.expanduser().resolve()
    if target.is_relative_to(ROOT) and not target.is_relative_to(notebooks.BUILD):
        raise notebooks.UsageError(
            f"--out must be outside the course or inside build/, not {target}"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise notebooks.UsageError(f"--out must be a new or an empty folder, not {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.mkdir()
        if arguments.colab:
            for_colab(temporary)
        else:
            stick(temporary, arguments.systems or [this_system()], arguments.pythons)
        if target.exists():
            target.rmdir()
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{size / 1e9:.2f} GB in {target}: begin with {target / 'START.md'}")


def stick(folder, systems, pythons):
    """Fill a folder with packages, the students' copy and its data, a page, and what to type.

    Parameters
    ----------
    folder : Path
        An empty folder.
    systems : list of str
        Names of `SYSTEMS`.
    pythons : list of str
        Such as ``"3.12"``.

    Raises
    ------
    UsageError
        If a package cannot be had for one of them.
    """
    from helpers import explore

    books = {path: notebooks.read(path) for path in notebooks.find(everything=True)}
    datasets, lacking = release.data_here(books)
    release.release(folder / "course", datasets=datasets)
    for line in lacking:
        print(line)
    for system in systems:
        for python in pythons:
            print(f"packages for {system}, Python {python} …", flush=True)
            _download(folder / "wheels", system, python)
    text = TEXTS["stick"].read_text(encoding="utf-8")
    for word, value in {
        "systems": notebooks.in_words(systems),
        "pythons": notebooks.in_words(pythons, "or"),
        "python": pythons[-1],
        "data": release.about_data(datasets),
    }.items():
        text = text.replace(f"{{{word}}}", value)
    (folder / "explore.html").write_text(explore.page(), encoding="utf-8", newline="\n")
    (folder / "START.md").write_text(text, encoding="utf-8", newline="\n")


def for_colab(folder):
    """Fill a folder with ``course.zip`` and the notebooks that unpack it.

    Parameters
    ----------
    folder : Path
        An empty folder.
    """
    release.release(folder / "course")
    shutil.make_archive(folder / "course", "zip", folder / "course")
    for path in sorted((folder / "course" / "notebooks").rglob("*.ipynb")):
        book = notebooks.read(path)
        editions.find_the_zip(book)
        notebooks.write(book, folder / "notebooks" / path.name)
    shutil.rmtree(folder / "course")
    shutil.copyfile(TEXTS["colab"], folder / "START.md")


def this_system():
    """Return the name in `SYSTEMS` of the computer that runs this.

    Raises
    ------
    UsageError
        If there is no TensorFlow for it.
    """
    here = (sys.platform, platform.machine())
    for name, (_, (system, _, _, machine)) in SYSTEMS.items():
        if here == (system, machine):
            return name
    raise notebooks.UsageError(
        f"there is no TensorFlow for {' on '.join(here)}: name --systems, of "
        f"{notebooks.in_words(SYSTEMS)}"
    )


def locked(system, python, patch=PATCHES[0]):
    """Read from the lock file what one system with one Python needs.

    Parameters
    ----------
    system : str
        A name in `SYSTEMS`.
    python : str
        Such as ``"3.12"``.
    patch : int
        What comes after it: 4 for Python 3.12.4.

    Returns
    -------
    list of str
        Requirements with the digests of their files, and without conditions.
    """
    from packaging.requirements import Requirement

    sys_platform, platform_system, os_name, machine = SYSTEMS[system][1]
    environment = {
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "os_name": os_name,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.{patch}",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    needed = []
    lines = LOCK.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    for line in lines:
        if not line or line.startswith("#"):
            continue
        requirement, *digests = line.split(" --hash=")
        requirement = Requirement(requirement)
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        requirement.marker = None
        needed.append(" --hash=".join([str(requirement), *(d.strip() for d in digests)]))
    return needed


def _download(folder, system, python):
    """Download with pip what `locked` names, each file compared with its digest."""
    folder.mkdir(exist_ok=True)
    listed, here = folder / "requirements.part", set()
    for patch in PATCHES:
        wanted = [line for line in locked(system, python, patch) if line not in here]
        here.update(wanted)
        if wanted:
            listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
            _fetch(folder, listed, system, f"{python}.{patch}")


def _fetch(folder, listed, system, python):
    """Download with pip what a file lists, and delete the list."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
    for name in SYSTEMS[system][0]():
        command += ["--platform", name]
    done = subprocess.run([*command, "-r", str(listed)], capture_output=True, text=True)
    listed.unlink()
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise notebooks.UsageError(
            f"pip found not all packages for {system} with Python {python}: "
            f"{' '.join(errors) or done.stderr}"
        )

"""HDF5 recordings: family H, and numbers in them."""

from pathlib import Path

import h5py
import numpy as np

from tests.defects.corpus import Expected, Injection, injection

INJECTIONS: list[Injection] = []
ONLY = ("hdf5",)
MASKS = {"masks": {"train": [0, 2], "valid": [10]}}


def put(file: h5py.File, name: str, values: object) -> None:
    del file[name]
    file[name] = values


@injection(INJECTIONS, "H01", ONLY)
def no_hdf5_file(path: Path) -> Expected:
    path.write_bytes(b"something else" * 100)
    return Expected()


@injection(INJECTIONS, "H01", ONLY)
def file_cut_off(path: Path) -> Expected:
    path.write_bytes(path.read_bytes()[:4000])
    return Expected()


@injection(INJECTIONS, "H01", ONLY)
def raw_recording_without_observations(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        for demonstration in file["data"].values():
            del demonstration["obs"], demonstration["next_obs"]
    return Expected()


@injection(INJECTIONS, "H01", ONLY)
def link_to_another_file(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        del file["data/demo_2/actions"]
        file["data/demo_2/actions"] = h5py.ExternalLink("other.hdf5", "/actions")
    return Expected()


@injection(INJECTIONS, "H02", ONLY)
def observations_shorter_than_actions(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        put(file, "data/demo_2/obs/object", file["data/demo_2/obs/object"][:-1])
    return Expected(None, (2,))


@injection(INJECTIONS, "H03", ONLY)
def num_samples_too_high(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        file["data/demo_10"].attrs["num_samples"] = 5
    return Expected(None, (10,))


@injection(INJECTIONS, "H03", ONLY)
def total_not_updated(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        file["data"].attrs["total"] = 999
    return Expected(None, ())


@injection(INJECTIONS, "H04", ONLY, spec=MASKS)
def mask_names_a_deleted_demonstration(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        put(file, "mask/valid", np.array([b"demo_10", b"demo_11"]))
    return Expected("mask/valid")


@injection(INJECTIONS, "H04", ONLY, spec=MASKS)
def mask_of_numbers(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        put(file, "mask/valid", np.array([10]))
    return Expected()


@injection(INJECTIONS, "H05", ONLY, companions=("H03",))
def demonstration_without_actions(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        del file["data/demo_2/actions"]
    return Expected(None, (2,))


@injection(INJECTIONS, "H06", ONLY)
def env_args_that_are_python(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        file["data"].attrs["env_args"] = "{'env_name': 'Lift'}"
    return Expected()


@injection(INJECTIONS, "H07", ONLY, companions=("H03",))
def demonstration_of_one_frame(path: Path) -> Expected:
    _shorten(path, 1)
    return Expected(None, (2,))


@injection(INJECTIONS, "H07", ONLY, companions=("H03",))
def demonstration_of_no_frame(path: Path) -> Expected:
    _shorten(path, 0)
    return Expected(None, (2,))


@injection(INJECTIONS, "H08", ONLY)
def array_that_one_demonstration_lacks(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        del file["data/demo_2/states"]
    return Expected()


@injection(INJECTIONS, "T01", ONLY)
def nan_in_the_actions(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        file["data/demo_10/actions"][2, 3] = np.nan
    return Expected("action", (10,))


@injection(INJECTIONS, "T07", ONLY, spec={"lengths": (5, 5, 5)})
def a_demonstration_copied(path: Path) -> Expected:
    with h5py.File(path, "a") as file:
        del file["data/demo_10"]
        file.copy("data/demo_2", "data/demo_10")
    return Expected(None, (2, 10))


def _shorten(path: Path, rows: int) -> None:
    """Cut all arrays of a demonstration to so many rows, and its attribute with them."""
    with h5py.File(path, "a") as file:
        group = file["data/demo_2"]
        names: list[str] = []
        group.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
        for name in names:
            put(file, f"data/demo_2/{name}", group[name][:rows])
        group.attrs["num_samples"] = rows

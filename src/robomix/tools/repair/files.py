"""The files of a damaged dataset that are neither rows nor frames nor LeRobot's metadata: which go along."""

import re
from functools import partial
from pathlib import Path

from robomix.tools.build.source import is_further_file
from robomix.tools.check.families.files import PICTURES, is_junk, strange_files
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.values import number, some
from robomix.tools.repair.consent import Consent


def meta_files(raw: RawLeRobot) -> dict[str, Path]:
    """Files below meta/ that are none of LeRobot's own, by their names there."""
    names = {n.removeprefix("meta/"): raw.root / n for n in raw.files if n.startswith("meta/") and not is_junk(n)}
    return {name: path for name, path in names.items() if is_further_file(name)}


def other_files(raw: RawLeRobot, consent: Consent) -> dict[str, Path]:
    """Files outside of meta/ that are no rows and no frames; those that nothing refers to, unless they are to go."""
    strange = strange_files(raw)
    if strange and consent.flags.drop_orphans:
        consent.ask("drop_orphans", f"nothing refers to {some(strange)}")
    skipped = {*raw.data_names, *raw.video_names} - (set() if consent.flags.drop_orphans else set(strange))
    hidden = partial(re.search, r"(^|/)\.[^/]+/")
    names = [n for n in raw.files if n not in skipped and not n.startswith(("meta/", PICTURES)) and not hidden(n)]
    _note_what_is_left(raw, consent)
    return {name: raw.root / name for name in names if not is_junk(name)}


def _note_what_is_left(raw: RawLeRobot, consent: Consent) -> None:
    junk = [name for name in raw.files if is_junk(name) or name.startswith(PICTURES)]
    if junk:
        consent.notes.append(f"left out {number(len(junk), 'file')} that a system or a recorder left: {some(junk)}")
    if raw.links:
        consent.notes.append(f"left out {number(len(raw.links), 'link')} out of the dataset: {some(raw.links)}")

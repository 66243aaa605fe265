"""What a repair may do beyond what is certain: its flags, and what it needs them for."""

from dataclasses import dataclass, field, fields

from robomix.formats.rate import as_rate


@dataclass(frozen=True)
class Flags:
    """What the repair may drop, alter or guess. Without a flag none of it is done."""

    drop_episodes: bool = False
    """Leave out episodes whose files are missing or damaged, whose frames and rows differ in number, that are empty, or
    hold NaN. Their data is not in NEW."""
    drop_duplicates: bool = False
    """Leave out all but the first of episodes whose numbers are all equal."""
    drop_features: bool = False
    """Leave out features that are declared and have no data, or that cannot be read, and columns that are not
    declared."""
    drop_orphans: bool = False
    """Leave out files that nothing refers to, and video frames that belong to no episode."""
    keep_verified_prefix: bool = False
    """Of a recording that was killed keep the first episodes, up to the first of which something is missing."""
    repack: bool = False
    """Put rows of episodes that lie apart or out of order together, by their frame_index."""
    placeholder_tasks: bool = False
    """Give tasks without a text the one that their episodes list, or else `unnamed task N`."""
    normalize_tasks: bool = False
    """Make one of task texts that are equal but for case, spaces, form of letters and the last dot."""
    reencode: bool = False
    """Encode videos again that have few key frames, another codec or pixel format than the others, a rotation, or
    pixels that are not square, and where they cannot be cut; leave out their sound. Pictures lose a little."""
    fps: float | None = None
    """Frames per second of the recording, where the dataset does not say."""
    robot_type: str | None = None
    """What the robot is called, in place of what the dataset says."""

    def has(self, flag: str) -> bool:
        return getattr(self, flag) not in (False, None)

    def check(self) -> None:
        """Raises FormatError for an `fps` that is none."""
        if self.fps is not None:
            as_rate(self.fps, "--fps")


NAMES = tuple(entry.name for entry in fields(Flags))


@dataclass(frozen=True)
class Need:
    """Something that cannot be done without its flag, and without which nothing can be written."""

    flag: str
    what: str
    """A sentence's beginning, without a full stop."""
    episodes: tuple[int, ...] = ()


@dataclass
class Consent:
    """What a repair has found that it needs flags for, and what no flag helps with.

    The repair goes on as if every flag were given, so that all that is needed can be told at once.
    """

    flags: Flags
    needs: list[Need] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is left out or altered for certain."""

    def ask(self, flag: str, what: str, episodes: tuple[int, ...] = ()) -> None:
        """Say what `flag` is needed for."""
        need = Need(flag, what, episodes)
        if need not in self.needs:
            self.needs.append(need)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing can be written with these flags."""
        missing = [need for need in self.needs if not self.flags.has(need.flag)]
        return (*self.impossible, *(f"{need.what}: --{need.flag} would {_EFFECTS[need.flag]}." for need in missing))

    @property
    def granted(self) -> tuple[Need, ...]:
        """What is done because a flag was given."""
        return tuple(need for need in self.needs if self.flags.has(need.flag))


_EFFECTS = {
    "drop_episodes": "leave out these episodes",
    "drop_duplicates": "leave out the copies",
    "drop_features": "leave out the feature",
    "drop_orphans": "leave them out",
    "keep_verified_prefix": "keep the episodes before the first of which something is missing",
    "repack": "put the rows together by frame_index",
    "placeholder_tasks": "take the texts that the episodes list, or `unnamed task N`",
    "normalize_tasks": "make them one task",
    "reencode": "encode the frames again, without the sound",
    "fps": "say the frames per second",
    "robot_type": "say what the robot is",
}

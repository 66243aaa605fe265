"""The datasets of a mixture file as one: what is merged, what is refused, and what is to be known of the result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from robomix.config import MixtureConfig
from robomix.errors import ConfigError, RobomixError
from robomix.formats.gr00t import Gr00tDataset
from robomix.mixture.opening import open_each
from robomix.tools.build.annotations import annotations
from robomix.tools.build.content import Content
from robomix.tools.edit.features import drop
from robomix.tools.edit.join import Joined, Keep, join
from robomix.tools.edit.storage import Storage, stored_as
from robomix.tools.edit.tasks import normalized, retask
from robomix.tools.merge.duplicates import copies, told, without
from robomix.tools.merge.member import Member
from robomix.tools.merge.recorded import opened
from robomix.tools.merge.sources import content_of_member


@dataclass(frozen=True)
class Wishes:
    """How datasets are merged, beyond what the mixture file says of each."""

    keep: Keep | None = None
    """What becomes of features that not all have; see `join`."""
    storage: Storage = "keep"
    """How cameras are kept."""
    robot_type: str | None = None
    """Of the merged dataset; None where all have the same."""
    normalize_tasks: bool = False
    """Texts that differ in case, spaces or a last dot only become one task."""
    task_map: Mapping[str, str] = field(default_factory=dict)
    """Other texts for tasks."""
    provenance: bool = False
    """Whether each episode's metadata says where it comes from."""
    drop_duplicates: bool = False
    """Leaves copies of an episode out, in place of refusing them."""
    codec: str = "libsvtav1"
    """Encoder of frames that must be encoded."""


def merged(config: MixtureConfig, wishes: Wishes) -> Joined:
    """The datasets of `config` as the content of one: their chosen episodes, with the features that samples hold.

    Order is that of the file. Nothing is written or encoded yet. Raises RobomixError for datasets that cannot be
    opened; that they do not fit together is told in `Joined.refusals`.
    """
    members = open_each(_as_recorded(config), Member.of, opened)
    sources = tuple(member.dataset.path for member in members)
    notes, refusals = list(_left_to_the_training(config)), []
    if pairs := copies(members):
        if wishes.drop_duplicates:
            notes.append(f"left out as copies: {told(members, pairs)}")
            members = without(members, [copy for copy, _ in pairs])
        else:
            refusals.append(f"episodes occur twice: {told(members, pairs)}. --drop_duplicates leaves the copies out.")
    contents: dict[str, Content] = {}
    with_parts = not _stay_gr00t(members)
    for member in members:
        try:
            content = content_of_member(member, wishes.codec, with_parts=with_parts)
            contents[member.name] = stored_as(content, wishes.storage, wishes.codec)
        except RobomixError as error:
            refusals.append(str(error))
    notes += [note for member in members for note in _single_numbers(member)]
    if with_parts:
        notes += _drop_lonely_annotations(contents, [m.name for m in members if isinstance(m.dataset, Gr00tDataset)])
    if not contents:
        raise ConfigError("".join(f"\n  {reason}" for reason in ("nothing can be merged:", *refusals)).strip())
    joined = join(
        list(contents.values()),
        list(contents),
        keep=wishes.keep,
        robot_type=wishes.robot_type,
        provenance=wishes.provenance,
    )
    content = retask(joined.content, wishes.task_map) if wishes.task_map else joined.content
    content = normalized(content) if wishes.normalize_tasks else content
    return Joined(content, (*notes, *joined.notes), (*refusals, *joined.refusals), sources)


def _as_recorded(config: MixtureConfig) -> MixtureConfig:
    """`config` without what it says of texts and of the training: both are for when the merged dataset is read."""
    sources = tuple(replace(source, prompt=None, paraphrases={}) for source in config.datasets)
    return replace(config, datasets=sources, condition_on=None, materialized=None)


def _left_to_the_training(config: MixtureConfig) -> Iterator[str]:
    """What the file says that no dataset can hold."""
    for source in config.datasets:
        named = {
            "idle (all frames are merged)": source.idle is not None,
            "val_episodes and val_fraction (all chosen episodes are merged)": source.val_episodes
            or source.val_fraction,
            "prompt and paraphrases (tasks are merged as recorded)": source.prompt or source.paraphrases,
            "loss_weight": source.loss_weight != 1,
            "weight": source.weight != 1,
        }
        if told := [text for text, is_asked in named.items() if is_asked]:
            yield f"for the training on the merged dataset to say again: {', '.join(told)} of {source.name}"
    whole = {"val_fraction": config.val_fraction, "condition_on": config.condition_on, "alpha": config.alpha}
    if told := [name for name, is_asked in whole.items() if is_asked]:
        yield f"for the training on the merged dataset to say again: {', '.join(told)}"


def _single_numbers(member: Member) -> Iterator[str]:
    """What LeRobot's format cannot hold as it is: it has no observations and actions without an axis."""
    features = {key: member.dataset.features[old] for key, old in member.keys.items()}
    single = [key for key, f in features.items() if f.shape == () and key.startswith(("observation", "action"))]
    single = [key for key in single if features[key].kind == "numeric"]
    if single:
        yield f"single numbers become vectors of one entry: {', '.join(single)} of {member.name}"


def _drop_lonely_annotations(contents: dict[str, Content], gr00t: Sequence[str]) -> list[str]:
    """Takes from GR00T's datasets the numbers of tasks that not all datasets have, and says so.

    No sample holds them, and no number can be filled in for one: 0 is a task. The texts of the tasks stay.
    """
    told = []
    for name in gr00t:
        content = contents.get(name)
        keys = [] if content is None else annotations(content)
        lonely = [key for key in keys if any(key not in other.features for other in contents.values())]
        if content is not None and lonely:
            contents[name] = drop(content, lonely)
            told.append(f"dropped: {', '.join(lonely)} of {name}, which name tasks by number, and not all have")
    return told


def _stay_gr00t(members: Sequence[Member]) -> bool:
    """Whether the merged dataset can have the meta/modality.json of all: it is the same, and no name has changed."""
    texts = set()
    for member in members:
        changes = member.entry.transforms or member.entry.feature_map or member.entry.lang is not None
        if not isinstance(member.dataset, Gr00tDataset) or changes:
            return False
        texts.add((member.dataset.path / "meta" / "modality.json").read_bytes())
    return len(texts) == 1

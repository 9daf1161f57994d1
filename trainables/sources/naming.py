"""Tensors of files by our names, network by network: prefixes that come off, and the user's key map."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from trainables.networks.families import DISCRIMINATOR, GENERATOR
from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.description import floats
from trainables.sources.foreign.files import read_contents
from trainables.sources.foreign.tensors import Lazy, UnreadableError
from trainables.sources.shelf import SourceError
from trainables.storage.json_files import read_json

NETWORKS = (GENERATOR, DISCRIMINATOR)
_PREFIXES = tuple(f"{part}." for part in NETWORKS)

WRAPPINGS = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before the names of what they wrap, one in the other as it comes."""


def named(files: Sequence[Path], key_map: Mapping[str, str | None]) -> Contents:
    """What the files hold, by our names as far as the map knows them; of two, names begin with the network of each.

    The map may name tensors as they stand in the files, or with their network before. SourceError if it names what no file
    has, or two tensors alike.
    """
    if len(files) not in (1, 2):
        raise SourceError(
            f"got {len(files)} files; give one with both networks or the generator, or the generator's and the discriminator's"
        )
    parts = [""] if len(files) == 1 else list(_PREFIXES)
    read = list(zip(parts, (read_contents(path) for path in files), strict=True))
    found = [(part, theirs, tensor) for part, each in read for theirs, tensor in each.tensors.items()]
    used = {name for part, theirs, _ in found for name in (theirs, part + theirs)}
    if unused := sorted(key_map.keys() - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise SourceError(
            f"key map: {unused[0]!r:.200}{more} is no tensor of {' or '.join(map(str, files))}, which begins with "
            f"{min((theirs for _, theirs, _ in found), default=None)!r}; give names as they stand there"
        )
    values = {part + name: value for part, each in read for name, value in each.values.items()}
    strangers = {name: count for _, each in read for name, count in each.strangers.items()}
    return Contents(_renamed(found, key_map), values, strangers)


def _renamed(found: Sequence[tuple[str, str, Lazy]], key_map: Mapping[str, str | None]) -> dict[str, Lazy]:
    """By our names the tensors `found`, each with the part that its file is of and its name there."""
    ours: dict[str, tuple[str, Lazy]] = {}
    for part, theirs, tensor in found:
        mapped = next((key for key in (part + theirs, theirs) if key in key_map), None)
        name = _unwrapped(theirs) if mapped is None else key_map[mapped]
        if name is None:
            continue
        whole = name if name.startswith(part) else part + name
        if whole in ours:
            raise SourceError(
                f"{ours[whole][0]!r} and {theirs!r} would both be tensor {whole!r}; give a --key-map that tells them apart, "
                "or null for one of them to drop it"
            )
        ours[whole] = theirs, tensor
    return {name: tensor for name, (_, tensor) in ours.items()}


def by_network(contents: Contents, where: str) -> dict[str, dict[str, Tensor]]:
    """The tensors of each network, of files whose names are ours; SourceError if one is of no network."""
    tensors = dict(contents.tensors)
    if not any(key.startswith(_PREFIXES) for key in tensors):
        tensors = {f"{GENERATOR}.{key}": tensor for key, tensor in tensors.items()}
    if strangers := [key for key in tensors if not key.startswith(_PREFIXES)]:
        raise SourceError(
            f"{where}: tensor {strangers[0]!r} belongs to neither generator nor discriminator; names must start with "
            "'generator.' or 'discriminator.', so give a --key-map FILE.json of {their name: our name, or null to drop it}"
        )
    try:
        below = {part: floats(Contents(tensors).below(f"{part}.")) for part in NETWORKS}
    except UnreadableError as error:
        raise SourceError(f"{where}: {error}") from None
    return {part: weights for part, weights in below.items() if weights or part == GENERATOR}


def _unwrapped(name: str) -> str:
    """A tensor's name without the wrappings, at its start or behind the network that it belongs to."""
    part = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
    rest = name.removeprefix(part)
    while wrapping := next((prefix for prefix in WRAPPINGS if rest.startswith(prefix)), None):
        rest = rest.removeprefix(wrapping)
    return part + rest if part or rest == name else _unwrapped(rest)


def read_key_map(path: Path | None) -> dict[str, str | None]:
    """The map in a file, {} without one; SourceError if it is none."""
    if path is None:
        return {}
    try:
        mapping = read_json(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"key map {path} can't be read as JSON ({error})") from None
    if not isinstance(mapping, dict) or not all(v is None or isinstance(v, str) for v in mapping.values()):
        raise SourceError(f"key map {path} is not a JSON object of {{their name: our name, or null}}")
    return mapping

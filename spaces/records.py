"""What every configuration and record is made of: frozen, validated, and refused in one line where it does not hold."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from spaces.errors import UserError

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}$"
"""Names become file names, so they hold nothing that a path could read otherwise."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

KIND = "kind "
"""How the tag of a union's member begins; complaints leave it out, as it is no field."""


class Config(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> Self:
        """Validate `data`, or raise UserError with one line that names `where`, each bad field and its value."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{where}: {complaints(error)}") from None


def complaints(error: ValidationError) -> str:
    """What is wrong with each field, in one line: its path, the reason, and the value where there is one."""
    return "; ".join(_complaint(item["loc"], item["msg"], item["type"], item["input"]) for item in error.errors())


def _complaint(location: tuple[int | str, ...], message: str, kind: str, value: Any) -> str:
    path = "/".join(str(part) for part in location if not str(part).startswith(KIND))
    got = "" if kind == "missing" or not path else f", got {value!r}"
    return f"{path or 'config'}: {message.removeprefix('Value error, ')}{got}"

"""What every configuration and record is made of: frozen, validated, and refused in one line where it does not hold."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from spaces.errors import UserError

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}$"
"""Names become file names, so they hold nothing that a path could read otherwise."""

NAME_RULE = "lower-case letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100"
"""The pattern in words."""


def _named(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"should be {NAME_RULE}")
    return name


Name = Annotated[str, AfterValidator(_named)]

KIND = "kind "
"""How the tag of a union's member begins; complaints leave it out, as it is no field."""


_SAID = 5
"""How many of a config's bad fields its refusal names."""

LARGEST = 2**63 - 1
"""The largest whole number that the tables of results can hold."""


class Config(BaseModel):
    """A frozen record that refuses unknown fields, and numbers that are not finite or that no table can hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _fits_a_table(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError(f"{name} should be at most {LARGEST}, got {Decimal(value):.4g}")
        return self

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> Self:
        """Validate `data`, or raise UserError with one line that names `where`, each bad field and its value."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{where}: {complaints(error)}") from None


def complaints(error: ValidationError) -> str:
    """What is wrong with each field, in one line: its path, the reason, and the value where there is one."""
    said = [_complaint(item["loc"], item["msg"], item["type"], item["input"]) for item in error.errors()]
    more = [f"and {len(said) - _SAID} more"] if len(said) > _SAID else []
    return "; ".join(said[:_SAID] + more)


def _complaint(location: tuple[int | str, ...], message: str, kind: str, value: Any) -> str:
    path = "/".join(str(part) for part in location if not str(part).startswith(KIND))
    got = "" if kind == "missing" or not path else f", got {value!r:.200}"
    return f"{path or 'config'}: {message.removeprefix('Value error, ')}{got}"

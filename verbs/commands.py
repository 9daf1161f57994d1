"""What typer's own commands lack: headings in the help of a verb with many options, and a word where Ctrl-C ends a verb."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from verbs.endings import if_interrupted


class Verbs(TyperGroup):
    """All verbs. One that has nothing to say about Ctrl-C ends with a plain line."""

    def invoke(self, ctx: Any) -> Any:
        with if_interrupted("interrupted"):
            return super().invoke(ctx)


class Headed(TyperCommand):
    """Help with the options under headings: their `rich_help_panel`, in the order of the options, "Options" for those
    without."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        found: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                kind = "Options" if parameter.param_type_name == "option" else "Arguments"
                found.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for heading, records in found.items():
            with formatter.section(heading):
                formatter.write_dl(records)

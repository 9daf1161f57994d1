"""understock: which pretrained GAN to start from, which networks to transfer, with which settings, and how good it will be.

The command line's front door; each verb is one thin function of `verbs/`. Torch and Ray are imported where they are needed,
so that help is instant.
"""

import atexit
import gc
import sys
from pathlib import Path

sys.path.insert(0, ROOT := str(Path(__file__).resolve().parent))  # a project's own `trainables` may be on the path
from trainables.machine.imports import ours_first

sys.path.remove(ROOT)
ours_first(ROOT)()

# isort: split
import typer

from spaces.errors import UserError
from verbs.commands import Verbs
from verbs.domains import domains
from verbs.endings import MISTAKE, open_streams
from verbs.models import models
from verbs.picking import picking
from verbs.printing import in_a_line
from verbs.reports import reports
from verbs.sources import sources
from verbs.studies import studies
from verbs.watching import watching

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__.split("\n")[0],
    rich_markup_mode=None,  # its tables cut the names of options, and it takes "[default: ...]" for markup
)
app.add_typer(studies)
app.add_typer(models)
app.add_typer(reports)
app.add_typer(watching)
app.add_typer(picking)
app.add_typer(domains, name="domains")
app.add_typer(sources, name="sources")


def main() -> None:
    """Run the command line. A user's mistake, in values or in usage, is one line on stderr and exit code 2."""
    atexit.register(gc.freeze)  # or Python looks for garbage at its end: of all that torch and Ray hold, for seconds
    open_streams()
    try:
        code = app(prog_name="understock", standalone_mode=False) or 0
        sys.stdout.flush()
    except UserError as error:
        code = _mistake(str(error), MISTAKE)
    except typer.TyperException as error:
        code, message, context = error.exit_code, error.format_message(), getattr(error, "ctx", None)
        if context and message == context.get_help():  # for want of a verb
            print(message)
        else:
            _mistake(f"{message.rstrip('.')}; see: {context.command_path if context else 'understock'} --help", code)
    sys.exit(code)


def _mistake(message: str, code: int) -> int:
    if message:  # none where nobody reads any more
        print(f"understock: {in_a_line(message)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()

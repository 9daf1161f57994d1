"""What builtin domains are called: apart from what draws them, so that whoever misses one can say how to have it."""

WEIGHTS = {"thin": "thin", "light": "light", "regular": "", "bold": "bold", "fill": "fill"}
"""Phosphor's weights, and the suffixes of their glyphs' names."""
LINES = ("line", "fill")
"""Remix's styles."""
TONES = {"light": "1f3fb", "medium-light": "1f3fc", "medium": "1f3fd", "medium-dark": "1f3fe", "dark": "1f3ff"}
"""Unicode's skin tones, and the code points that stand for them."""

BUILTIN_NAMES = (
    *("glyphs", "mdi", "mnist", "phosphor", "remix", "twemoji"),
    *(f"phosphor-{weight}" for weight in WEIGHTS),
    *(f"remix-{style}" for style in LINES),
    *(f"twemoji-{tone}" for tone in TONES),
)


def add_command(name: str) -> str:
    """The command that adds the domain of that name; WHAT stands for its images where they are not builtin."""
    return f"understock domains add {name} {f'builtin:{name}' if name in BUILTIN_NAMES else 'WHAT'}"

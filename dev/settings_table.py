"""Write docs/settings.md, one line for each setting: `python -m dev.settings_table`."""

from __future__ import annotations

from pathlib import Path

from settings import ROOT, Settings

PAGE = ROOT / "docs" / "settings.md"

HEAD = """\
# Settings

Environment variables, read once at start. A mistake stops the start with a sentence. Made by
`python -m dev.settings_table`; a test keeps the two equal.

"""


def table() -> str:
    """The table, made from the fields."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(ROOT)
        elif isinstance(default, tuple):
            default = " ".join(default)
        shown = f"`{default}`" if str(default) else "empty"
        lines.append(f"| `LIKENESS_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(f"{HEAD}{table()}\n")

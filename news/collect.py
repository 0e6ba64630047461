"""Move the fragments to CHANGELOG.md: `python news/collect.py VERSION`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent


def fragments(folder: Path) -> list[Path]:
    """The files that hold news."""
    return sorted(f for f in folder.glob("*.md") if f.name != "README.md")


def section(folder: Path, version: str) -> str:
    """The section of the changelog for a version.

    Raises:
        ValueError: a file does not begin with "- ", or has a line that continues no
            entry.
    """
    parts = [f"## {version}\n"]
    for file in fragments(folder):
        text = file.read_text().strip()
        for number, line in enumerate(text.splitlines(), 1):
            if not line.startswith(("- ", "  ")) or (number == 1 and line[:2] == "  "):
                raise ValueError(
                    f"expected '- entry' or an indented continuation in {file.name}, "
                    f"line {number}, got {line!r}; rewrite the line"
                )
        heading = file.stem.replace("_", " ").capitalize()
        parts.append(f"### {heading}\n\n{text}\n")
    return "\n".join(parts)


def main() -> None:
    (version,) = sys.argv[1:]
    changelog = HERE.parent / "CHANGELOG.md"
    head, rest = changelog.read_text().split("\n## ", 1)
    new = section(HERE, version)
    changelog.write_text(f"{head}\n{new}\n## {rest}")
    for file in fragments(HERE):
        file.unlink()


if __name__ == "__main__":
    main()

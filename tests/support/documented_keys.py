"""What docs/configuration.md says of each key, for the schema that editors get.

Run as a program, it writes that down where the schema takes it from:
`PYTHONPATH=tests python -m support.documented_keys && ruff format quaestor_actors/cli/key_descriptions.py`
"""

from __future__ import annotations

import re
import textwrap

from support.cluster import ROOT

PAGE = ROOT / "docs" / "configuration.md"
MODULE = ROOT / "quaestor_actors" / "cli" / "key_descriptions.py"

SECTIONS = ("clusterConfig", "actors", "agents", "loadBalancerConfig")

_HEAD = '''"""What each key of the configuration means: the tables of docs/configuration.md, for editors.

A test compares it with the page; tests/support/documented_keys.py writes it anew.
"""

from __future__ import annotations

'''


def documented_keys() -> dict[str, dict[str, str]]:
    """Return the description of each key, by section."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if section not in SECTIONS or not line.startswith("| `") or len(cells) != 3:
            continue
        keys = re.findall(r"`(\w+)`", cells[0])
        # Keys that share a line may have a default each.
        defaults = cells[1].split(", ") if cells[1].count(", ") == len(keys) - 1 else [cells[1]] * len(keys)
        for key, default in zip(keys, defaults, strict=True):
            sections.setdefault(section, {})[key] = _sentence(cells[2], default)
    return sections


def module_text(sections: dict[str, dict[str, str]]) -> str:
    """Return the module that holds them."""
    lines = [f"{_HEAD}DESCRIPTIONS: dict[str, dict[str, str]] = {{"]
    for section, keys in sections.items():
        lines.append(f'    "{section}": {{')
        for key, text in keys.items():
            lines.extend(_entry(key, text))
        lines.append("    },")
    return "\n".join([*lines, "}", '"""By section of the file, then by key."""', ""])


def _sentence(meaning: str, default: str) -> str:
    ended = meaning if meaning.endswith(".") else f"{meaning}."
    text = f"{ended} Default: {default}." if default and not default.startswith("required") else ended
    without_links = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return without_links[0].upper() + without_links[1:]


def _entry(key: str, text: str) -> list[str]:
    line = f"        {_quoted(key)}: {_quoted(text)},"
    if len(line) <= 120:
        return [line]
    parts = textwrap.wrap(text, 96, drop_whitespace=False, break_on_hyphens=False)
    return [f"        {_quoted(key)}: (", *(f"            {_quoted(part)}" for part in parts), "        ),"]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if "'" in text or '"' not in text else f"'{text}'"


if __name__ == "__main__":
    MODULE.write_text(module_text(documented_keys()), encoding="utf-8")

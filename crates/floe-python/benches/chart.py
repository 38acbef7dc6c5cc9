"""The memory of children as a picture."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, ROW, LEFT = 720, 34, 150


def draw(figures: dict[str, Any]) -> str:
    """Draw one bar for each way: what parent and children use together."""
    rows = [
        (kind, told["sum_pss_mib"])
        for kind, told in figures["children"].items()
        if "sum_pss_mib" in told
    ]
    rows.sort(key=lambda row: row[1])
    most = max(size for _, size in rows)
    height = ROW * len(rows) + 60
    title = f"Parent and children that read {figures['recipes']} records: MiB together (sum of PSS)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="15">{escape(title)}</text>',
    ]
    for place, (kind, size) in enumerate(rows):
        top = 42 + place * ROW
        length = max(2, (WIDTH - LEFT - 90) * size / most)
        colour = "#1f6fb2" if kind == "frozen" else "#b9c4cd"
        parts += [
            f'<text x="10" y="{top + 16}">{escape(kind)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.0f}" height="22" fill="{colour}"/>',
            f'<text x="{LEFT + length + 8:.0f}" y="{top + 16}">{size:.0f}</text>',
        ]
    parts.append("</svg>\n")
    return "\n".join(parts)

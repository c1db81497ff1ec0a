"""Draw what a poll costs by the size of the portal: `chart.py PICTURE`, the points as JSON on standard input.

Runs in the environment of other people's clients, which also holds what draws. The picture's name decides its format.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from matplotlib import pyplot as plt
from matplotlib import rcParams

_PANELS = {"commands": "commands that read", "portal_seconds": "seconds of the portal"}
#: Told apart by shape and line as well as by colour: two of the peers cost nearly the same.
_LOOKS: dict[str, dict[str, Any]] = {
    "reconciler": {"color": "#0b6e4f", "marker": "o", "linewidth": 2.5, "linestyle": "-"},
    "fast_bitrix24": {"color": "#c1440e", "marker": "s", "linestyle": "-"},
    "b24pysdk as_list": {"color": "#6a4c93", "marker": "^", "linestyle": "--"},
    "b24pysdk as_list_fast": {"color": "#b07d00", "marker": "v", "linestyle": ":"},
}


def draw(points: list[dict[str, Any]], picture: str) -> None:
    """Draw both panels; points that were not measured but scaled are hollow."""
    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "cost", "font.family": "sans-serif", "font.size": 10})
    figure, axes = plt.subplots(1, len(_PANELS), figsize=(9, 3.8), layout="constrained")
    for panel, (name, title) in zip(axes, _PANELS.items(), strict=True):
        for who, look in _LOOKS.items():
            line = sorted((point["contacts"], point[name], point["scaled"]) for point in points if point["who"] == who)
            panel.plot([x for x, _, _ in line], [y for _, y, _ in line], label=who, markersize=6, **look)
            hollow = [(x, y) for x, y, scaled in line if scaled]
            if hollow:
                shape = {"marker": look["marker"], "color": look["color"], "markerfacecolor": "white"}
                panel.plot(*zip(*hollow, strict=True), linestyle="none", markersize=6, **shape)
        panel.set(xscale="log", yscale="log", xlabel="contacts in the portal", title=title)
        panel.grid(visible=True, which="major", color="#dddddd")
        panel.set_xticks(sorted({point["contacts"] for point in points}))
        panel.xaxis.set_major_formatter(lambda contacts, _: f"{contacts:,.0f}")
        panel.minorticks_off()
        panel.yaxis.set_major_formatter(lambda cost, _: f"{cost:,g}")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle("A poll that finds nothing to do (hollow: scaled, not measured)", fontsize=11)
    # No date in it: the same figures are the same file.
    figure.savefig(picture, metadata={"Date": None} if picture.endswith(".svg") else None, dpi=110)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])

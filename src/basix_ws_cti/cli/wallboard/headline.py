"""Row of headline figures as a Textual widget."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.headline import FIGURES, Figure
from basix_ws_cti.cli.output import fit_text

from .graphs import bar, sparkline
from .styles import Palette


class Headline(Static):
    """Figures side by side: title, value, and a bar or sparkline."""

    def __init__(self, palette: Palette, *, is_ascii: bool) -> None:
        super().__init__(id="headline", markup=False)
        self._palette = palette
        self._is_ascii = is_ascii

    def show_figures(
        self, figures: Sequence[Figure], size: tuple[int, int], *, stale: bool
    ) -> None:
        """Show figures; ``size`` is the width and height of the widget.

        ``stale``: there is no live feed.
        """
        text = render_figures(figures, size, self._palette, stale=stale, is_ascii=self._is_ascii)
        if self.content != text:
            self.update(text)


def headline_height(screen_height: int) -> int:
    """Return the lines for the figures on a screen of this height; 0: there is no space."""
    if screen_height < 16:
        return 0
    if screen_height < 21:
        return 2
    return 3 if screen_height < 45 else 5


def render_figures(
    figures: Sequence[Figure],
    size: tuple[int, int],
    palette: Palette,
    *,
    stale: bool = False,
    is_ascii: bool = False,
) -> Text:
    """Return figures as lines of text, in columns of equal width.

    They have their full titles if there is space for all of them.
    """
    width, height = size
    titles = [_(FIGURES[figure.name].title) for figure in figures]
    if max(map(cell_len, titles)) >= width // len(figures):
        titles = [_(FIGURES[figure.name].short_title) for figure in figures]
    lines = [Text(no_wrap=True, end="") for _line in range(height)]
    start = 0
    for number, (figure, title) in enumerate(zip(figures, titles, strict=True), 1):
        end = width * number // len(figures)
        size = end - start - 1, height
        parts = _figure_lines(figure, title, size, palette, is_ascii=is_ascii)
        for line, part in zip(lines, parts, strict=False):
            line.append(" ")
            line.append_text(part)
        start = end
    text = Text("\n", no_wrap=True, end="").join(lines)
    return Text(no_wrap=True, end="").append(text.plain, palette.stale) if stale else text


def _figure_lines(
    figure: Figure, title: str, size: tuple[int, int], palette: Palette, *, is_ascii: bool
) -> list[Text]:
    """Return the lines of one figure, each as wide as ``size``."""
    width, height = size
    value = fit_text(figure.text, min(width, len(figure.text)))
    lines = [Text(fit_text(title, width), palette.cells["faint"], end="")]
    lines.append(_padded(value, palette.level(figure.level), width))
    remaining = height - len(lines)
    if remaining > 0 and figure.share is not None:
        filled, empty = bar(figure.share, width, is_ascii=is_ascii)
        line = Text(filled, palette.graph, end="")
        line.append(empty, palette.cells["faint"])
        lines.append(line)
        remaining -= 1
    if remaining > 0:
        graph = sparkline(figure.history, figure.full_height, width, remaining, is_ascii=is_ascii)
        lines += [Text(line, palette.graph, end="") for line in graph]
    return lines


def _padded(value: str, style: str, width: int) -> Text:
    line = Text(end="")
    line.append(value, style)
    return line.append(" " * (width - len(value)))

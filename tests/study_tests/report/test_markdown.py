"""The page as Markdown: its words, its tables, its commands, its pictures as files."""

import re

from study.report.markdown import to_markdown
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import pictures_of
from tests.study_tests.synthetic import MARKUP, planted


def test_words_tables_commands_and_pictures() -> None:
    """What the page says stands there, without charts and their use, scripts and own links."""
    pictures = pictures_of(MARKUP, "nerd face", "cat face")
    page = render_report(planted(24), pictures=pictures)
    written = to_markdown(page, name="study")
    lines = written.text.splitlines()
    assert (
        "# Best so far: CNN (trial 18), validation MSE 0.01598 on 35 validation images." in lines
    )
    assert lines[lines.index("```") + 1] == "emoji-study train --study planted --trial 18"
    assert any(line.startswith("| 18 | 0.01598 | CNN |") for line in lines)
    assert list(written.pictures) == [f"study-{i}.png" for i in range(1, 3 + 9 + 9 + 1)]
    assert written.pictures["study-1.png"] == pictures.originals[0]
    assert "![nerd face, original](study-2.png)" in written.text
    page_alone = r"<|\]\(#|data:image|plotly|Copy|A click|Data behind|--from|side by"
    assert not re.search(page_alone, written.text)
    assert "\nThe best 10 of 24 trials.\n" in written.text
    alone = to_markdown(page, name=None)
    assert (alone.pictures, r"\[nerd face, original\]" in alone.text) == ({}, True)

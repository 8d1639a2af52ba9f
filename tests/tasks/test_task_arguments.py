"""A step's command is split as Azure's agent splits it: quotes group, there is no shell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.task_arguments import TaskRefusedError, split_arguments

SEPARATORS = " \t\r\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("", []),
        (" \t\r\n", []),
        ("docker run image", ["docker", "run", "image"]),
        ("  a\t\tb \n c\r\nd ", ["a", "b", "c", "d"]),
        ("a b\u00a0c\fd", ["a", "b\u00a0c\fd"]),
        ("""say "two words" 'and more'""", ["say", "two words", "and more"]),
        ("""x "" '' y""", ["x", "", "", "y"]),
        ("""pre"in side"'po st'""", ["prein sidepo st"]),
        ("""a""b ''c""", ["ab", "c"]),
        (r"""a\ b c\"d e\'f""", ["a b", 'c"d', "e'f"]),
        ("a\\\nb", ["a\nb"]),
        (r"a\\ b", [r"a\\", "b"]),
        (r"\q c:\dir end\\", [r"\q", r"c:\dir", "end\\\\"]),
        ("end\\", ["end\\"]),
        (r'''"a \"b\" c"''', ['a "b" c']),
        (r""""a\\" b""", [r"a\\", "b"]),
        (r'''"tab\t \ '$x'"''', [r"tab\t \ '$x'"]),
        (r"""'a\' b""", ["a\\", "b"]),
        (r"""'say \"x\"'""", [r"say \"x\""]),
        ("a;b | c && d > e $(f) `g` *.h ~ #i", ["a;b", "|", "c", "&&", "d", ">", "e", "$(f)", "`g`", "*.h", "~", "#i"]),
    ],
)
def test_a_command_is_split_into(command: str, arguments: list[str]) -> None:
    assert list(split_arguments(command)) == arguments


@pytest.mark.parametrize("command", ['a "b', "a 'b", 'a "', "'", r'"a\"', '"a\\', """a "b'""", """a 'b\""""])
def test_an_unterminated_quote_is_refused(command: str) -> None:
    with pytest.raises(TaskRefusedError, match="unterminated"):
        split_arguments(command)


@pytest.mark.parametrize("command", ["\0", "a\0b", '"\0"', "'\0'"])
def test_a_nul_character_is_refused(command: str) -> None:
    with pytest.raises(TaskRefusedError, match="NUL"):
        split_arguments(command)


@given(st.text(st.characters(exclude_characters="\0'\"\\", exclude_categories=["Cs"])))
def test_without_quotes_and_backslashes_only_separators_matter(command: str) -> None:
    expected = command.translate(dict.fromkeys(map(ord, SEPARATORS), " ")).split(" ")
    assert list(split_arguments(command)) == [word for word in expected if word]


@given(st.lists(st.text(st.characters(exclude_characters="\0'", exclude_categories=["Cs"]))))
def test_single_quotes_keep_every_text(arguments: list[str]) -> None:
    assert list(split_arguments(" ".join(f"'{argument}'" for argument in arguments))) == arguments

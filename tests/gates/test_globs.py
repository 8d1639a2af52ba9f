"""Globs match what a regular expression written by other rules matches, and bad ones say why they are bad."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.gates.globs import Glob, repository_glob, tag_glob

LETTERS = "ab0-"
NAMES = st.text(alphabet="ab0-/", max_size=12)
CLASSES = st.sampled_from(["[ab]", "[a-b]", "[!a]", "[!0-]", "[0-9]", "[b]"])
STEPS = st.one_of(st.sampled_from(["a", "b", "0", "/", "*", "**", "?"]), CLASSES)
CHOICES = st.lists(st.lists(STEPS, max_size=2).map("".join), min_size=1, max_size=3).map(
    lambda parts: f"{{{','.join(parts)}}}"
)


def _is_good(text: str) -> bool:
    try:
        repository_glob(text)
    except ValueError:
        return False
    return True


GLOBS = st.lists(st.one_of(STEPS, CHOICES), min_size=1, max_size=6).map("".join).filter(_is_good)


def oracle(glob: str) -> re.Pattern[str]:
    """The glob as a regular expression, by textual replacement alone."""
    pieces = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|", "[!": "(?!/)[^", ".": "[.]"}
    return re.compile(re.sub(r"\*\*|\[!|[*?{},.]", lambda found: pieces[found[0]], glob))


@settings(deadline=None)  # a busy machine is no fault
@given(GLOBS, NAMES)
@example("a/**/b", "a/b")
@example("{a,**}/b", "a/0/b")
@example("*{*}", "/")
def test_a_glob_matches_what_its_regular_expression_matches(text: str, name: str) -> None:
    assert repository_glob(text).matches(name) == (oracle(text).fullmatch(name) is not None)


@settings(deadline=None)  # a busy machine is no fault
@given(GLOBS, GLOBS, NAMES)
@example("a/**", "a/b", "a/b")
@example("**", "{a,b}/*", "b/0")
def test_a_glob_that_covers_another_matches_all_the_other_matches(general: str, special: str, name: str) -> None:
    if repository_glob(general).covers(repository_glob(special)) and repository_glob(special).matches(name):
        assert repository_glob(general).matches(name)


@settings(deadline=None)  # a busy machine is no fault
@given(GLOBS)
def test_a_glob_covers_itself_and_everything_is_covered_by_two_stars(text: str) -> None:
    assert repository_glob(text).covers(repository_glob(text))
    assert repository_glob("**").covers(repository_glob(text))


@settings(deadline=None)  # a busy machine is no fault
@given(NAMES.filter(_is_good))
def test_a_name_without_wildcards_matches_itself_alone(name: str) -> None:
    assert repository_glob(name).matches(name)
    assert not repository_glob(name).matches(name + "a")
    assert not repository_glob(name).matches(name[:-1])


@pytest.mark.parametrize(
    ("general", "special", "expected"),
    [
        ("training/**", "training/litter", True),
        ("training/**", "training/*/gpu", True),
        ("training/*", "training/litter/gpu", False),
        ("training/*", "training/**", False),
        ("**", "training/**", True),
        ("{a,b}/*", "b/x", True),
        ("a/*", "{a,b}/x", False),
        ("a/[a-z]*", "a/x?", True),
        ("a/?", "a/[xyz]", True),
        ("a/[xyz]", "a/?", False),
    ],
)
def test_covering_is_seen_for_the_globs_people_write(general: str, special: str, expected: bool) -> None:
    assert repository_glob(general).covers(repository_glob(special)) is expected


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("training/*", ["training/litter"], ["training", "training/litter/gpu", "x/training/litter"]),
        ("training/**", ["training/litter", "training/litter/gpu"], ["training", "trainings/litter"]),
        ("**/gpu", ["training/gpu", "a/b/gpu"], ["gpu", "training/gpus"]),
        ("litter{,-gpu}", ["litter", "litter-gpu"], ["litter-", "litter-cpu"]),
        ("base/{python,debian}", ["base/python", "base/debian"], ["base/{python,debian}", "base/pythondebian"]),
        ("team-[a-c]/?", ["team-a/x", "team-c/0"], ["team-d/x", "team-a/", "team-a/xy", "team-a//"]),
    ],
)
def test_repository_globs_match_the_documented_examples(text: str, yes: list[str], no: list[str]) -> None:
    glob = repository_glob(text)
    assert [name for name in yes + no if glob.matches(name)] == yes


def test_tag_globs_tell_upper_case_from_lower_case() -> None:
    glob = tag_glob("V[0-9]*")
    assert glob.matches("V12") is True
    assert glob.matches("v12") is False


def test_one_star_and_two_stars_mean_the_same_in_a_tag() -> None:
    assert tag_glob("*").alternatives == tag_glob("**").alternatives


def test_many_stars_do_not_make_matching_slow() -> None:
    glob = repository_glob("*a" * 40 + "b")
    started = time.process_time()
    assert glob.matches("a" * 255) is False
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' never matches: a repository is not empty; write ** to match everything"),
        ("{,a}", "'{,a}' never matches: a repository is not empty; write ** to match everything"),
        ("Training/*", "'Training/*' never matches: repositories are lower-case"),
        ("a/[A-Z]", "'a/[A-Z]' never matches: repositories are lower-case"),
        ("a b", "'a b' never matches: no repository has the character ' ' there"),
        ("a:v1", "'a:v1' never matches: no repository has the character ':' there"),
        ("a[.-0]", "'a[.-0]' never matches: no repository has the character '/' there"),
        ("a[b/c]", "'a[b/c]' never matches: no repository has the character '/' there"),
        ("a\n", "'a\\n' never matches: no repository has the character '\\n' there"),
        ("/a", "'/a' never matches: a repository does not begin or end with / and has no //"),
        ("a/", "'a/' never matches: a repository does not begin or end with / and has no //"),
        ("a//*", "'a//*' never matches: a repository does not begin or end with / and has no //"),
        ("{a,b/}", "'{a,b/}' never matches: a repository does not begin or end with / and has no //"),
        ("_a", "'_a' never matches: no repository begins with _"),
        ("a[bc", "'a[bc': every [ needs its ], and braces stay outside of them"),
        ("a]bc[", "'a]bc[': every [ needs its ], and braces stay outside of them"),
        ("a[{b,c}]", "'a[{b,c}]': every [ needs its ], and braces stay outside of them"),
        ("a[]", "'a[]': [] holds no character"),
        ("a[z-a]", "'a[z-a]': the range z-a is backwards"),
        ("a[!a-z0-9._-]", "'a[!a-z0-9._-]' never matches: [!...] excludes every character"),
        ("a{b", "'a{b': braces must be closed and cannot be nested"),
        ("a{b,{c,d}}", "'a{b,{c,d}}': braces must be closed and cannot be nested"),
        ("***", "'***': *** has no meaning; write * (stops at /) or ** (does not)"),
        ("{a,b}" * 7, "'{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}': braces give more than 64 alternatives"),
    ],
)
def test_a_repository_glob_that_cannot_work_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        repository_glob(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' never matches: a tag is not empty; write ** to match everything"),
        ("a/b", "'a/b' never matches: no tag has the character '/' there"),
        (".hidden", "'.hidden' never matches: no tag begins with ."),
        ("-v1", "'-v1' never matches: no tag begins with -"),
    ],
)
def test_a_tag_glob_that_cannot_work_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        tag_glob(text)


def test_a_glob_is_a_value() -> None:
    assert repository_glob("a/*") == repository_glob("a/*")
    assert isinstance(hash(repository_glob("a/*")), int)
    assert repr(repository_glob("a/*")) == "Glob(text='a/*')"
    assert isinstance(repository_glob("a/*"), Glob)

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from hashmatch import errors
from hashmatch.errors import EXIT_CODES, HashMatchError, RecordError, exit_code, shorten

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, tuple[str | None, int]]:
    """Name -> (name of the parent, exit code), as the module's docstring draws them."""
    result: dict[str, tuple[str | None, int]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if not (match := re.match(r"^    ([│ ├└─]*)(\w+Error) +\((\d+)\)  ?\S", line)):
            continue
        depth, remainder = divmod(len(match[1]), 4)
        assert remainder == 0, line
        assert not depth or match[1][-4:] in ("├── ", "└── "), line
        del path[depth:]
        assert len(path) == depth, line
        assert match[2] not in result, line
        result[match[2]] = (path[-1] if path else None, int(match[3]))
        path.append(match[2])
    return result


def test_the_tree_is_drawn_as_it_is() -> None:
    real = {
        name: (value.__base__.__name__ if value is not HashMatchError else None, value.exit_code)
        for name, value in CLASSES.items()
    }
    assert drawn_tree() == real
    assert HashMatchError.__bases__ == (Exception,)
    assert all(len(value.__bases__) == 1 for value in CLASSES.values())


def test_the_drawing_has_its_lines_in_place() -> None:
    """The last child of each class has └, every other one ├, and │ runs down beside what is not the last."""
    lines = [line[4:] for line in (errors.__doc__ or "").splitlines() if re.match(r"^    [│├└ ].*Error ", line)]
    assert len(lines) == len(CLASSES) - 1
    for number, line in enumerate(lines):
        for at in range(0, len(line) - len(line.lstrip("│ ├└─")), 4):
            below = lines[number + 1][at : at + 1] if number + 1 < len(lines) else ""
            if line[at] in "├│":
                assert below in ("├", "└", "│"), line
            else:
                assert below not in ("├", "└", "│"), line


def test_every_class_is_public_and_says_what_it_means() -> None:
    public = [name for name in errors.__all__ if name not in ("EXIT_CODES", "exit_code", "printable", "shorten")]
    assert sorted(public) == sorted(CLASSES)
    assert errors.__all__ == ["EXIT_CODES", *sorted(public), "exit_code", "printable", "shorten"]
    for value in CLASSES.values():
        assert value.__doc__
        assert value.__doc__.strip().endswith((".", "stands.")) or "Attributes:" in value.__doc__


def test_the_table_of_exit_codes_is_the_one_in_the_docstring() -> None:
    rows = dict(re.findall(r"^(\d+) +(\S.*)$", errors.__doc__ or "", re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES


def test_every_exit_code_is_in_the_table() -> None:
    assert {value.exit_code for value in CLASSES.values()} <= set(EXIT_CODES)
    assert list(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 70]


@pytest.mark.parametrize(
    ("matched", "unreadable", "code"), [(False, False, 0), (True, False, 1), (False, True, 4), (True, True, 5)]
)
def test_exit_code(matched: bool, unreadable: bool, code: int) -> None:
    assert exit_code(matched=matched, unreadable=unreadable) == code
    assert ("something matched" in EXIT_CODES[code]) == matched
    assert ("could not be read" in EXIT_CODES[code]) == unreadable


def test_statuses_of_images() -> None:
    statuses = {name: value.status for name, value in CLASSES.items() if issubclass(value, errors.ImageError)}
    assert statuses == {
        "ImageError": "unreadable",
        "ImageReadError": "unreadable",
        "ImageFormatError": "unsupported",
        "ImageTooLargeError": "too_large",
        "ImageDecodeError": "unreadable",
    }


def test_record_errors_say_where() -> None:
    def text(**where: object) -> str:
        return str(RecordError("found x; expected y", **where))  # type: ignore[arg-type]

    assert text() == "found x; expected y"
    assert text(path="a.csv", line=12_345, record=9, field="MD5") == (
        "a.csv, line 12,345, field 'MD5': found x; expected y"
    )
    assert text(path="a.json", record=1_234) == "a.json, record 1,234: found x; expected y"
    assert text(field="a\nb") == "field 'a\\nb': found x; expected y"
    assert text(line=0) == "line 0: found x; expected y"


@pytest.mark.parametrize("name", CLASSES)
def test_errors_cross_processes(name: str) -> None:
    """Worker processes hand errors back: text, type and attributes survive."""
    error = CLASSES[name]("what and why")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error) == "what and why"


def test_record_errors_cross_processes_with_their_place() -> None:
    error = errors.HashTextError("odd", path="a", line=3, record=2, field="md5")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_shorten() -> None:
    assert shorten("abc") == "'abc'"
    assert shorten(5) == "5"
    assert shorten(10**5000) == "a number of 16,610 bits"
    assert shorten("a\nb\x1b[31m\0") == r"'a\nb\x1b[31m\x00'"
    assert shorten("x" * 60) == f"'{'x' * 60}'"
    assert shorten("x" * 61) == f"'{'x' * 60}'... (61 characters)"
    assert shorten("x" * 123_456, 5) == "'xxxxx'... (123,456 characters)"
    assert shorten("\ud800\u202e").isascii()

"""The command line as a user meets it: every verb with good and bad input, messages and exit codes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from hashmatch import imaging, kernels, synthetic
from hashmatch.cli import VERBS, cli, run
from hashmatch.errors import EXIT_CODES, ListNotFoundError
from hashmatch.kernels import reference
from hashmatch.lists import schema


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(3):
        data = imaging.encode(synthetic.image(seed, 128, 96, kind="noise"), "PNG")
        (folder / f"{seed}.png").write_bytes(data)
    return folder


@pytest.fixture
def known(cmd, images: Path) -> Path:
    """A list with the first two images."""
    path = Path("known.hml")
    Path("list.csv").write_text(cmd("hash", images / "0.png", images / "1.png", "--format", "csv").out)
    assert cmd("list", "create", path).code == 0
    assert cmd("list", "import", path, "list.csv", "--source", "S").code == 0
    return path


ICSE_HEADER = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline"
)


def _all_commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _all_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def md5_line(value: object, name: str) -> str:
    return f"{hashlib.md5(str(value).encode()).hexdigest()}  {name}\n"


class TestTop:
    def test_help_names_every_verb_and_exit_code(self, cmd) -> None:
        out = cmd("--help").out
        assert all(f"  {verb} " in out for verb in VERBS)
        assert all(str(code) in out for code in EXIT_CODES)

    @pytest.mark.parametrize("verb", [*VERBS, *(f"list {v}" for v in sorted(cli.get_command(None, "list").commands))])
    def test_every_verb_has_help(self, cmd, verb: str) -> None:
        result = cmd(*verb.split(), "--help")
        assert result.code == 0
        assert len(result.out.splitlines()) > 5

    def test_the_line_of_help_is_the_verbs_own(self) -> None:
        for verb, line in VERBS.items():
            command = cli.get_command(None, verb)  # type: ignore[arg-type]
            assert command is not None
            assert command.help
            assert line.rstrip(".").split()[0] == command.help.split()[0], verb

    @pytest.mark.parametrize("arguments", [["no-such-verb"], ["scan"], ["match", "--list"], ["hash", "--no-such"]])
    def test_usage(self, cmd, arguments: list[str]) -> None:
        result = cmd(*arguments)
        assert result.code == 2
        assert result.err

    def test_internal_errors_say_so(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(cli, "main", broken)
        assert run([]) == 70
        assert "a defect in hashmatch" in capsys.readouterr().err

    def test_the_program_itself(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "hashmatch", "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("hashmatch, version ")

    @pytest.mark.skipif(os.name == "nt", reason="a closed pipe looks different there")
    def test_a_closed_pipe_is_no_error_message(self, known: Path) -> None:
        code = f"import sys; from hashmatch.cli import main; main(['list', 'export', {str(known)!r}])"
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 141


class TestList:
    def test_create_info_check(self, cmd) -> None:
        assert cmd("list", "create", "a.hml").code == 0
        again = cmd("list", "create", "a.hml")
        assert again.code == 2
        assert "exists already" in again.err
        assert "entries:     0" in cmd("list", "info", "a.hml").out
        assert cmd("list", "check", "a.hml").out.startswith("a.hml: sound: 0 entries")

    def test_import_summary(self, cmd) -> None:
        cmd("list", "create", "a.hml")
        Path("a.md5").write_text(md5_line(1, "x") + md5_line(2, "y"))
        result = cmd("list", "import", "a.hml", "a.md5", "--source", "S")
        assert result.code == 0
        assert "added 2, replaced 0, unchanged 0" in result.err
        summary = json.loads(cmd("list", "import", "a.hml", "a.md5", "--source", "S", "--json").out)
        assert (summary["added"], summary["unchanged"], summary["format"]) == (0, 2, "md5sum")
        info = json.loads(cmd("list", "info", "a.hml", "--json").out)
        assert info["sources"] == {"S": 2}
        assert len(info["imports"]) == 2

    def test_skip_invalid_is_exit_code_4_and_lists(self, cmd) -> None:
        cmd("list", "create", "a.hml")
        Path("a.csv").write_text(f"id,md5\nx,{'0' * 32}\ny,123\n")
        stopped = cmd("list", "import", "a.hml", "a.csv", "--source", "S")
        assert stopped.code == 3
        assert "a.csv" in stopped.err
        assert "line 3" in stopped.err
        assert "md5" in stopped.err
        assert json.loads(cmd("list", "info", "a.hml", "--json").out)["entries"] == 0
        assert stopped.err.endswith("\nhashmatch: --skip-invalid leaves malformed records out and lists them\n")
        assert "--skip-invalid" in cmd("match", "a.csv", "--list", "a.hml").err
        skipped = cmd("list", "import", "a.hml", "a.csv", "--source", "S", "--skip-invalid")
        assert skipped.code == 4
        assert "line 3" in skipped.err
        Path("a.md5").write_text(f"{'0' * 32}  a\n123  b\n")
        assert "--skip-invalid" in cmd("lookup", "a.md5", "--list", "a.hml").err

    def test_a_general_format_does_not_lead_round_the_role(self, cmd) -> None:
        cmd("list", "create", "good.hml", "--role", "known-good")
        Path("icse.csv").write_text(f"{ICSE_HEADER}\n{'0' * 32}" + ";" * 15 + "\n")
        arguments = ["list", "import", "good.hml", "icse.csv", "--source", "S", "--from", "csv"]
        refused = cmd(*arguments)
        assert refused.code == 2
        assert "INTERPOL ICSE export, also when read as csv, is a format for lists of role 'known'" in refused.err
        assert "--from csv --as-role known-good" in refused.err
        assert cmd(*arguments, "--as-role", "known-good").code == 0

    def test_which_of_several_files_were_imported(self, cmd) -> None:
        cmd("list", "create", "a.hml")
        for name in ("a.md5", "c.md5"):
            Path(name).write_text(md5_line(name, name))
        result = cmd("list", "import", "a.hml", "a.md5", "b.md5", "c.md5", "--source", "S")
        assert result.code == 3
        assert "hashmatch: files that were imported before: 1; not imported: b.md5, c.md5\n" in result.err
        assert "--skip-invalid" not in result.err

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "no such file"),
            (b"", "empty"),
            (b"hello world\n", "--from"),
            (b"MD5;SHA1\n" + b"0" * 31 + b";\n", "line 2"),
            (b"id,md5\nx," + b"0" * 30 + b"\n", "32 hexadecimal digits"),
            (b"id,md5\nx\xff," + b"0" * 32 + b"\n", "UTF-8"),
            (b"a" * 64 + b"\n", "sha256sum"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        ],
    )
    def test_bad_input(self, cmd, content: bytes | None, message: str) -> None:
        cmd("list", "create", "a.hml")
        if content is not None:
            Path("in.txt").write_bytes(content)
        result = cmd("list", "import", "a.hml", "in.txt", "--source", "S")
        assert result.code == 3, result.err
        assert message in result.err
        assert "in.txt" in result.err

    def test_a_folder_where_a_file_is_due(self, cmd) -> None:
        cmd("list", "create", "a.hml")
        Path("dir").mkdir()
        for arguments in (
            ["list", "import", "a.hml", "dir", "--source", "S"],
            ["match", "dir", "--list", "a.hml"],
            ["list", "info", "dir"],
            ["list", "check", "dir"],
            ["compile", "dir"],
            ["match", "a.hml", "--list", "dir"],
        ):
            result = cmd(*arguments)
            assert result.code == 3, arguments
            assert "dir" in result.err, arguments

    def test_no_permission_is_no_error_of_usage(self) -> None:
        """Tests may run as root, whom no permission stops; so what click would look at is looked at."""
        judged = {"--report", "--keep", "--out"}  # written, not read
        for path, command in _all_commands(cli):
            for parameter in command.params:
                if isinstance(parameter.type, click.Path) and not judged.intersection(parameter.opts):
                    assert not parameter.type.readable, (path, parameter.opts)

    def test_a_list_that_may_not_be_read(self, cmd, known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != known)
        result = cmd("list", "info", known)
        assert (result.code, result.err) == (
            3,
            "hashmatch: known.hml: permission to read it is denied; expected a hash list (.hml)\n",
        )

    def test_a_list_in_a_folder_that_may_not_be_entered(self, cmd, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(path: object, **_: object) -> None:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(schema.os, "stat", denied)
        with pytest.raises(ListNotFoundError, match="permission to look into its folder is denied"):
            schema.connect(Path("shut/a.hml"), read_only=True)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["list", "info", "a.md5"],
            ["list", "check", "a.md5"],
            ["list", "merge", "known.hml", "a.md5"],
            ["compile", "a.md5"],
            ["match", "a.md5", "--list", "a.md5"],
            ["lookup", "a.md5", "--list", "a.hmx"],
        ],
    )
    def test_the_beginning_of_what_is_no_list_is_not_shown(self, cmd, known: Path, arguments: list[str]) -> None:
        """It may be a hash."""
        text = "feedc0dedeadbeef" * 2
        for name in ("a.md5", "a.hmx"):
            Path(name).write_text(f"{text}  a\n")
        result = cmd(*arguments)
        assert result.code == 3
        shown = (result.out + result.err).replace(" ", "")
        assert "found another beginning" in result.err
        if "expected a compiled list" not in result.err:
            assert "read what others export into it with `hashmatch list import`" in result.err
        assert text[:4] not in shown
        assert text[:4].encode().hex() not in shown

    def test_unknown_format_and_source(self, cmd) -> None:
        cmd("list", "create", "a.hml")
        Path("a.csv").write_text(f"id,md5\nx,{'0' * 32}\n")
        assert cmd("list", "import", "a.hml", "a.csv", "--source", "S", "--from", "vics9").code == 2
        assert cmd("list", "import", "a.hml", "a.csv", "--source", "").code == 2
        assert cmd("list", "import", "a.hml", "a.csv").code == 2

    def test_retract(self, cmd, known: Path, images: Path) -> None:
        ref = str(images / "0.png")
        result = cmd("list", "retract", known, ref, "--source", "S", "--reason", "why")
        assert (result.code, "entries withdrawn: 1" in result.err) == (0, True)
        assert "compile the list again" in result.err
        again = cmd("list", "retract", known, ref, "--source", "S")
        assert again.err.endswith("the list did not hold: 0; retracted already: 1; the list was not changed\n")
        cmd("list", "import", known, "list.csv", "--source", "S")
        assert json.loads(cmd("list", "info", known, "--json").out)["entries"] == 1
        Path("refs.txt").write_text("\ufeff" + ref + "\n", encoding="utf-8")
        assert (
            "retractions taken back: 1"
            in cmd("list", "retract", known, "--source", "S", "--refs-from", "refs.txt", "--undo").err
        )
        cmd("list", "import", known, "list.csv", "--source", "S")
        assert json.loads(cmd("list", "info", known, "--json").out)["entries"] == 2
        assert cmd("list", "retract", known, ref, "--source", "nobody").code == 2
        misspelt = cmd("list", "retract", known, ref + "x", "--source", "S")
        assert (misspelt.code, "--allow-unseen" in misspelt.err) == (2, True)
        assert cmd("list", "retract", known, ref + "x", "--source", "S", "--allow-unseen").code == 0
        assert cmd("list", "retract", known, "--source", "S").code == 2

    def test_undo_says_what_was_not_retracted(self, cmd, known: Path, images: Path) -> None:
        ref = str(images / "0.png")
        cmd("list", "retract", known, ref, "--source", "S")
        undone = cmd("list", "retract", known, ref, "misspelt", "--source", "S", "--undo")
        assert undone.err.splitlines() == [
            "retractions taken back: 1; not retracted: 1",
            "import the source again to bring the entries back",
        ]
        assert cmd("list", "retract", known, ref, "--source", "S", "--undo").err == (
            "retractions taken back: 0; not retracted: 1; the list was not changed\n"
        )
        for option in (["--reason", "why"], ["--allow-unseen"]):
            assert cmd("list", "retract", known, ref, "--source", "S", "--undo", *option).code == 2

    def test_check_finds_damage(self, cmd, known: Path, images: Path) -> None:
        cmd("compile", known)
        for name in ("known.hml", "known.hmx"):
            data = Path(name).read_bytes()
            at = data.index(hashlib.md5((images / "0.png").read_bytes()).digest())
            for damaged in (data[:-1], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
                Path(name).write_bytes(damaged)
                result = cmd("list", "check", name)
                assert result.code == 3
                assert name in result.err


class TestCompileAndMatch:
    def test_the_whole_way(self, cmd, known: Path) -> None:
        result = cmd("compile", known, "-o", "out.hmx")
        assert (result.code, "2 entries" in result.err) == (0, True)
        assert cmd("list", "check", "out.hmx").code == 0
        assert json.loads(cmd("list", "info", "out.hmx", "--json").out)["algorithms"]["pdq"] == 2
        hit = cmd("match", "list.csv", "--list", "out.hmx")
        assert hit.code == 1
        assert "exact " in hit.out
        assert "candidate for human review" in hit.err
        Path("q.md5").write_text(md5_line(1, "x"))
        miss = cmd("match", "q.md5", "--list", known)
        assert (miss.code, miss.out) == (0, "")

    def test_forms(self, cmd, known: Path) -> None:
        for arguments in (["--json"], ["--format", "jsonl"]):
            rows = [json.loads(line) for line in cmd("match", "list.csv", "--list", known, *arguments).out.splitlines()]
            assert [row["verdict"] for row in rows] == ["exact", "exact"]
        assert cmd("match", "list.csv", "--list", known, "--format", "csv").out.startswith("input,record,name")
        for name in ("out.csv", "out.jsonl"):
            assert cmd("match", "list.csv", "--list", known, "-o", name, "--quiet").code == 1
            assert Path(name).read_text()[0] == ("i" if name.endswith("csv") else "{")
        result = cmd("match", "list.csv", "--list", known, "--report", "r", "--case", "C")
        assert json.loads(Path("r/report.json").read_text())["header"]["case"] == {"case": "C"}
        assert "report    r" in result.err
        assert cmd("match", "list.csv", "--list", known, "--report", "r").code == 2

    def test_an_image_is_no_query(self, cmd, known: Path, images: Path) -> None:
        result = cmd("match", images / "0.png", "--list", known)
        assert result.code == 3
        assert "PNG image" in result.err

    def test_invalid_queries(self, cmd, known: Path) -> None:
        Path("q.csv").write_text(Path("list.csv").read_text() + "bad,ok,,1,PNG,1,1,zz,,,\n")
        stopped = cmd("match", "q.csv", "--list", known, "-o", "out.jsonl")
        assert stopped.code == 3
        assert "line 4" in stopped.err
        assert not Path("out.jsonl").exists()
        skipped = cmd("match", "q.csv", "--list", known, "--skip-invalid")
        assert skipped.code == 5
        assert "skipped: q.csv, line 4" in skipped.err

    @pytest.mark.parametrize(
        "wrong",
        [["--radius", "pdq"], ["--radius", "pdq=-1"], ["--radius", "pdq=257"], ["--radius", "md5=1"], ["-a", "no"],
         ["--min-quality", "102"], ["--format", "xml"]],
    )  # fmt: skip
    def test_wrong_options(self, cmd, known: Path, wrong: list[str]) -> None:
        assert cmd("match", "list.csv", "--list", known, *wrong).code == 2

    def test_damaged_compiled_list(self, cmd, known: Path) -> None:
        cmd("compile", known, "-o", "out.hmx")
        data = Path("out.hmx").read_bytes()
        at = data.index(hashlib.md5(Path("images/0.png").read_bytes()).digest())
        for damaged in (data[:-1], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:50], b"", b"text"):
            Path("out.hmx").write_bytes(damaged)
            result = cmd("match", "list.csv", "--list", "out.hmx")
            assert result.code == 3
            assert "out.hmx" in result.err

    def test_known_good(self, cmd, known: Path) -> None:
        cmd("list", "create", "good.hml", "--role", "known-good")
        cmd("list", "import", "good.hml", "list.csv", "--source", "NSRL")
        assert cmd("match", "list.csv", "--list", known, "--allow", "good.hml").code == 1
        result = cmd("match", "list.csv", "--list", known, "--allow", "good.hml", "--allow-exact")
        assert result.code == 0
        assert "suppressed by the known-good list" in result.err
        assert cmd("match", "list.csv", "--list", "good.hml").code == 2
        assert cmd("match", "list.csv", "--list", known, "--allow", known).code == 2

    def test_standard_input(self, known: Path) -> None:
        code = f"from hashmatch.cli import main; main(['match', '-', '--list', {str(known)!r}, '--json'])"
        done = subprocess.run(
            [sys.executable, "-c", code], input=Path("list.csv").read_bytes(), capture_output=True, check=False
        )
        assert done.returncode == 1, done.stderr
        assert len(done.stdout.splitlines()) == 2

    def test_damaged_list_is_never_silently_compiled(self, cmd, known: Path) -> None:
        digest = hashlib.md5(Path("images/0.png").read_bytes()).digest()
        data = known.read_bytes()
        known.write_bytes(data.replace(digest, bytes(16)))
        result = cmd("match", "list.csv", "--list", known)
        assert result.code == 3
        assert "does not agree with its digest" in result.err


class TestWhatMustNotHappen:
    def test_no_output_replaces_an_input_or_a_list(self, cmd, known: Path, images: Path) -> None:
        cmd("compile", known, "-o", "out.hmx")
        Path("link.hmx").symlink_to("out.hmx")
        before = {p: p.read_bytes() for p in (known, Path("out.hmx"), Path("list.csv"), images / "0.png")}
        for arguments in (
            ["compile", known, "-o", known],
            ["compile", known, "-o", "list.csv"],
            ["list", "export", known, "-o", known],
            ["list", "export", known, "-o", "out.hmx"],
            ["match", "list.csv", "--list", "out.hmx", "-o", "out.hmx"],
            ["match", "list.csv", "--list", "out.hmx", "-o", "link.hmx"],
            ["match", "list.csv", "--list", "out.hmx", "-o", "list.csv"],
            ["match", "list.csv", "--list", "out.hmx", "-o", known],
            ["hash", images / "0.png", "-o", images / "0.png"],
            ["scan", images, "--list", "out.hmx", "-o", images / "out.jsonl"],
            ["scan", ".", "--list", "out.hmx", "--report", "images/sub/report"],
        ):
            result = cmd(*arguments)
            assert result.code == 2, arguments
            assert result.err, arguments
        assert {p: p.read_bytes() for p in before} == before

    def test_a_link_stays_a_link(self, cmd, known: Path) -> None:
        Path("real.jsonl").write_text("old")
        Path("link.jsonl").symlink_to("real.jsonl")
        cmd("match", "list.csv", "--list", known, "-o", "link.jsonl")
        assert Path("link.jsonl").is_symlink()
        assert Path("real.jsonl").read_text().startswith("{")

    def test_names_cannot_drive_the_terminal(self, cmd, known: Path) -> None:
        evil = "e\x1b]0;PWN\x07\x1b[31m\u202ex.csv"
        Path(evil).write_text("id,md5,category\nx," + "1" * 32 + ",\u009b31m\n")
        Path("bad" + evil).write_text("id,md5\nx,1\n")
        cmd("list", "create", "a.hml")
        results = [
            cmd("list", "import", "a.hml", evil, "--source", "S"),
            cmd("list", "import", "a.hml", "bad" + evil, "--source", "S"),
            cmd("list", "import", "a.hml", "no" + evil, "--source", "S"),
            cmd("list", "info", "a.hml"),
            cmd("match", evil, "--list", "a.hml"),
            cmd("match", "bad" + evil, "--list", "a.hml", "--skip-invalid"),
            cmd("hash", evil),
            cmd("compare", evil, evil),
            cmd("list", "check", evil),
            cmd("compile", evil),
        ]
        for result in results:
            assert not set("\x1b\x07\u202e\u009b") & set(result.out + result.err)

    def test_nothing_compared_is_not_nothing_found(self, cmd, known: Path) -> None:
        Path("q.sha512").write_text("0" * 128 + "  x\n")
        result = cmd("match", "q.sha512", "--list", known)
        assert "WARNING   1 queries share no usable hash with the list, which offers md5, pdq, phash" in result.err
        assert cmd("match", "q.sha512", "--list", known, "-a", "sha512").code == 2
        Path("p.csv").write_text("id,photodna\nx," + "00" * 144 + "\n")
        cmd("list", "create", "p.hml")
        cmd("list", "import", "p.hml", "p.csv", "--source", "S")
        refused = cmd("scan", "images", "--list", "p.hml")
        assert (refused.code, "photodna only" in refused.err) == (2, True)

    def test_photodna_in_its_three_forms(self, cmd) -> None:
        """Base64, hexadecimal digits and decimals, in the list and as queries, through all of matching."""
        code = bytes((at * 37 + at // 12) % 256 for at in range(144))
        near, other = bytes(b ^ 1 for b in code), bytes(255 - b for b in code)
        forms = (lambda c: base64.b64encode(c).decode(), bytes.hex, lambda c: ",".join(map(str, c)))
        Path("list.csv").write_text("id,photodna\n" + "".join(f'e{n},"{form(code)}"\n' for n, form in enumerate(forms)))
        Path("list.jsonl").write_text(json.dumps({"id": "e3", "photodna": list(code)}) + "\n")
        cmd("list", "create", "p.hml")
        for name in ("list.csv", "list.jsonl"):
            assert cmd("list", "import", "p.hml", name, "--source", name).code == 0
        lines = [f'q{n},"{form(value)}"\n' for n, form in enumerate(forms) for value in (code, near, other)]
        Path("q.csv").write_text("id,photodna\n" + "".join(lines))
        result = cmd("match", "q.csv", "--list", "p.hml", "--json")
        found = [json.loads(line) for line in result.out.splitlines()]
        assert [r["verdict"] for r in found] == ["near", "near", "none"] * 3
        for at, distance in enumerate([0, 144, None] * 3):
            matches = [(m["entry"], m["algorithm"], m["distance"], m["radius"]) for m in found[at]["matches"]]
            expected = [(f"e{n}", "photodna", distance, 40_000) for n in range(4)]
            assert matches == (expected if distance is not None else [])

    def test_photodna_of_flat_pictures(self, cmd) -> None:
        flat, rich = bytes(144), bytes(n % 2 for n in range(144))
        Path("list.csv").write_text(f"id,photodna\nflat,{flat.hex()}\nrich,{rich.hex()}\n")
        cmd("list", "create", "p.hml")
        cmd("list", "import", "p.hml", "list.csv", "--source", "S")
        entries = []
        for options in ([], ["--photodna-min-detail", "0.25"]):
            result = cmd(
                "match", "list.csv", "--list", "p.hml", "--json", "--report", f"report{len(options)}", *options
            )
            found = [json.loads(line) for line in result.out.splitlines()]
            entries.append([[m["entry"] for m in query["matches"]] for query in found])
        assert entries == [[["flat", "rich"], ["flat", "rich"]], [[], ["rich"]]]
        assert "notes     2 queries carry a note" in result.err
        reports = [json.loads(Path(f"report{n}/report.json").read_text()) for n in (0, 2)]
        assert [r["summary"]["thresholds"]["min_detail"] for r in reports] == [{"photodna": None}, {"photodna": 0.25}]
        assert cmd("match", "list.csv", "--list", "p.hml", "--photodna-min-detail", "1.5").code == 2

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
    @pytest.mark.parametrize("arguments", ["match list.csv --list known.hml --json", "list export known.hml", "--help"])
    def test_standard_output_that_is_full_or_closed(self, known: Path, arguments: str) -> None:
        program = f"{sys.executable} -m hashmatch {arguments}"
        full = subprocess.run(f"{program} > /dev/full", shell=True, capture_output=True, text=True, check=False)
        assert (full.returncode, "Traceback" in full.stderr) == (3, False)
        assert "No space left" in full.stderr
        closed = subprocess.run(f"{program} >&-", shell=True, capture_output=True, text=True, check=False)
        assert (closed.returncode in (0, 1), closed.stderr.count("Traceback")) == (True, 0)

    @pytest.mark.skipif(os.name == "nt", reason="SIGTERM is POSIX's")
    def test_ended_from_outside(self, known: Path) -> None:
        """The output so far is removed, and the exit code says which signal it was."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hashmatch", "match", "-", "--from", "csv", "--list", known, "-o", "out.jsonl"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"id,md5\n" + b"x,%032d\n" % 1 * 50_000)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not list(Path().glob(".hashmatch-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        assert b"ended from outside" in process.stderr.read()
        process.stdin.close()
        process.stderr.close()
        assert not list(Path().glob(".hashmatch-*"))
        assert not Path("out.jsonl").exists()

    @pytest.mark.parametrize(
        "verb", ["list create", "list info", "list check", "compile", "match x --list", "compare x"]
    )
    def test_absurd_paths(self, cmd, verb: str) -> None:
        result = cmd(*verb.split(), "x" * 5000)
        assert result.code in (2, 3)
        assert result.err


class TestHashScanCompare:
    def test_hash_forms(self, cmd, images: Path) -> None:
        path = images / "0.png"
        text = cmd("hash", path, "-a", "md5,sha256,pdq")
        assert text.code == 0
        assert hashlib.md5(path.read_bytes()).hexdigest() in text.out
        row = json.loads(cmd("hash", path, "--format", "jsonl").out)
        assert row["id"] == str(path)
        assert len(row["pdq"]) == 64
        assert row["pdq_quality"] > 50
        assert row["decoder"]
        cmd("hash", path, "--format", "csv", "-o", "out.csv")
        assert Path("out.csv").read_text().count("\n") == 2
        cmd("hash", path, "--format", "jsonl", "-o", "out.jsonl")
        cmd("list", "create", "a.hml")
        assert cmd("list", "import", "a.hml", "out.jsonl", "--source", "S").code == 0

    def test_hash_bad_input(self, cmd, images: Path) -> None:
        Path("broken.png").write_bytes((images / "0.png").read_bytes()[:100])
        Path("text.txt").write_text("hello")
        Path("empty.jpg").touch()
        for form in ("text", "csv", "jsonl"):
            result = cmd("hash", "broken.png", "text.txt", "empty.jpg", "missing.png", images, "--format", form)
            assert result.code == 4
            for name in ("broken.png", "text.txt", "empty.jpg", "missing.png", "images"):
                assert name in result.out
        Path("list.md5").write_text("feedc0de" * 4 + "\n")
        Path("foreign.bin").write_bytes(b"\0\1\2\3\4\5\6\7\x08")
        foreign = cmd("hash", "list.md5", "foreign.bin", "-a", "pdq").out
        assert "starting with 00 01 02 03 04 05 06 07;" in foreign
        assert "unknown file of 33 bytes, which begins with text;" in foreign  # eight digits of a hash are not shown
        assert "66 65" not in foreign
        assert cmd("hash", "text.txt", "-a", "photodna").code == 2
        assert cmd("hash", "text.txt", "-a", "md5").code == 0

    def test_limits(self, cmd, images: Path) -> None:
        assert "too_large" in cmd("hash", images / "0.png", "--max-pixels", "10").out
        assert "too_large" in cmd("hash", images / "0.png", "--max-bytes", "10").out

    def test_scan(self, cmd, known: Path, images: Path) -> None:
        (images / "sub").mkdir()
        (images / "sub" / "broken.png").write_bytes((images / "0.png").read_bytes()[:100])
        result = cmd("scan", images, "--list", known, "--out", "out.jsonl", "-j", "2")
        assert result.code == 5
        rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert [(Path(r["name"]).name, r["status"], r["verdict"]) for r in rows] == [
            ("0.png", "ok", "exact"),
            ("1.png", "ok", "exact"),
            ("2.png", "ok", "none"),
            ("broken.png", "unreadable", "unreadable"),
        ]
        assert "hashes" not in rows[0]
        again = cmd("scan", images, "--list", known, "--out", "again.jsonl", "-j", "0", "--include-hashes")
        assert again.code == 5
        assert "pdq" in json.loads(Path("again.jsonl").read_text().splitlines()[0])["hashes"]
        assert cmd("scan", images / "2.png", "--list", known, "-j", "0").code == 0
        assert cmd("scan", "missing", "--list", known, "-j", "0").code == 4
        assert cmd("scan", images, "--list", known, "--include-hashes").code == 2
        assert cmd("scan", images, "--list", "missing.hmx").code == 3

    def test_compare(self, cmd, images: Path) -> None:
        same = cmd("compare", images / "0.png", images / "0.png")
        assert same.code == 1
        assert "distance    0 of 256, radius 31: match" in same.out
        assert cmd("compare", images / "0.png", images / "1.png", "-a", "pdq").code == 0
        codes = cmd("compare", "0" * 64, "f" + "0" * 63)
        assert (codes.code, "distance    4 of 256" in codes.out) == (1, True)
        assert cmd("compare", "0" * 16, "f" * 16).code == 0
        assert cmd("compare", "0" * 64, "1" * 64, "-a", "sha256").out.split() == ["sha256", "different"]
        for wrong in (["0" * 64, "0" * 62], ["0" * 64, "g" * 64], ["abc", "abc"], [images / "0.png", "0" * 64]):
            assert cmd("compare", *wrong).code in (2, 3), wrong


class TestDemoAndDoctor:
    def test_demo(self, cmd, tmp_path: Path) -> None:
        result = cmd("demo", "--keep", "kept")
        assert result.code == 0
        assert "exact " in result.out
        assert "near " in result.out
        verdicts = [json.loads(line)["verdict"] for line in Path("kept/report/results.jsonl").read_text().splitlines()]
        assert sorted(verdicts) == [
            "exact",
            "near",
            "near",
            "near",
            "none",
            "none",
            "none",
            "none",
            "none",
            "unreadable",
        ]
        assert cmd("demo", "--keep", "kept").code == 2

    def test_doctor(self, cmd, monkeypatch: pytest.MonkeyPatch) -> None:
        result = cmd("doctor")
        assert result.code == 0
        assert "problems: none" in result.out
        facts = json.loads(cmd("doctor", "--json").out)
        assert facts["kernels"]["in use"] == kernels.active()
        assert facts["images"]["profiles"] == "reference, luma"
        assert facts["images"]["pixels"] in ("shared with the decoder", "copied from the decoder")
        monkeypatch.setenv("HASHMATCH_KERNELS", "numpy")
        assert json.loads(cmd("doctor", "--json").out)["kernels"]["in use"] == "numpy"
        monkeypatch.setenv("HASHMATCH_KERNELS", "mmx")
        broken = cmd("doctor")
        assert broken.code == 3
        assert "mmx" in broken.out

    def test_doctor_compares_every_implementation(self, cmd, monkeypatch: pytest.MonkeyPatch) -> None:
        here = [item.name for item in kernels.implementations() if item.available]
        facts = json.loads(cmd("doctor", "--json").out)["kernels"]
        assert all(facts[name] == "available, agrees with the reference" for name in here)
        right = reference.hamming_range

        def misses_one(*arguments: Any) -> Any:
            offsets, rows, distances = right(*arguments)
            return offsets.clip(max=len(rows) - 1), rows[:-1], distances[:-1]

        monkeypatch.setattr(reference, "hamming_range", misses_one)
        broken = cmd("doctor")
        # The reference itself is wrong here: so is everybody else's answer.
        assert broken.code == (3 if len(here) > 1 else 0)
        for name in here[:-1]:
            assert f"the kernels {name} give wrong answers" in broken.out

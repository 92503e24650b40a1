"""The list of record: imports, history, retractions, snapshots, and what damage and other processes do to it."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import (
    FileExistsAlreadyError,
    InputError,
    ListBusyError,
    ListDamagedError,
    ListError,
    ListNotFoundError,
    RecordError,
    RoleError,
    StorageError,
    UsageError,
)
from hashmatch.index.compiled import CompiledList
from hashmatch.lists import cache, schema
from hashmatch.lists.entry import Entry
from hashmatch.lists.store import HashList


def digest(value: object, algorithm: str = "md5") -> bytes:
    return hashlib.new(algorithm, str(value).encode()).digest()


def entry(ref: str, value: object = None, **fields: object) -> Entry:
    value = ref if value is None else value
    return Entry.make(ref, {"md5": digest(value), "sha1": digest(value, "sha1")}, **fields)  # type: ignore[arg-type]


@pytest.fixture
def known(tmp_path: Path):
    with HashList.open(tmp_path / "known.hml", create=True) as opened:
        yield opened


def csv_file(path: Path, rows: dict[str, object]) -> Path:
    path.write_text("id,md5\n" + "".join(f"{ref},{digest(value).hex()}\n" for ref, value in rows.items()))
    return path


class TestOpening:
    def test_a_new_list_is_private_and_empty(self, tmp_path: Path) -> None:
        with HashList.open(tmp_path / "a.hml", create=True) as known:
            assert known.role == "known"
            assert list(known.entries()) == []
            assert known.check() == 0
            assert known.info().entries == 0
        if os.name != "nt":
            assert stat.S_IMODE((tmp_path / "a.hml").stat().st_mode) == 0o600
        assert [p.name for p in tmp_path.iterdir()] == ["a.hml"]

    def test_missing_list_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(ListNotFoundError, match="hashmatch list create"):
            HashList.open(tmp_path / "no.hml")

    def test_a_folder_is_not_a_list(self, tmp_path: Path) -> None:
        with pytest.raises(ListNotFoundError, match="is a folder"):
            HashList.open(tmp_path)

    @pytest.mark.parametrize(
        "content", [b"", b"md5,sha1\n", b"\x89HMX\r\n\x1a\n", b"SQLite format 3\0" + b"\xff" * 200]
    )
    def test_a_foreign_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.hml"
        path.write_bytes(content)
        with pytest.raises(ListDamagedError, match=r"a\.hml"):
            HashList.open(path)
        assert path.read_bytes() == content

    def test_another_sqlite_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE x (y)")
        connection.close()
        with pytest.raises(ListDamagedError, match="application id"):
            HashList.open(path)

    def test_another_schema_version_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        HashList.open(path, create=True).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(ListDamagedError, match="version 99"):
            HashList.open(path)

    @pytest.mark.parametrize(
        "what", ["TRIGGER t AFTER DELETE ON block BEGIN SELECT 1; END", "VIEW v AS SELECT * FROM block"]
    )
    def test_a_list_with_a_program_in_it_is_refused(self, tmp_path: Path, what: str) -> None:
        path = tmp_path / "a.hml"
        HashList.open(path, create=True).close()
        connection = sqlite3.connect(path)
        connection.execute(f"CREATE {what}")
        connection.close()
        with pytest.raises(ListDamagedError, match="triggers or views"):
            HashList.open(path)

    def test_role_is_kept_and_checked(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        HashList.open(path, create=True, role="known-good").close()
        with HashList.open(path) as opened:
            assert opened.role == "known-good"
        with pytest.raises(RoleError, match="known-good"):
            HashList.open(path, role="known")
        with pytest.raises(UsageError, match="role"):
            HashList.open(tmp_path / "b.hml", create=True, role="good")

    def test_create_never_replaces(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        path.write_text("somebody's file")
        with pytest.raises(FileExistsAlreadyError):
            schema.create(path, "known")
        assert path.read_text() == "somebody's file"

    def test_create_in_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="no list was created"):
            HashList.open(tmp_path / "no" / "a.hml", create=True)

    def test_created_but_not_readable_is_told_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(path: Path, **_: object) -> sqlite3.Connection:
            with schema.sqlite_errors(path):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error

        path = tmp_path / "a.hml"
        with monkeypatch.context() as patched:
            patched.setattr(schema, "connect", fails)
            with pytest.raises(StorageError, match=r"was created and is there, .* \(disk I/O error\)"):
                HashList.open(path, create=True)
            with pytest.raises(StorageError, match="the former state stands"):
                HashList.open(path, create=True)
        with HashList.open(path) as known:
            assert known.count() == 0

    def test_read_only_refuses_writing(self, known: HashList) -> None:
        with HashList.open(known.path, read_only=True) as reader, pytest.raises(UsageError, match="read-only"):
            reader.import_entries([entry("a")], "S")


class TestImport:
    def test_all_fields_come_back(self, known: HashList) -> None:
        made = Entry.make(
            "r-1",
            {name: bytes(range(a.width % 256)) + b"\7" * (a.width - a.width % 256) for name, a in ALGORITHMS.items()},
            quality={"pdq": 77},
            category=("interpol", "baseline"),
            media_type="video",
            size=12_345_678_901,
            metadata={"series": "Ünïcode \U0001f600", "submissions": 3, "is_distributed": True},
        )
        summary = known.import_entries([made], "ICSE")
        assert (summary.records, summary.added) == (1, 1)
        [stored] = known.entries()
        assert stored.source == "ICSE"
        assert stored.entry == made
        assert known.check() == 1

    def test_unchanged_file_changes_nothing(self, known: HashList, tmp_path: Path) -> None:
        path = csv_file(tmp_path / "a.csv", {f"e{i}": i for i in range(2500)})
        first = known.import_file(path, "S")
        again = known.import_file(path, "S")
        assert (first.added, first.unchanged) == (2500, 0)
        assert (again.added, again.replaced, again.unchanged) == (0, 0, 2500)
        assert again.snapshot == first.snapshot == known.snapshot
        assert first.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert first.bytes == path.stat().st_size
        history = known.info().imports
        assert [(i["added"], i["sha256"], i["name"]) for i in history] == [
            (2500, first.sha256, str(path)),
            (0, first.sha256, str(path)),
        ]

    def test_a_re_sent_entry_replaces(self, known: HashList) -> None:
        known.import_entries([entry("a", 1), entry("b", 2)], "S")
        before = known.snapshot
        summary = known.import_entries([entry("a", 3), entry("b", 2), entry("c", 4)], "S")
        assert (summary.added, summary.replaced, summary.unchanged) == (1, 1, 1)
        assert known.snapshot != before
        assert {s.entry.ref: s.entry.hashes["md5"] for s in known.entries()} == {
            "a": digest(3),
            "b": digest(2),
            "c": digest(4),
        }

    def test_sources_stand_side_by_side(self, known: HashList) -> None:
        known.import_entries([entry("a", 1)], "Zeta")
        known.import_entries([entry("a", 2)], "Alpha")
        assert [(s.source, s.entry.hashes["md5"]) for s in known.entries()] == [
            ("Alpha", digest(2)),
            ("Zeta", digest(1)),
        ]
        assert known.info().sources == {"Alpha": 1, "Zeta": 1}

    def test_the_snapshot_is_of_the_content_not_of_its_history(self, tmp_path: Path) -> None:
        one = HashList.open(tmp_path / "1.hml", create=True)
        one.import_entries([entry(f"e{i}") for i in range(50)], "A")
        one.import_entries([entry("x")], "B")
        two = HashList.open(tmp_path / "2.hml", create=True)
        two.import_entries([entry("x", "other")], "B")
        two.import_entries([entry(f"e{i}") for i in reversed(range(50))], "A")
        assert one.snapshot != two.snapshot
        two.import_entries([entry("x")], "B")
        assert one.snapshot == two.snapshot
        one.compile(tmp_path / "1.hmx")
        two.compile(tmp_path / "2.hmx")
        assert (tmp_path / "1.hmx").read_bytes() == (tmp_path / "2.hmx").read_bytes()
        one.close()
        two.close()

    @pytest.mark.parametrize(
        "other",
        [
            entry("a", "other"),
            entry("b"),
            entry("a", category=("s", "c")),
            entry("a", category=("sc", "")),
            entry("a", media_type="image"),
            entry("a", size=0),
            entry("a", metadata={"k": "v"}),
            Entry.make("a", {"md5": digest("a")}),
        ],
    )
    def test_every_field_is_in_the_snapshot(self, tmp_path: Path, other: Entry) -> None:
        snapshots = set()
        for number, made in enumerate((entry("a"), other)):
            with HashList.open(tmp_path / f"{number}.hml", create=True) as known:
                known.import_entries([made], "S")
                snapshots.add(known.snapshot)
        assert len(snapshots) == 2

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
    def test_a_path_of_any_bytes(self, known: HashList, tmp_path: Path) -> None:
        path = csv_file(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")), {"a": 1})
        assert known.import_file(path, "S").added == 1
        assert known.info().imports[0]["name"].endswith("\\xff.csv")

    def test_malformed_record_stops_and_nothing_is_kept(self, known: HashList, tmp_path: Path) -> None:
        known.import_entries([entry("a")], "S")
        before = known.snapshot, known.path.read_bytes()
        path = csv_file(tmp_path / "a.csv", {f"e{i}": i for i in range(3000)})
        with path.open("a") as file:
            file.write("bad,123\n")
        with pytest.raises(RecordError) as caught:
            known.import_file(path, "New source")
        assert caught.value.line == 3002
        assert str(path) in str(caught.value)
        assert known.snapshot == before[0]
        assert known.sources() == ["S"]
        assert len(known.info().imports) == 1
        assert known.check() == 1

    def test_the_first_problem_is_the_one_reported(self, known: HashList) -> None:
        def items():
            yield entry("a")
            yield RecordError("malformed", record=2)
            raise RecordError("the rest is unusable", record=3)

        with pytest.raises(RecordError, match="record 2: malformed"):
            known.import_entries(items(), "S")
        with pytest.raises(RecordError, match="record 3: the rest"):
            known.import_entries(items(), "S", skip_invalid=True)
        assert known.info().entries == 0

    def test_skip_invalid_keeps_the_rest_and_lists_the_skipped(self, known: HashList, tmp_path: Path) -> None:
        path = csv_file(tmp_path / "a.csv", {"a": 1})
        with path.open("a") as file:
            file.write(f"bad,123\nc,{digest(3).hex()}\n")
        summary = known.import_file(path, "S", skip_invalid=True)
        assert (summary.records, summary.added, summary.invalid) == (3, 2, 1)
        assert len(summary.problems) == 1
        assert "line 3" in summary.problems[0]
        assert [s.entry.ref for s in known.entries()] == ["a", "c"]

    def test_conflicting_records_of_one_input(self, known: HashList) -> None:
        items = [entry(f"e{i}") for i in range(1500)] + [entry("e7", "other")]
        with pytest.raises(RecordError, match=r"record 1,501.*'e7'.*other content"):
            known.import_entries(items, "S", name="input")
        assert known.info().entries == 0
        summary = known.import_entries(items, "S", skip_invalid=True)
        assert (summary.added, summary.invalid, summary.unchanged) == (1500, 1, 0)
        assert next(s for s in known.entries() if s.entry.ref == "e7").entry == entry("e7")

    def test_conflict_within_one_batch_and_in_a_reimport(self, known: HashList) -> None:
        with pytest.raises(RecordError, match="record 2"):
            known.import_entries([entry("a", 1), entry("a", 2)], "S")
        known.import_entries([entry("a", 1)], "S")
        with pytest.raises(RecordError, match="record 2"):
            known.import_entries([entry("a", 2), entry("a", 3)], "S")
        assert [s.entry for s in known.entries()] == [entry("a", 1)]

    @pytest.mark.parametrize("second", [(1, 2), (2, 1), (2, 3)])
    def test_contradictions_do_not_depend_on_what_the_list_held(self, known: HashList, second: tuple[int, int]) -> None:
        known.import_entries([entry("a", 1), entry("b")], "S")
        with pytest.raises(RecordError, match="record 2"):
            known.import_entries([entry("a", value) for value in second], "S")
        summary = known.import_entries([entry("a", value) for value in second], "S", skip_invalid=True)
        assert summary.invalid == 1
        assert next(known.entries()).entry == entry("a", second[0])

    def test_repeated_equal_records_are_one_entry(self, known: HashList) -> None:
        summary = known.import_entries([entry("a"), entry("a"), entry("b")], "S")
        assert (summary.added, summary.unchanged, summary.invalid) == (2, 1, 0)

    def test_entries_without_reference_get_a_stable_one(self, known: HashList) -> None:
        items = [Entry.make("", {"md5": digest(i)}) for i in range(5)]
        known.import_entries(items, "S")
        summary = known.import_entries(reversed(items), "S")
        assert (summary.added, summary.unchanged) == (0, 5)
        refs = [s.entry.ref for s in known.entries()]
        assert len(set(refs)) == 5
        assert all(digest(i).hex()[:8] not in "".join(refs) for i in range(5))

    def test_records_without_a_hash_are_counted_and_left_out(self, known: HashList) -> None:
        items = [Entry.make("a", {}, dropped=2), Entry.make("b", {"md5": digest(1)}, dropped=1)]
        summary = known.import_entries(items, "S")
        assert (summary.added, summary.hashless, summary.empty_digests) == (1, 1, 3)

    def test_records_without_reference_that_differ_are_two(self, known: HashList) -> None:
        made = [Entry.make("", {"md5": digest(1)}, metadata={"name": name}) for name in "ab"]
        assert known.import_entries(made, "S").added == 2

    @pytest.mark.parametrize(
        "wrong",
        [entry("a\0"), entry("\udc80", 1), entry("a", size=-5), entry("a", size=1 << 70), entry("a")._replace(ref=5)],
    )
    def test_what_no_reader_would_let_pass(self, known: HashList, wrong: Entry) -> None:
        with pytest.raises(RecordError, match="record 2"):
            known.import_entries([entry("b"), wrong], "S")
        assert known.info().entries == 0

    def test_a_second_handle_in_one_process_leaves_the_locks_alone(self, tmp_path: Path) -> None:
        """Closing any handle of a file drops all locks of the process on it; only SQLite knows how to avoid that."""
        path = tmp_path / "a.hml"
        code = f"""
            import sys
            from hashmatch.errors import ListBusyError
            from hashmatch.lists import cache, schema
            from hashmatch.lists.entry import Entry
            from hashmatch.lists.store import HashList
            schema.BUSY_SECONDS = 0.1
            try:
                HashList.open({str(path)!r}).import_entries([Entry.make("b", {{"md5": bytes(16)}})], "S")
            except ListBusyError:
                sys.exit(7)
        """

        def items():
            yield entry("a")
            HashList.open(path, read_only=True).close()
            with pytest.raises(ListDamagedError):
                HashList.open(Path(__file__))
            done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
            assert done.returncode == 7

        with HashList.open(path, create=True) as known:
            known.import_entries(items(), "S")
            assert known.check() == 1

    def test_an_error_of_the_caller_rolls_back(self, known: HashList) -> None:
        def items():
            yield from (entry(f"e{i}") for i in range(2500))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            known.import_entries(items(), "S")
        assert known.info().entries == 0
        assert known.import_entries([entry("a")], "S").added == 1

    @pytest.mark.parametrize("source", ["", "a\0b", "a\nb", "\x1b[31m", "\udc80", " a", "a ", "\u202ea"])
    def test_source_names_are_checked(self, known: HashList, source: str) -> None:
        with pytest.raises(UsageError, match="source"):
            known.import_entries([entry("a")], source)

    @given(
        batches=st.lists(
            st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2), st.sampled_from(["S", "T"])), max_size=8),
            max_size=4,
        ),
        retracted=st.sets(st.sampled_from("abcdef"), max_size=3),
    )
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_against_a_dictionary(self, tmp_path_factory: pytest.TempPathFactory, batches, retracted) -> None:
        path = tmp_path_factory.mktemp("h") / "a.hml"
        model: dict[tuple[str, str], int] = {}
        with HashList.open(path, create=True) as known:
            known.import_entries([], "S")
            known.retract("S", sorted(retracted), allow_unseen=True)
            for batch in batches:
                for source in ("S", "T"):
                    wanted = {ref: value for ref, value, of in batch if of == source}
                    known.import_entries([entry(ref, value) for ref, value in wanted.items()], source)
                    model |= {
                        (source, ref): value
                        for ref, value in wanted.items()
                        if not (source == "S" and ref in retracted)
                    }
            found = {(s.source, s.entry.ref): s.entry.hashes["md5"] for s in known.entries()}
            assert found == {key: digest(value) for key, value in model.items()}
            assert known.check() == len(model)
            assert known.info().entries == len(model)


class TestRetraction:
    def test_a_retraction_survives_reimport(self, known: HashList, tmp_path: Path) -> None:
        path = csv_file(tmp_path / "a.csv", {"a": 1, "b": 2})
        known.import_file(path, "S")
        before = known.snapshot
        with pytest.raises(UsageError, match="has no entry 'never-seen'"):
            known.retract("S", ["a", "never-seen"])
        assert (known.snapshot, known.info().retractions) == (before, 0)
        assert known.retract("S", ["a", "never-seen"], reason="court order", allow_unseen=True) == (1, 1)
        assert known.snapshot != before
        summary = known.import_file(path, "S")
        assert (summary.added, summary.unchanged, summary.retracted) == (0, 1, 1)
        assert [s.entry.ref for s in known.entries()] == ["b"]
        assert known.info().retractions == 2
        assert known.check() == 1

    def test_the_hash_itself_is_gone(self, known: HashList) -> None:
        secret = digest("withdrawn")
        known.import_entries([Entry.make("a", {"md5": secret}), entry("b")], "S")
        assert secret in known.path.read_bytes()
        known.retract("S", ["a"])
        assert secret not in known.path.read_bytes()

    def test_it_concerns_one_source_only(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        known.import_entries([entry("a")], "T")
        known.retract("S", ["a"])
        assert [s.source for s in known.entries()] == ["T"]

    def test_undo(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        before = known.snapshot
        known.retract("S", ["a"])
        assert known.restore("S", ["a", "b"]) == 1
        known.import_entries([entry("a")], "S")
        assert known.snapshot == before

    def test_what_changes_nothing_is_no_change(self, known: HashList) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known.retract("S", ["a"])
        before = known.path.read_bytes(), known.audit.path.read_bytes()
        assert known.retract("S", ["a"], reason="another") == (0, 0)
        assert known.restore("S", ["b", "c"]) == 0
        assert known.give_opinion("S", ["b"], "O", affirmative=None) == 0
        assert (known.path.read_bytes(), known.audit.path.read_bytes()) == before
        assert known.restore("S", ["a"]) == 1
        assert [change.operation for change in known.history.changes()] == ["import", "retract", "restore"]
        known.check()

    def test_unknown_source(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        with pytest.raises(UsageError, match="its sources: S"):
            known.retract("T", ["a"])

    def test_any_reference_that_can_come_in_can_go(self, known: HashList) -> None:
        refs = ["a\nb", "t\tb", "p\u2028q", " x ", "\x7f"]
        known.import_entries([entry(ref) for ref in refs], "Réseau")
        assert known.retract(unicodedata.normalize("NFD", "Réseau"), refs) == (5, 0)
        with pytest.raises(UsageError, match="not one text"):
            known.retract("Réseau", "abc")

    def test_the_compiled_form_beside_the_list_goes_too(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        beside = cache.cache_path(known.path)
        known.compile(beside)
        known.retract("S", ["a"])
        assert not beside.exists()

    def test_the_compiled_form_goes_with_the_second_try(self, known: HashList, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first one failed behind its commit, so that the second has nothing to change."""
        known.import_entries([entry("a"), entry("b")], "S")
        beside = cache.cache_path(known.path)
        known.compile(beside)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", _refuse)
            with pytest.raises(StorageError, match="holds what was withdrawn"):
                known.retract("S", ["a"])
            with pytest.raises(StorageError, match="The list was changed before"):
                known.retract("S", ["a"])
        assert beside.exists()
        before = known.snapshot
        assert known.retract("S", ["a"]) == (0, 0)
        assert not beside.exists()
        # One of what the list says now stays.
        known.compile(beside)
        assert known.retract("S", ["a"]) == (0, 0)
        assert beside.exists()
        assert known.snapshot == before

    def test_a_bad_reference_retracts_nothing(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        with pytest.raises(UsageError, match="reference"):
            known.retract("S", ["a", "b\0"])
        assert known.info().retractions == 0
        assert known.info().entries == 1


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, "no")


def _hold_write_lock(path: str, ready: object, release: object) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    ready.set()  # type: ignore[attr-defined]
    release.wait(30)  # type: ignore[attr-defined]
    connection.close()


class TestOtherProcesses:
    def test_two_writers(self, known: HashList, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
        known.import_entries([entry("a")], "S")
        context = multiprocessing.get_context("spawn")
        ready, release = context.Event(), context.Event()
        other = context.Process(target=_hold_write_lock, args=(str(known.path), ready, release))
        other.start()
        try:
            assert ready.wait(30)
            with HashList.open(known.path) as second:
                with pytest.raises(ListBusyError, match="another process is using"):
                    second.import_entries([entry("b")], "S")
                # Readers go on reading the former state.
                assert [s.entry.ref for s in second.entries()] == ["a"]
        finally:
            release.set()
            other.join()
        assert known.import_entries([entry("b")], "S").added == 1

    def test_a_slow_reader_costs_no_import(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        began = threading.Event()

        def read_slowly() -> None:
            with HashList.open(known.path, read_only=True) as reader:
                entries = reader.entries()
                next(entries)
                began.set()
                time.sleep(1.0)
                entries.close()  # type: ignore[attr-defined]

        thread = threading.Thread(target=read_slowly)
        thread.start()
        assert began.wait(30)
        assert known.import_entries([entry("b")], "S").added == 1
        thread.join()

    @pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
    def test_an_iterator_may_outlive_its_list(self, known: HashList) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        with HashList.open(known.path) as reader:
            entries = reader.entries()
            next(entries)
        entries.close()  # type: ignore[attr-defined]

    def test_an_export_is_of_one_moment(self, known: HashList, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "PATIENT_SECONDS", 0.2)
        known.import_entries([entry("a")], "A")
        known.import_entries([entry("b")], "B")
        with HashList.open(known.path, read_only=True) as reader:
            entries = reader.entries()
            first = next(entries)
            with pytest.raises(ListBusyError):
                known.import_entries([entry("b", "other")], "B")
            assert [first.entry, *(s.entry for s in entries)] == [entry("a"), entry("b")]

    @pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's; Windows needs another test")
    def test_killed_in_mid_import(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([entry(f"old{i}") for i in range(100)], "S")
            before = known.snapshot
        # Small pages of cache, so that the transaction is on the disk, uncommitted, when the process dies.
        code = f"""
            import itertools, sys, hashlib
            from hashmatch.lists.entry import Entry
            from hashmatch.lists.store import HashList
            known = HashList.open({str(path)!r})
            known._connection.execute("PRAGMA cache_size = 10")
            def items():
                for i in itertools.count():
                    if i == 200_000:
                        print("deep inside", flush=True)
                    yield Entry.make(f"old{{i}}", {{"md5": hashlib.md5(b"%d" % i).digest()}})
            known.import_entries(items(), "S")
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"deep inside"
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert (tmp_path / "a.hml-journal").exists(), "the process died before SQLite wrote anything: nothing is tested"
        # Readers first: they must get the former state without being allowed to write.
        with HashList.open(path, read_only=True) as known:
            assert known.check() == 100
            assert known.snapshot == before
        with HashList.open(path) as known:
            assert known.check() == 100


class TestDamage:
    def test_check_finds_every_changed_byte_of_a_block(self, known: HashList) -> None:
        known.import_entries([entry("a", metadata={"k": "v"}, size=7), entry("b", category=("s", "c"))], "S")
        query = known._connection.execute
        ((rows,),) = query("SELECT rows FROM block").fetchall()
        for at in range(len(rows)):
            changed = rows[:at] + bytes([rows[at] ^ 0x55]) + rows[at + 1 :]
            query("UPDATE block SET rows = ?", (changed,))
            with pytest.raises(ListDamagedError, match="does not agree with its digest"):
                known.check()
        query("UPDATE block SET rows = ?", (rows,))
        assert known.check() == 2

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("DELETE FROM block", "snapshot"),
            ("UPDATE block SET last = 'z'", "its columns do not agree"),
            ("UPDATE block SET entries = 3", "its columns do not agree"),
            ("UPDATE block SET newest = 3", "its columns do not agree"),
            ("UPDATE block SET part = 1", "does not end where it must"),
            ("UPDATE block SET changes = x'0100000001000000ffffffff'", "numbers of its changes are damaged"),
            ("UPDATE block SET rows = x'00', digest = sha256(x'00')", "not a block"),
            ("UPDATE meta SET value = '00' WHERE key = 'snapshot'", "snapshot"),
            ("UPDATE block SET source = 99", "source"),
            ("DELETE FROM change", "change that is gone"),
            ("UPDATE change SET snapshot = x'00'", "last change led to"),
            ("UPDATE change SET id = 5", "without a gap"),
            ("INSERT INTO retraction VALUES (1, 'a', 1, NULL, '', NULL)", "retracted"),
            ("INSERT INTO pending VALUES (1, 1, 'a', x'', x'')", "import that never ended"),
            ("INSERT INTO former VALUES (1, 'a', 1, 2, x'00', NULL)", "names changes 1 to 2"),
            ("INSERT INTO opinion VALUES (1, 'a', '', 'O', 0, '', 1, NULL)", "snapshot"),
            ("INSERT INTO opinion VALUES (1, 'a', '', 'O', 2, '', 1, NULL)", "neither affirmative nor negative"),
            (
                "INSERT INTO opinion VALUES (1, 'a', '', 'O', 0, '', 1, 2)",
                "on entry 'a' of source 'S': names changes 1 to 2",
            ),
            ("INSERT INTO opinion VALUES (1, 'a', '', 'O', 0, '', 0, 1)", "names changes 0 to 1"),
            (
                "INSERT INTO opinion VALUES (1, 'z', '', 'O', 0, '', 1, NULL)",
                "'z' of source 'S': stands, but the list has",
            ),
            (
                "INSERT INTO opinion VALUES (1, 'z', '', 'O', 0, '', 1, 1)",
                "'z' of source 'S': was noted, but the list never",
            ),
        ],
    )
    def test_check_finds_what_does_not_fit(self, known: HashList, change: str, message: str) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known._connection.create_function("sha256", 1, lambda value: hashlib.sha256(value).digest())
        known._connection.execute(change)
        with pytest.raises(ListDamagedError, match=message):
            known.check()

    def test_check_finds_opinions_that_do_not_follow_one_another(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        for affirmative in (True, False, None, True):
            known.give_opinion("S", ["a"], "O", affirmative=affirmative)
        assert known.check() == 1
        execute = known._connection.execute
        for change, message in (
            ("UPDATE opinion SET ended = 4 WHERE change = 2", "was given while another one of 'O' stood"),
            ("UPDATE opinion SET ended = NULL WHERE change = 2", "was given while another one of 'O' stood"),
            ("UPDATE opinion SET ended = 2 WHERE change = 3", "names changes 3 to 2"),
        ):
            execute("SAVEPOINT sound")
            execute(change)
            with pytest.raises(ListDamagedError, match=message):
                known.check()
            execute("ROLLBACK TO sound")
            execute("RELEASE sound")
        assert known.check() == 1

    def test_opinions_on_what_is_gone_are_sound(self, known: HashList) -> None:
        """They ended with the entry, and stay as a part of its life."""
        known.import_entries([entry("a"), entry("b")], "S")
        known.give_opinion("S", ["a", "b"], "O", affirmative=True)
        known.retract("S", ["a", "b"])
        assert known.check() == 0
        known.restore("S", ["a"])
        assert known.check() == 0
        known.import_entries([entry("a")], "S")
        known.give_opinion("S", ["a"], "O", affirmative=False)
        assert known.check() == 1

    def test_check_finds_a_former_version_that_should_have_been_deleted(self, known: HashList) -> None:
        known.import_entries([entry("a", 1)], "S")
        known.import_entries([entry("a", 2)], "S")
        [(kept,)] = known._connection.execute("SELECT row FROM former").fetchall()
        known.retract("S", ["a"])
        assert known.check() == 0
        known._connection.execute("UPDATE former SET row = ? WHERE ended = 2", (kept,))
        with pytest.raises(ListDamagedError, match="is there although the entry has been retracted since"):
            known.check()
        known._connection.execute("UPDATE former SET ref = 'z' WHERE ended = 2")
        with pytest.raises(ListDamagedError, match="former version of entry 'z' of 'S': does not agree"):
            known.check()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("UPDATE block SET rows = substr(rows, 1, 60)", "does not agree with its digest"),
            ("UPDATE block SET rows = x'00', digest = sha256(x'00')", "do not have the stated layout"),
            ("DELETE FROM block", "not those of its snapshot"),
        ],
    )
    def test_compile_refuses(self, known: HashList, tmp_path: Path, change: str, message: str) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known._connection.create_function("sha256", 1, lambda value: hashlib.sha256(value).digest())
        known._connection.execute(change)
        with pytest.raises(ListDamagedError, match=message):
            known.compile(tmp_path / "a.hmx")
        assert not (tmp_path / "a.hmx").exists()

    def test_flipped_bytes_are_an_error_or_harmless(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([entry(f"e{i}", metadata={"n": i}) for i in range(1000)], "S")
            truth = [s.entry for s in known.entries()]
        data = path.read_bytes()
        found = 0
        for at in range(0, len(data), 997):
            damaged = bytearray(data)
            damaged[at] ^= 0x55
            path.write_bytes(damaged)
            try:
                with HashList.open(path) as known:
                    known.check()
                    assert [s.entry for s in known.entries()] == truth
            except ListError:
                found += 1
        assert found > 5

    def test_truncated_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([entry(f"e{i}") for i in range(500)], "S")
        data = path.read_bytes()
        for size in (0, 1, 15, 16, 50, 100, 16384, 30000, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:size])
            with pytest.raises(ListError), HashList.open(path) as known:
                known.check()


class TestStorage:
    def test_disk_full_during_import(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([entry("a")], "S")
            before = known.snapshot
            # SQLite's own cap on the number of pages fails in the same way, with SQLITE_FULL, as a full disk does.
            (pages,) = known._connection.execute("PRAGMA page_count").fetchone()
            known._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
            with pytest.raises(StorageError, match=r"full.*former state stands"):
                known.import_entries((entry(f"e{i}") for i in range(5000)), "S")
            assert known.snapshot == before
            known._connection.execute("PRAGMA max_page_count = 1073741823")
            assert known.check() == 1
            assert known.import_entries([entry("b")], "S").added == 1

    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs RLIMIT_FSIZE, which is POSIX's")
    def test_a_write_that_the_system_refuses(self, tmp_path: Path) -> None:
        """A limit on the file size makes the system itself refuse the write, below SQLite."""
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([entry("a")], "S")
            before = known.snapshot
        code = f"""
            import resource, signal, sys, hashlib
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            from hashmatch.errors import StorageError
            from hashmatch.lists.entry import Entry
            from hashmatch.lists.store import HashList
            with HashList.open({str(path)!r}) as known:
                known._connection.execute("PRAGMA cache_size = 10")
                try:
                    md5 = lambda i: hashlib.md5(b"%d" % i).digest()
                    known.import_entries((Entry.make(str(i), {{"md5": md5(i)}}) for i in range(50_000)), "S")
                except StorageError as error:
                    print(error)
                    sys.exit(3)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 3, done.stderr
        assert "nothing was changed" in done.stdout
        with HashList.open(path) as known:
            assert known.check() == 1
            assert known.snapshot == before

    def test_compile_onto_a_full_disk(self, known: HashList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        known.import_entries([entry("a")], "S")
        target = tmp_path / "out" / "a.hmx"
        target.parent.mkdir()
        known.compile(target)
        former = target.read_bytes()
        known.import_entries([entry("b")], "S")

        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            known.compile(target)
        assert target.read_bytes() == former
        assert list(target.parent.iterdir()) == [target]


class TestInputs:
    def test_input_errors_leave_the_list_alone(self, known: HashList, tmp_path: Path) -> None:
        known.import_entries([entry("a")], "S")
        before = known.path.read_bytes()
        empty = tmp_path / "empty.csv"
        empty.touch()
        for path in (tmp_path / "missing.csv", tmp_path, empty):
            with pytest.raises(InputError):
                known.import_file(path, "S")
        assert known.path.read_bytes() == before

    def test_the_readers_see_a_whole_transaction(self, known: HashList, tmp_path: Path) -> None:
        """Statistics, snapshot and entries of one moment agree in the compiled file."""
        known.import_entries([entry("a", category=("s", "c"), media_type="image", size=5), entry("b")], "S")
        known.compile(tmp_path / "a.hmx")
        with CompiledList.open(tmp_path / "a.hmx") as compiled:
            compiled.check()
            assert compiled.snapshot.hex() == known.snapshot
            assert compiled.refs([0, 1]) == ["a", "b"]
            assert compiled.meta["categories"] == [["s", "c"]]
            assert compiled.row_categories().tolist() == [1, 0]
            assert compiled.row_media().tolist() == [1, 0]
            assert compiled.row_sizes().tolist() == [5, -1]

"""Builds hashmatch._native: each instruction set with flags of its own, and never at the price of the installation.

``HASHMATCH_BUILD_NATIVE=1`` makes a failure fatal, ``0`` leaves the extension out; otherwise it is built where a
compiler is there. pyproject.toml names this class; setuptools calls it.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent

_FLAGS = tomllib.loads((HERE / "flags.toml").read_text(encoding="utf-8"))
_X86_64 = ("x86_64", "amd64")


class BuildNative(build_ext):
    """build_ext that compiles file by file and may leave the extension out."""

    def build_extension(self, ext: Extension) -> None:
        """Build ``ext``, or say in one line why it is left out."""
        wish = os.environ.get("HASHMATCH_BUILD_NATIVE", "")
        if wish not in ("", "0", "1"):
            raise SystemExit(f"HASHMATCH_BUILD_NATIVE is {wish!r}; expected 1 (required), 0 (left out) or nothing")
        if wish == "0":
            self._leave_out(ext, "left out, as HASHMATCH_BUILD_NATIVE=0 asks")
            return
        if reason := _unsupported():
            if wish == "1":
                raise SystemExit(f"hashmatch native kernels: {reason}, and HASHMATCH_BUILD_NATIVE=1 requires them")
            self._leave_out(ext, f"left out: {reason}")
            return
        try:
            self._compile(ext)
        except Exception as error:
            what = " ".join(str(error).split()) or type(error).__name__
            if wish == "1":
                # setuptools swallows a compiler's errors where an extension is optional.
                raise SystemExit(
                    f"hashmatch native kernels: {what}, and HASHMATCH_BUILD_NATIVE=1 requires them"
                ) from error
            said = f"left out, as they could not be compiled: {what}; HASHMATCH_BUILD_NATIVE=1 makes this an error"
            self._leave_out(ext, said)

    def _leave_out(self, ext: Extension, what: str) -> None:
        """Say so, remove what a former build left, and make the wheel one for every platform."""
        sys.stderr.write(f"hashmatch native kernels: {what}\n")
        Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
        self.distribution.ext_modules = [other for other in self.distribution.ext_modules or [] if other is not ext]
        if not self.distribution.ext_modules:
            wheel: Any = self.distribution.get_command_obj("bdist_wheel", create=False)
            if wheel is not None:
                wheel.root_is_pure = True

    def _compile(self, ext: Extension) -> None:
        compiler: Any = self.compiler
        family = "msvc" if compiler.compiler_type == "msvc" else "gnu"
        flags = _FLAGS[family]
        sets = flags["x86-64"] if platform.machine().lower() in _X86_64 else {}
        extra = os.environ.get("HASHMATCH_NATIVE_CFLAGS", "").split()
        objects = []
        for source in ext.sources:
            own = sets.get(Path(source).stem.rpartition("_")[2], [])
            objects += compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=[*ext.include_dirs, str(HERE)],
                debug=self.debug,
                extra_postargs=[*flags["common"], *own, *extra],
                depends=ext.depends,
            )
        compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            libraries=[] if family == "msvc" else ["m"],
            library_dirs=ext.library_dirs,
            export_symbols=self.get_export_symbols(ext),
            debug=self.debug,
            build_temp=self.build_temp,
            extra_postargs=os.environ.get("HASHMATCH_NATIVE_LDFLAGS", "").split(),
            target_lang="c",
        )

    def copy_extensions_to_source(self) -> None:
        """For an editable installation: an extension that was left out is not there to copy, and an old one must go."""
        for ext in self.extensions:
            if ext in (self.distribution.ext_modules or []):
                continue
            package, _, name = ext.name.rpartition(".")
            folder = Path(self.get_finalized_command("build_py").get_package_dir(package))
            for stale in folder.glob(f"{name}.*"):
                if stale.suffix in (".so", ".pyd"):
                    stale.unlink()
        super().copy_extensions_to_source()

    def get_outputs(self) -> list[str]:
        """Only what was built: an extension that was left out is in no list of installed files."""
        return [path for path in super().get_outputs() if Path(path).exists()]


def _unsupported() -> str:
    if sys.implementation.name != "cpython":
        return f"they are built for CPython and this is {sys.implementation.name}"
    if sys.byteorder != "little" or struct.calcsize("P") != 8:
        return "they need a 64-bit little-endian processor"
    return ""

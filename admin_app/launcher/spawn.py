"""Becomes another program: tied to its parent's life and, when told so, without being root.

Run as a script with the first argument a JSON object (see `Terms`), the rest the command. It is a program of
its own, rather than a `preexec_fn`, because code between fork and exec is unsafe in a process with threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from typing import TypedDict

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 8, 28, 38, 47
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class Terms(TypedDict):
    """How the command is to live: whose child it is, which signal ends it, and who it runs as."""

    parent: int
    death_signal: int
    uid: int | None
    gid: int | None
    keep_access: bool


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapSets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _libc_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _prctl(option: int, *values: int) -> None:
    _libc_call("prctl", option, *(ctypes.c_ulong(v) for v in (*values, 0, 0, 0, 0)[:4]))


def give_up_root(uid: int, gid: int, *, keep_access: bool) -> None:
    """Turn into `uid`; with `keep_access` only the right to pass closed folders is carried along."""
    if keep_access:
        _prctl(PR_SET_KEEPCAPS, 1)
        # access(), by which PostgreSQL looks for its own programs, ignores capabilities without this.
        with contextlib.suppress(PermissionError):
            _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep_access:
        bit = 1 << CAP_DAC_OVERRIDE
        sets = (_CapSets * 2)(_CapSets(bit, bit, bit), _CapSets(0, 0, 0))
        _libc_call("capset", ctypes.byref(_CapHeader(CAPABILITY_VERSION_3, 0)), sets)
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)
    if sys.platform == "linux":
        _prctl(PR_SET_NO_NEW_PRIVS, 1)


def end_with_parent(death_signal: int) -> None:
    """Have the kernel send us a signal when the parent dies; on other systems the guardian has to do."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, death_signal)


def main() -> None:
    """Become the command that follows the terms (JSON, first argument) on the command line: as their user, and ended by
    their signal when the parent dies.
    """
    terms: Terms = json.loads(sys.argv[1])
    command = sys.argv[2:]
    if terms["uid"] is not None and terms["gid"] is not None:
        give_up_root(terms["uid"], terms["gid"], keep_access=terms["keep_access"])
    # After the change of user, because the kernel forgets the signal on that change.
    end_with_parent(terms["death_signal"])
    if os.getppid() != terms["parent"]:
        sys.exit("the parent has gone")
    os.execv(command[0], command)  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    main()

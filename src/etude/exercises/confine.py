"""Confines this process, then runs a file in it: what the interpreter executes in a sandbox.

It is a single file of the standard library, run as ``python -I -S confine.py SETTINGS``, because
the sandbox has nothing else of Etude. In tier A bubblewrap has built the sandbox already, and what
is left are the limits and the user. In tier B this file does it all: new namespaces by ``unshare``,
and Landlock, which limits the files that may be opened (https://docs.kernel.org/userspace-api/
landlock.html). In tier C there are limits only.

In tiers B and C the first process stays as a guard and a child of it runs the file. The guard kills
the child and all that it started as soon as the other end of a pipe, the lifeline, is closed: by
the grader, or because the grader is no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

REFUSED = 97  # exit code: the sandbox could not be made

# -- limits and the user ---------------------------------------------------------------------------


def limit(limits: dict[str, int]) -> None:
    """Set limits that this process can't raise again."""
    both = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NPROC: limits["processes"],
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in both.items():
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"] + 1))


def become(uid: int, *, keep_reading: bool = False) -> None:
    """Become a user that has no rights, for good.

    Args:
        uid: of the user, and of the group.
        keep_reading: whether files of others may be read as before. A user namespace gives no right
            over files outside of it, and Landlock decides which are opened.
    """
    if keep_reading:
        _libc("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    with contextlib.suppress(PermissionError):  # a namespace of an ordinary user's has no groups
        os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _keep_only(CAP_DAC_READ_SEARCH if keep_reading else None)


# -- the kernel's calls ----------------------------------------------------------------------------

CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x04000000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
CAP_DAC_READ_SEARCH = 2
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 8, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
SYS_LANDLOCK = 444  # create_ruleset, add_rule and restrict_self, on all machines


def _libc(name: str, *args: Any) -> int:
    """Call a function of the C library.

    Raises:
        OSError: it fails; with its name.
    """
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, name)
    function.restype = ctypes.c_long
    plain = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in args]
    result: int = function(*plain)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _keep_only(capability: int | None) -> None:
    """Give up all capabilities but one."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    kept = 0 if capability is None else 1 << capability
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable
    _libc("syscall", SYS_CAPSET[os.uname().machine], header, data)


# -- Landlock --------------------------------------------------------------------------------------

READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILE_RIGHTS = (13, 14, 15, 15, 16, 16, 16)  # the number of rights over files, by version
CREATE_RULESET_VERSION, RULE_PATH_BENEATH = 1, 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    try:
        return _libc("syscall", SYS_LANDLOCK, None, 0, CREATE_RULESET_VERSION)
    except OSError:
        return 0


def landlock(read: list[str], listed: list[str]) -> None:
    """Let this process and its children open nothing but some files, and write none.

    From version 4 of Landlock it may use no TCP port, from version 6 send no signal outside.

    Args:
        read: files, and folders with all in them, that may be read.
        listed: folders of which the names may be read.
    """
    version = landlock_version()
    if not version:
        raise OSError("this kernel has no Landlock")
    rights = (1 << FILE_RIGHTS[min(version, len(FILE_RIGHTS)) - 1]) - 1
    rules = _Ruleset(rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _libc("syscall", SYS_LANDLOCK, ctypes.byref(rules), size, 0)
    allowances = [(path, READ_FILE | READ_DIR) for path in read]
    for path, allowed in allowances + [(path, READ_DIR) for path in listed]:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if not os.path.isdir(path):  # noqa: PTH112
            allowed &= READ_FILE
        rule = _PathBeneath(allowed, opened)
        _libc("syscall", SYS_LANDLOCK + 1, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(opened)
    _libc("syscall", SYS_LANDLOCK + 2, ruleset, 0)
    os.close(ruleset)


# -- refused calls ---------------------------------------------------------------------------------

# What no exercise needs, and what the kernel guards least: sockets, the memory of other processes,
# mounts, new namespaces, keys, programs in the kernel; and what Landlock leaves free, so that code
# could do it to any file of the grader's own: its permissions, owner, times and attributes, and its
# length before version 3. Numbers of x86_64 and of aarch64.
REFUSED_CALLS = {
    "x86_64": (
        *(41, 101, 155, 161, 165, 166, 169, 175, 246, 248, 249, 250, 272, 298, 304, 308, 310),
        *(311, 313, 320, 321, 323, 425, 428, 429, 430, 432, 442),
        *(76, 90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280),
        *(452, 463, 466, 469),
    ),
    "aarch64": (
        *(198, 117, 41, 51, 40, 39, 142, 105, 104, 217, 218, 219, 97, 241, 265, 268, 270, 271),
        *(273, 294, 280, 282, 425, 428, 429, 430, 432, 442),
        *(45, 5, 6, 7, 14, 15, 16, 52, 53, 54, 55, 88, 452, 463, 466, 469),
    ),
}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
ALL_NAMESPACES = 0x7E020000
EPERM, ENOSYS = 1, 38


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("first", ctypes.POINTER(_Instruction)))


def refuse_calls() -> None:
    """Have the kernel answer "not permitted" to calls that no exercise needs (seccomp).

    On machines whose numbers of calls are not known here nothing is refused: this is a second wall
    behind the namespaces and Landlock.
    """
    machine = os.uname().machine
    if machine not in REFUSED_CALLS:
        return
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | EPERM, 0x00050000 | ENOSYS
    numbers = REFUSED_CALLS[machine]
    rules = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, ARCHITECTURE[machine]),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the call's number
        (at_least, 0, 1, 0x40000000),  # x32, other numbers for the same calls
        (give, 0, 0, refuse),
        (equal, 0, 1, CLONE3),  # its flags can't be seen; the C library falls back to clone
        (give, 0, 0, unknown),
    ]
    for number in numbers:
        rules += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    rules += [
        (equal, 0, 3, CLONE[machine]),
        (load, 0, 0, 16),  # its flags
        (any_bit, 0, 1, ALL_NAMESPACES),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    array = (_Instruction * len(rules))(*(_Instruction(*rule) for rule in rules))
    program = _Program(len(rules), array)
    _libc("prctl", PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0)


# -- processes -------------------------------------------------------------------------------------


def new_namespaces(users: str, groups: str) -> None:
    """Leave the network, the processes and the users of the machine.

    Args:
        users: the map of users, ``INSIDE OUTSIDE COUNT``, a line each. It is written from outside,
            by a child of ours that stays there.
        groups: the map of groups.
    """
    ready, go = os.pipe()
    me = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.close(go)
        if os.read(ready, 1):
            if os.geteuid() != 0:
                _write(f"/proc/{me}/setgroups", "deny")
            _write(f"/proc/{me}/uid_map", users)
            _write(f"/proc/{me}/gid_map", groups)
        os._exit(0)
    os.close(ready)
    _libc("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
    os.write(go, b"!")
    os.close(go)
    if os.waitpid(helper, 0)[1]:
        raise OSError("the map of users was refused")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def guarded(lifeline: int) -> None:
    """Go on as a child; the process that was called becomes its guard, and never returns."""
    with contextlib.suppress(OSError, AttributeError):
        _libc("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.close(lifeline)
        return
    for pipe in (0, 1):
        os.close(pipe)
    ended = None
    try:
        watched = os.pidfd_open(child)
    except (OSError, AttributeError):  # an old kernel, or none of Linux
        while ended is None and not select.select([lifeline], [], [], 0.05)[0]:
            found, status = os.waitpid(child, os.WNOHANG)
            ended = status if found else None
    else:
        select.select([lifeline, watched], [], [])
        found, status = os.waitpid(child, os.WNOHANG)
        ended = status if found else None
    if ended is None:
        os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)[1]
    _end_orphans()
    code = os.waitstatus_to_exitcode(ended)
    os._exit(code if code >= 0 else 128 - code)


def _end_orphans() -> None:
    """Kill what the child left behind: all of it has become ours."""
    for _ in range(1_000):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
                children = [int(each) for each in file.read().split()]
        except OSError:
            return
        for each in children:
            os.kill(each, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not children:
            return
        time.sleep(0.001)


# -- the whole -------------------------------------------------------------------------------------


def confined(settings: dict[str, Any]) -> None:
    """Confine this process as far as the tier goes."""
    tier = settings["tier"]
    if tier == "B":
        new_namespaces(settings["users"], settings["groups"])
    if tier != "A":
        guarded(settings["lifeline"])
    limits = settings["limits"]
    if tier == "C":
        limits["processes"] += _tasks_of(os.getuid())
    limit(limits)
    if tier == "C":
        return
    _libc("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if tier == "B":
        landlock(settings["read"], settings["listed"])
    if settings["uid"] is not None:
        become(settings["uid"], keep_reading=tier == "B")
    else:
        _keep_only(None)
    if tier == "B":
        _libc("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    refuse_calls()


def _tasks_of(uid: int) -> int:
    """How many processes and threads a user has: the kernel's limit counts them all."""
    count = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:  # noqa: PTH112, PTH208
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:  # noqa: PTH116
                count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    return count


def main() -> None:
    """Run a file, confined; ``SETTINGS`` is a table in JSON."""
    settings = json.loads(sys.argv[1])
    with open(settings["program"], "rb") as file:  # noqa: PTH123
        program = compile(file.read(), settings["program"], "exec")
    try:
        confined(settings)
    except OSError as error:
        os.write(2, f"{error.strerror or error}\n".encode())
        os._exit(REFUSED)
    sys.path.append(settings["packages"])
    sys.argv = [settings["program"], *settings["arguments"]]
    exec(program, {"__name__": "__main__", "__file__": settings["program"]})


if __name__ == "__main__":
    main()

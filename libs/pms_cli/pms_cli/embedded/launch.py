"""Start a command so that it dies with its parent and, where asked, without root: `launch.py AS SIGNAL PARENT CMD …`.

AS is `self` (as we are), `userns` (root becomes uid 1000 in a user namespace of one entry: files stay root's) or
`nobody` (root becomes nobody, keeping the right to pass closed directories). SIGNAL is sent to CMD when PARENT ends.
Run as a script by `pms_cli.embedded.process`, with nothing imported but the standard library: it must start fast, and
a user namespace may only be entered by a process with one thread.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def enter_user_namespace(libc: ctypes.CDLL) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        Path("/proc/self", name).write_text(text, encoding="ascii")


def become_nobody(libc: ctypes.CDLL | None) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    if libc:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    if libc:
        # The program and the state may lie under a closed directory such as /root. Refused: then only open ones work.
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        bit = 1 << CAP_DAC_OVERRIDE
        libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main() -> None:
    who, number, parent, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if who == "userns" and libc:
        enter_user_namespace(libc)
    elif who == "nobody":
        become_nobody(libc)
    if libc:  # last: a change of credentials clears it
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)  # the parent died before the kernel was told
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()

"""The system calls that contained code may not make, as a classic BPF program.

Written out by hand: some hundred instructions need no library, and libseccomp is not on every host.
"""

from __future__ import annotations

import errno
import platform
import struct

from msgspec import Struct

__all__ = ["ARCHITECTURES", "deny_filter"]

LOAD_WORD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
X32_CALLS = 0x40000000
# Unix, IPv4, IPv6 and netlink (getaddrinfo asks it). Vsock reaches the hypervisor whatever the network namespace.
ADDRESS_FAMILIES = (1, 2, 10, 16)
# TIOCSTI types into a terminal, TIOCLINUX pastes into a console.
TERMINAL_INJECTION = (0x5412, 0x541C)


class Architecture(Struct, frozen=True, kw_only=True):
    """Numbers of one processor. ``clone3`` hides its flags behind a pointer, so it is answered "no such call"."""

    audit: int
    clone: int
    clone3: int
    socket: int
    ioctl: int
    refused: dict[str, int]


# What every architecture numbers alike since Linux 5.1.
NEW_CALLS = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
}

X86_64 = Architecture(
    audit=0xC000003E,
    clone=56,
    clone3=435,
    socket=41,
    ioctl=16,
    refused={
        **NEW_CALLS,
        "ptrace": 101,
        "syslog": 103,
        "uselib": 134,
        "personality": 135,
        "ustat": 136,
        "sysfs": 139,
        "vhangup": 153,
        "modify_ldt": 154,
        "pivot_root": 155,
        "_sysctl": 156,
        "adjtimex": 159,
        "chroot": 161,
        "acct": 163,
        "settimeofday": 164,
        "mount": 165,
        "umount2": 166,
        "swapon": 167,
        "swapoff": 168,
        "reboot": 169,
        "sethostname": 170,
        "setdomainname": 171,
        "iopl": 172,
        "ioperm": 173,
        "create_module": 174,
        "init_module": 175,
        "delete_module": 176,
        "quotactl": 179,
        "nfsservctl": 180,
        "lookup_dcookie": 212,
        "clock_settime": 227,
        "mbind": 237,
        "set_mempolicy": 238,
        "kexec_load": 246,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "migrate_pages": 256,
        "unshare": 272,
        "move_pages": 279,
        "perf_event_open": 298,
        "fanotify_init": 300,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "clock_adjtime": 305,
        "setns": 308,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "finit_module": 313,
        "kexec_file_load": 320,
        "bpf": 321,
        "userfaultfd": 323,
    },
)

AARCH64 = Architecture(
    audit=0xC00000B7,
    clone=220,
    clone3=435,
    socket=198,
    ioctl=29,
    refused={
        **NEW_CALLS,
        "lookup_dcookie": 18,
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "nfsservctl": 42,
        "chroot": 51,
        "vhangup": 58,
        "quotactl": 60,
        "acct": 89,
        "personality": 92,
        "unshare": 97,
        "kexec_load": 104,
        "init_module": 105,
        "delete_module": 106,
        "clock_settime": 112,
        "syslog": 116,
        "ptrace": 117,
        "reboot": 142,
        "sethostname": 161,
        "setdomainname": 162,
        "settimeofday": 170,
        "adjtimex": 171,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "swapon": 224,
        "swapoff": 225,
        "mbind": 235,
        "set_mempolicy": 237,
        "migrate_pages": 238,
        "move_pages": 239,
        "perf_event_open": 241,
        "fanotify_init": 262,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "clock_adjtime": 266,
        "setns": 268,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "finit_module": 273,
        "bpf": 280,
        "userfaultfd": 282,
        "kexec_file_load": 294,
    },
)

ARCHITECTURES = {"x86_64": X86_64, "aarch64": AARCH64}


def deny_filter(machine: str | None = None) -> bytes:
    """The program for this machine's processor. Raises KeyError for one it was not written for."""
    cpu = ARCHITECTURES[machine or platform.machine()]
    program = [
        _step(LOAD_WORD, ARCHITECTURE),
        _step(JUMP_EQUAL, cpu.audit, 1, 0),
        _step(RETURN, KILL_PROCESS),
        _step(LOAD_WORD, NUMBER),
    ]
    if cpu is X86_64:
        # The x32 twins of the calls below have other numbers: refuse them all.
        program += [_step(JUMP_AT_LEAST, X32_CALLS, 0, 1), _step(RETURN, REFUSE | errno.ENOSYS)]
    for number in sorted(cpu.refused.values()):
        program += [_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, REFUSE | errno.EPERM)]
    program += [_step(JUMP_EQUAL, cpu.clone3, 0, 1), _step(RETURN, REFUSE | errno.ENOSYS)]
    program += _refuse_bits(cpu.clone, NEW_NAMESPACES)
    program += _refuse_values(cpu.ioctl, SECOND_ARGUMENT, TERMINAL_INJECTION)
    program += _allow_values(cpu.socket, FIRST_ARGUMENT, ADDRESS_FAMILIES)
    program.append(_step(RETURN, ALLOW))
    return b"".join(program)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse_bits(call: int, bits: int) -> list[bytes]:
    return [
        _step(JUMP_EQUAL, call, 0, 4),
        _step(LOAD_WORD, FIRST_ARGUMENT),
        _step(JUMP_ANY_BIT, bits, 0, 1),
        _step(RETURN, REFUSE | errno.EPERM),
        _step(RETURN, ALLOW),
    ]


def _refuse_values(call: int, argument: int, values: tuple[int, ...]) -> list[bytes]:
    checks = [
        step
        for value in values
        for step in (_step(JUMP_EQUAL, value, 0, 1), _step(RETURN, REFUSE | errno.EPERM))
    ]
    return [
        _step(JUMP_EQUAL, call, 0, len(checks) + 2),
        _step(LOAD_WORD, argument),
        *checks,
        _step(RETURN, ALLOW),
    ]


def _allow_values(call: int, argument: int, values: tuple[int, ...]) -> list[bytes]:
    checks = [step for value in values for step in (_step(JUMP_EQUAL, value, 0, 1), _step(RETURN, ALLOW))]
    return [
        _step(JUMP_EQUAL, call, 0, len(checks) + 2),
        _step(LOAD_WORD, argument),
        *checks,
        _step(RETURN, REFUSE | errno.EAFNOSUPPORT),
    ]

#!/opt/drover/bin/python -IS
"""confine PROGRAM ARGUMENT...: runs a program, and all that it starts, without sockets to a path.

The daemon of a hand in a container reaches its workers by a socket, and has no other user to run
commands as: what it keeps to itself is the right to make such a socket. A filter of the kernel
(seccomp) cannot be taken off again. It also refuses what would get past it: io_uring, the other
numbers that calls have, and the rarer families. `confine --check` ends with 0 if it holds here.

Its interpreter can be run but not read: nobody gets at its memory before the filter is there.
"""
import ctypes
import os
import platform
import signal
import socket
import struct
import sys

# Architecture as the kernel names it, and the numbers of socket and io_uring_setup.
CALLS = {'x86_64': (0xC000003E, 41, 425), 'aarch64': (0xC00000B7, 198, 425)}
FAMILIES = [socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK]
LOAD, EQUAL, AT_LEAST, ANSWER = 0x20, 0x15, 0x35, 0x06
ALLOW, NO_FAMILY, NO_CALL = 0x7FFF0000, 0x00050000 + 97, 0x00050000 + 38
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


def program():
    audit, make_socket, make_ring = CALLS[platform.machine()]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, audit),
        (ANSWER, 0, 0, NO_CALL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, 0x40000000),
        (ANSWER, 0, 0, NO_CALL),
        (EQUAL, 0, 1, make_ring),
        (ANSWER, 0, 0, NO_CALL),
        (EQUAL, 1, 0, make_socket),
        (ANSWER, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST_ARGUMENT),
    ]
    for family in FAMILIES:
        steps += [(EQUAL, 0, 1, family), (ANSWER, 0, 0, ALLOW)]
    steps.append((ANSWER, 0, 0, NO_FAMILY))
    return steps


def confine():
    steps = program()
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))

    class Program(ctypes.Structure):
        _fields_ = [('length', ctypes.c_ushort), ('steps', ctypes.c_void_p)]

    words = Program(len(steps), ctypes.addressof(code))
    kernel = ctypes.CDLL(None, use_errno=True)
    word = ctypes.c_ulong
    if kernel.prctl(NO_NEW_PRIVILEGES, word(1), word(0), word(0), word(0)) != 0:
        sys.exit('confine: no_new_privs: ' + os.strerror(ctypes.get_errno()))
    if kernel.prctl(SECCOMP, word(FILTER), ctypes.byref(words), word(0), word(0)) != 0:
        sys.exit('confine: seccomp: ' + os.strerror(ctypes.get_errno()))


def check():
    try:
        socket.socket(socket.AF_UNIX)
        sys.exit('confine: sockets to a path are open')
    except OSError:
        socket.socket(socket.AF_INET).close()


confine()
if sys.argv[1:] == ['--check']:
    check()
else:
    # This interpreter ignores them, and what it runs would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        print(f'confine: {sys.argv[1]}: {error.strerror}', file=sys.stderr)
        sys.exit(127)

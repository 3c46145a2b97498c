#!/opt/drover/bin/python -IS
"""watch PROGRAM ARGUMENT...: the first process of a hand's container. It ends with the program, the
daemon, and everything else of the container with it.

Commands have the daemon's user: they can stop it (`kill -STOP`), and nobody would get the container
again. So the daemon says by a pipe that it lives, whose number is its last argument and which commands
cannot write to; it is killed when it has not for a while. Nothing in the container can stop or kill
the first process, and what it runs can be run but not read: nobody gets at its memory.
"""
import os
import select
import signal
import sys

LOOK_SECONDS = 5
# More than workers wait for a hand that is silent. Looks are counted, so that none counts which a
# container that was paused could not take.
SILENT_LOOKS = 8


def start(words):
    beats, beat = os.pipe()
    daemon = os.fork()
    if daemon != 0:
        os.close(beat)
        return daemon, beats
    os.set_inheritable(beat, True)
    # This interpreter ignores them, and what it runs would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(words[0], [*words, str(beat)])
    except OSError as error:
        print(f'watch: {words[0]}: {error.strerror}', file=sys.stderr)
        os._exit(127)


def reap(daemon):
    """Ends when the daemon has ended. Everything else that has is a child of the first process."""
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == daemon:
            sys.exit(os.waitstatus_to_exitcode(status) % 256)
        if ended == 0:
            return


def watch(daemon, beats):
    silent = 0
    while True:
        heard, _, _ = select.select([beats], [], [], LOOK_SECONDS)
        # It has ended, or is about to.
        if heard and os.read(beats, 4096) == b'':
            os.waitid(os.P_PID, daemon, os.WEXITED | os.WNOWAIT)
        silent = 0 if heard else silent + 1
        if silent == SILENT_LOOKS:
            print(f'watch: silent for {silent * LOOK_SECONDS} s, killed', file=sys.stderr)
            os.kill(daemon, signal.SIGKILL)
        reap(daemon)


signal.signal(signal.SIGINT, signal.SIG_DFL)
daemon, beats = start(sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(daemon, signal.SIGTERM))
watch(daemon, beats)

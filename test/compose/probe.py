"""What the commands of a hand in a container try to reach: prints one JSON object of what each came to."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

targets = json.loads(sys.argv[1])
found = {}


def attempt(name, work):
    try:
        found[name] = ['open', str(work())]
    except Exception as error:
        found[name] = ['refused', f'{type(error).__name__}: {error}']


def read(path):
    with open(path, 'rb') as file:
        return file.read(16)


def write(path):
    with open(path, 'w') as file:
        file.write('forged')


def dial(host, port):
    socket.create_connection((host, port), timeout=2).close()


def ring():
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.syscall(425, 4, ctypes.create_string_buffer(256)) < 0:
        raise OSError(ctypes.get_errno(), 'io_uring_setup')


def run(*words):
    ended = subprocess.run(words, capture_output=True, text=True, timeout=20)
    if ended.returncode != 0:
        raise OSError((ended.stderr or ended.stdout).strip()[-300:])
    return ended.stdout


def inspector():
    os.kill(daemon, signal.SIGUSR1)
    for _ in range(20):
        time.sleep(0.05)
        dial('127.0.0.1', 9229)


def command_line(pid):
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            return file.read()
    except OSError:
        return ''


def filters(pid):
    with open(f'/proc/{pid}/status') as file:
        return int(next(line for line in file if line.startswith('Seccomp_filters')).split()[1])


def unconfined():
    """Whatever runs here without our filter, health checks too: its memory could make a socket."""
    seen, held = set(), set()
    until = time.monotonic() + 12
    while time.monotonic() < until:
        for name in os.listdir('/proc'):
            try:
                if not name.isdigit() or filters(name) >= filters('self'):
                    continue
                seen.add(command_line(name))
                with open(f'/proc/{name}/mem', 'r+b'):
                    held.add(command_line(name))
            except (OSError, StopIteration):
                pass
    if len(seen) < 3:
        return f'seen too little: {seen}'
    if not held:
        raise PermissionError(f'{len(seen)} programs')
    return held


pids = [int(name) for name in os.listdir('/proc') if name.isdigit()]
daemon = next(pid for pid in pids if pid != 1 and 'container-daemon' in command_line(pid))
door = next(f'/run/drover-doors/{name}' for name in os.listdir('/run/drover-doors'))

attempt('a socket of our own', lambda: socket.socket(socket.AF_UNIX))
attempt('the socket, by the daemon\'s program', lambda: run(
    '/opt/drover/bin/node', '-e',
    f"require('net').connect('{door}').on('connect',()=>process.exit(0)).on('error',e=>{{throw e}})"))
attempt('io_uring', ring)
attempt('a socket in the folder', lambda: write('/run/drover-doors/forged.sock'))
attempt('the worker\'s socket, removed', lambda: os.unlink(door))
attempt('the gateway\'s folder', lambda: write('/run/drover-gateway/forged'))
for name in ['environ', 'mem', 'maps']:
    attempt(f'{name} of the daemon', lambda: read(f'/proc/{daemon}/{name}'))
attempt('files of the daemon', lambda: os.listdir(f'/proc/{daemon}/fd'))
attempt('the inspector of the daemon', inspector)
attempt('what runs unconfined', unconfined)
attempt('the program of the daemon', lambda: read('/opt/drover/bin/node'))
attempt('the root', lambda: write('/forged'))
attempt('a namespace', lambda: run('unshare', '--user', '--map-root-user', 'true'))
attempt('a mount', lambda: run('mount', '-t', 'tmpfs', 'none', '/mnt'))
attempt('root', lambda: run('su', '-c', 'true'))
for name, (host, port) in targets.items():
    attempt(name, lambda: dial(host, port))
attempt('a name outside', lambda: socket.getaddrinfo('example.com', 80))
os.kill(daemon, 0)
print(json.dumps(found))

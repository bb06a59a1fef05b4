"""Counting what a server costs: CPU seconds and memory of all its processes, those that ended included."""
import ctypes
import json
import math
import os
import random
import signal
import socket
import statistics
import subprocess
import threading
import time

PATIENCE = 120      # seconds anything may take before the bench gives up
TICK = os.sysconf('SC_CLK_TCK')
PR_SET_PDEATHSIG = 1
prctl = ctypes.CDLL(None).prctl


def cgroup_parent():
    """Where a control group that counts CPU time can be made: version 1 or 2, or nowhere."""
    for place in ('/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup'):
        if os.path.exists(f'{place}/cgroup.procs') and os.access(place, os.W_OK):
            return place
    return None


class Processes:
    """A process and all that come of it. Counted by a control group where one can be made, else by the tree in /proc,
    where a process that ended counts once its parent has waited for it."""

    made = 0

    def __init__(self, name):
        Processes.made += 1
        self.group = None
        parent = cgroup_parent()
        if parent:
            group = f'{parent}/pail-bench-{os.getpid()}-{Processes.made}-{name}'
            try:
                os.mkdir(group)
                self.group = group
            except OSError:
                pass
        self.popen = None

    def start(self, command, **how):
        def inside():
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if self.group:
                with open(f'{self.group}/cgroup.procs', 'w') as f:
                    f.write(str(os.getpid()))
        self.popen = subprocess.Popen(command, preexec_fn=inside, start_new_session=True, **how)
        return self.popen

    def pids(self):
        if self.group:
            with open(f'{self.group}/cgroup.procs') as f:
                return [int(line) for line in f]
        found, look = [], [self.popen.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            try:
                for task in os.listdir(f'/proc/{pid}/task'):
                    with open(f'/proc/{pid}/task/{task}/children') as f:
                        look += [int(word) for word in f.read().split()]
            except OSError:
                continue
        return found

    def cpu(self):
        """CPU seconds so far."""
        if self.group:
            try:
                with open(f'{self.group}/cpuacct.usage') as f:
                    return int(f.read()) / 1e9
            except FileNotFoundError:
                with open(f'{self.group}/cpu.stat') as f:
                    return int(dict(line.split() for line in f)['usage_usec']) / 1e6
        ticks = 0
        for pid in self.pids():
            try:
                with open(f'/proc/{pid}/stat') as f:
                    ticks += sum(int(word) for word in f.read().rpartition(')')[2].split()[11:15])
            except OSError:
                continue
        return ticks / TICK

    def pss(self):
        """KB of memory, what is shared divided among those who share it. Not a number where only root may know: a role
        lets nobody else look into it."""
        kb = 0
        for pid in self.pids():
            try:
                with open(f'/proc/{pid}/smaps_rollup') as f:
                    kb += next(int(line.split()[1]) for line in f if line.startswith('Pss:'))
            except PermissionError:
                return math.nan
            except (OSError, StopIteration):
                continue
        return kb

    def end(self, gently=None):
        """gently: a signal to try first."""
        if self.popen:
            if gently and self.popen.poll() is None:
                self.popen.send_signal(gently)
                try:
                    self.popen.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    pass
            if self.popen.poll() is None:
                self.popen.kill()
                self.popen.wait()
        if not self.group or not os.path.exists(self.group):     # ended before
            return
        for _ in range(100):
            for pid in self.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            try:
                os.rmdir(self.group)
                return
            except OSError:
                time.sleep(0.05)


class Load:
    """The clients: built once, their answer (`name=value ...`) as a dictionary."""

    def __init__(self, build, source):
        self.folder = os.path.join(build, 'bench')
        os.makedirs(self.folder, exist_ok=True)
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'gnutls'], check=True, capture_output=True,
                               text=True).stdout.split()
        for name, *more in (['smtp'], ['pop3'], ['signin'], ['imap', 'letters'], ['ftp'], ['sink']):
            subprocess.run(['gcc', '-std=gnu2x', '-O2', '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-D_GNU_SOURCE', '-o',
                            f'{self.folder}/load-{name}', f'{source}/{name}.c', f'{source}/wire.c',
                            *(f'{source}/{other}.c' for other in more), '-pthread', *flags], check=True)
        self.bare = f'{self.folder}/bare-ftp'
        subprocess.run(['gcc', '-std=gnu2x', '-O2', '-Wall', '-Wextra', '-D_GNU_SOURCE', '-o', self.bare,
                        f'{source}/../bare_ftp.c', '-pthread'], check=True)

    def command(self, name, **options):
        words = [f'{self.folder}/load-{name}']
        for key, value in options.items():
            words.append('--' + key.replace('_', '-'))
            if value is not True:
                words.append(str(value))
        return words

    def run(self, name, **options):
        done = subprocess.run(self.command(name, **options), capture_output=True, text=True, timeout=PATIENCE * 5)
        if done.returncode:
            raise RuntimeError(f'load-{name}: {done.stderr.strip()}')
        return {key: float(value) for key, value in (word.split('=') for word in done.stdout.split())}

    def steps(self, server, words, **options):
        """IMAP steps one after another: {name: (ms, ms of the server's CPU)}."""
        client = subprocess.Popen(self.command('imap', **options) + ['--', *words], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        found = {'login': (float(client.stdout.readline().split('=')[1]), 0.0)}
        for word in words:
            if word == 'fill':
                continue
            cpu = server.cpu()
            client.stdin.write('go\n')
            client.stdin.flush()
            if '=' not in (line := client.stdout.readline()):
                raise RuntimeError(f'load-imap: {word} at {server.title} failed')
            found[word] = float(line.split('=')[1]), (server.cpu() - cpu) * 1e3
        client.stdin.close()
        if client.wait():
            raise RuntimeError(f'load-imap at {server.title} failed')
        return found

    def transfers(self, server, **options):
        """load-ftp, the clock started when all are signed in: what it printed, and cpu= of the server meanwhile."""
        client = subprocess.Popen(self.command('ftp', **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        patience = threading.Timer(PATIENCE, client.kill)
        patience.start()
        try:
            ready = client.stdout.readline()
            cpu = server.cpu()
            if ready:
                client.stdin.write('go\n')
                client.stdin.flush()
            words = client.stdout.readline().split()
            time.sleep(0.1)     # what follows the last reply belongs to it
            cpu = server.cpu() - cpu
            _, why = client.communicate()
        finally:
            patience.cancel()
        if not words or client.returncode:
            raise RuntimeError(f'load-ftp at {server.title}: {why.strip() or "took too long"}')
        return {'cpu': cpu, **{key: float(value) for key, value in (word.split('=') for word in words)}}

    def hold(self, load='signin', **options):
        """Connections that stay open until .stdin is closed."""
        how = {'what': 'hold'} if load == 'ftp' else {'hold': True}
        client = subprocess.Popen(self.command(load, sessions=4, **how, **options), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        line = client.stdout.readline()
        if not line.startswith('held'):
            client.wait()
            raise RuntimeError(f'load-{load}: the connections did not stand')
        return client


def free_port(offsets=(0,), low=10000, high=30000):
    """A number whose ports, at these offsets, nobody uses; below those that the kernel gives to clients."""
    while True:
        base = random.randrange(low, high)
        try:
            for offset in offsets:
                with socket.socket() as s:
                    s.bind(('127.0.0.1', base + offset))
            return base
        except OSError:
            continue


ESTABLISHED, LISTENING = '01', '0A'


def sockets(port, state):
    """How many there are at a local port; asked of the kernel, so that no server is bothered."""
    with open('/proc/net/tcp') as f:
        lines = [line.split() for line in list(f)[1:]]
    return sum(1 for line in lines if line[1].endswith(f':{port:04X}') and line[3] == state)


def quiet(*servers):
    """Waits until none of them works any more (a second under 5 ms of CPU), so that one server's afterwork is not the
    next one's burden; at most 20 s."""
    for _ in range(20):
        before = [server.cpu() for server in servers]
        time.sleep(1)
        if all(server.cpu() - b < 0.005 for server, b in zip(servers, before)):
            return


def until(what, condition, pause=0.01):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f'never happened: {what}')
        time.sleep(pause)


class Table:
    """The rows of results.md. A row: what was measured, pail's rounds, the peer's rounds, what was promised."""

    def __init__(self, path):
        self.path = path
        self.rows, self.tables = {}, {}     # tables: those with columns of their own, {title: [head, [row]]}
        try:
            with open(path + '.json') as f:
                self.rows, self.tables = json.load(f)
        except (OSError, ValueError):
            pass

    def table(self, title, head, rows):
        self.tables[title] = head, rows
        print('\n'.join([title, *(' | '.join(row) for row in [head, *rows])]), flush=True)

    def row(self, what, unit, pail, peer=None, peer_name='', promise=None, less=False):
        """promise: the least ratio (the largest share with less=True), or ('most', N): pail's figure alone."""
        if math.isnan(pail[0]):
            print(f'  {what}, {unit}: only root can see it', flush=True)
            return
        ours = statistics.median(pail)
        theirs = statistics.median(peer) if peer else None
        ratio = ours / theirs if theirs else None
        wanted, met = '', ''
        if isinstance(promise, tuple):
            wanted, met = f'at most {number(promise[1])}', ours <= promise[1]
        elif promise:
            wanted = f'at most 1/{1 / promise:.0f}' if less else f'at least {promise:g} times'
            met = 'no peer' if ratio is None else ratio <= promise if less else ratio >= promise
        met = {True: 'yes', False: '**no**'}.get(met, met)
        shown = '' if ratio is None else f'1/{1 / ratio:.1f}' if 0 < ratio < 0.995 else f'{ratio:.2f}'
        line = [f'{what}, {unit}', number(ours), f'{number(theirs)} {peer_name}'.strip() if theirs is not None else '',
                shown, wanted, met]
        self.rows[what + unit] = line
        rounds = ' '.join(number(x) for x in pail)
        other = f'   {peer_name}: {" ".join(number(x) for x in peer)}' if peer else ''
        print(f'  {what}, {unit}: {line[1]}   rounds: {rounds}{other}   ratio {shown or "-"}   {wanted} {met}', flush=True)

    def write(self, head):
        with open(self.path + '.json', 'w') as f:
            json.dump([self.rows, self.tables], f)
        lines = [head, '', '| what | pail | peer | ratio | promised | met |', '|---|---:|---:|---:|---|---|']
        lines += ['| ' + ' | '.join(row) + ' |' for row in self.rows.values()]
        for title, (head, rows) in self.tables.items():
            lines += ['', title, '', *('| ' + ' | '.join(row) + ' |' for row in [head, ['---', *['---:'] * (len(head) - 2), '---'], *rows])]
        with open(self.path, 'w') as f:
            f.write('\n'.join(lines) + '\n')
        return '\n'.join(lines)


def drop_page_cache():
    try:
        with open('/proc/sys/vm/drop_caches', 'w') as f:
            os.sync()
            f.write('3')
    except OSError as why:
        raise RuntimeError(f'the page cache stays: {why}') from why


def number(x):
    if x is None:
        return ''
    if abs(x) >= 100:
        return f'{x:,.0f}'
    return f'{x:.3g}'

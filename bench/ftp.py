"""The FTP benches: pail, vsftpd, ProFTPD, Pure-FTPd and pyftpdlib in turn, the same files in all of them, beside bare programs that
move the same octets without FTP. No other server syncs an upload; so pail is measured as it is, and with its syncs off."""
import os
import random
import resource
import shutil
import statistics
import subprocess
import time
from contextlib import ExitStack, contextmanager

from ftp_peers import FTP_PEERS, Proftpd
from measure import ESTABLISHED, LISTENING, Processes, drop_page_cache, free_port, number, quiet, sockets, until
from under_test import Pail

ROUNDS = 3
GB, TEXT, SMALL = 10 ** 9, 10 ** 8, 1024
OFF = 'pail, syncs off'


class Bare:
    """A bare program that gives or takes octets at a port."""

    def __init__(self, load, title, *words):
        self.ftp, self.title = free_port(), title
        what, place, *more = words
        self.command = [load.bare, what, str(self.ftp), place, *more]
        self.processes = Processes('bare')

    def __enter__(self):
        self.processes.start(self.command)
        until(f'{self.title} listens', lambda: sockets(self.ftp, LISTENING))
        return self

    def __exit__(self, *_):
        self.processes.end()

    def cpu(self):
        return self.processes.cpu()


class Home:
    """An account's folder at a server, as the machine sees it."""

    def __init__(self, folder, like):
        self.folder, self.made = folder, 0
        self.owner = os.stat(like)

    def folder_for_uploads(self):
        self.made += 1
        path = f'{self.folder}/up{self.made}'
        os.mkdir(path)
        os.chown(path, self.owner.st_uid, self.owner.st_gid)
        return path

    def share(self, source):
        """The same octets for all servers: links."""
        if os.path.isdir(source):
            shutil.copytree(source, f'{self.folder}/{os.path.basename(source)}', copy_function=os.link)
        else:
            os.link(source, f'{self.folder}/{os.path.basename(source)}')


class Grid:
    """Rows of what was measured, columns of who; a figure, the CPU it took, and its memory if that has a unit. cpu_asked: not more than the
    fastest other server's."""

    def __init__(self, title, unit, cpu_unit, cpu_asked=False, memory=None):
        self.title, self.units, self.cpu_asked = title, [unit, cpu_unit, *([memory] if memory else [])], cpu_asked
        self.found, self.rows, self.columns = {}, {}, []

    def row(self, name, *asked):
        """asked: (whose figure, of what, at least how many times that). Of what: another column, or 'best of ROW', the fastest other
        server there."""
        self.rows[name] = asked

    def add(self, row, column, figure, cpu, *memory):
        if column not in self.columns:
            self.columns.append(column)
        self.found.setdefault((row, column), []).append((figure, cpu, *memory))

    def median(self, row, column, which=0):
        rounds = self.found.get((row, column))
        return statistics.median(r[which] for r in rounds) if rounds and rounds[0][which] is not None else None

    def best(self, row):
        """The fastest other server: (figure, its CPU, its name)."""
        known = [(self.median(row, c), self.median(row, c, 1), c) for c in self.columns
                 if not c.startswith(('pail', 'bare')) and (row, c) in self.found]
        return max(known, default=None)

    def judged(self, row, which):
        said = []
        for column, of, factor in self.rows[row]:
            ours = self.median(row, column, which)
            theirs, name = self.median(row, of, which), of
            if of.startswith('best of ') and (best := self.best(of.removeprefix('best of '))):
                theirs, name = best[which], best[2].split()[0] + ('' if of == f'best of {row}' else f', {of[8:]}')
            if not ours or not theirs or (which and not (self.cpu_asked and of == f'best of {row}')):
                continue
            met = ours <= theirs if which else ours >= theirs * factor
            said.append(f'{column}: {number(ours / theirs)} of {name}, {"at most 1" if which else f"asked {number(factor)}"}: '
                        f'{"yes" if met else "**no**"}')
        return '; '.join(said)

    def report(self, table):
        columns = sorted(self.columns, key=lambda c: (not c.startswith('pail'), c.startswith('bare')))
        for which, unit in enumerate(self.units):
            rows = [[name, *(number(self.median(name, c, which)) for c in columns), self.judged(name, which)]
                    for name in self.rows]
            table.table(f'{self.title}: {unit}', ['', *columns, 'asked, met'], rows)


class Ftp:
    def __init__(self, bench):
        self.bench, self.load, self.table = bench, bench.load, bench.table
        self.homes = {}

    # ---- servers on files in a folder

    @contextmanager
    def place(self, where):
        """A folder on tmpfs or disk, gone afterwards."""
        base = '/dev/shm' if where == 'tmpfs' else os.path.abspath(f'{self.bench.build}/bench/data')
        folder = f'{base}/pail-ftp.{os.getpid()}'
        os.makedirs(f'{folder}/shared')
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def pail(self, stack, place, title='pail', settings=()):
        pail = stack.enter_context(Pail(self.bench.build, 'ftp', 1, place=place, title=title,
                                        settings=(f'ftp-xferlog={place}/xferlog-{len(self.homes)}', *settings)))
        self.run(pail, 'put', path='first', size=10)    # its folder is made, its password known
        home = f'{pail.folder}/files/{pail.account % 0}'
        self.homes[pail] = Home(home, f'{home}/first')
        return pail

    def peer(self, stack, kind, place, tls=False):
        peer = stack.enter_context(kind(self.bench.build, f'{place}/{kind.__name__}', tls=tls))
        self.homes[peer] = Home(peer.files, peer.files)
        return peer

    def servers(self, stack, place, tls=False, unsynced=False, kinds=FTP_PEERS):
        servers = [self.pail(stack, place)]
        if unsynced:
            servers.append(self.pail(stack, place, OFF, ('files-durable=no',)))
        if self.bench.peers:
            servers += [self.peer(stack, kind, place, tls) for kind in kinds]
        return servers

    # ---- what is in the folders

    def large(self, place):
        path, size = f'{place}/shared/large', self.bench.count(GB)
        with open(path, 'wb') as f:
            block = random.Random(1).randbytes(1 << 20)
            while f.tell() < size:
                f.write(block[:size - f.tell()])
        return path, size

    def small(self, place):
        n, path = self.bench.count(10000), f'{place}/shared/small'
        os.mkdir(path)
        for i in range(n):
            with open(f'{path}/f{i}', 'wb') as f:
                f.write(b'small\n' * 170 + b'end\n')
        return path, n

    # ---- measuring

    def run(self, server, what, **options):
        if isinstance(server, Bare):
            return self.load.transfers(server, what=f'bare-{what}', port=server.ftp, **options)
        return self.load.transfers(server, what=what, port=server.ftp, user=account(server), password=server.password,
                                   **options)

    def octets(self, grid, row, server, what, octets, streams, column=None, **options):
        """Figure: MB/s; CPU: seconds a GB."""
        quiet(server)
        got = self.run(server, what, letters=streams, sessions=streams, **options)
        if got['octets'] != octets * streams:
            raise RuntimeError(f'{server.title}: {got["octets"]:.0f} octets instead of {octets * streams}')
        grid.add(row, column or server.title, got['octets'] / got['seconds'] / 1e6, got['cpu'] / got['octets'] * GB)

    def items(self, grid, row, server, what, n, octets=None, **options):
        """Figure: items a second; CPU: ms each."""
        quiet(server)
        got = self.run(server, what, letters=n, **options)
        if octets is not None and got['octets'] != octets:
            raise RuntimeError(f'{server.title}: {got["octets"]:.0f} octets instead of {octets}')
        grid.add(row, server.title, got['per_second'], got['cpu'] / n * 1e3)

    def upload(self, grid, row, server, size, streams, column=None, **options):
        home = self.homes[server]
        folder = home.folder_for_uploads()
        self.octets(grid, row, server, 'put', size, streams, column, size=size, path=f'{os.path.basename(folder)}/f%d',
                    **options)
        shutil.rmtree(folder)
        os.sync()

    def receive(self, grid, row, place, size, streams, synced=False):
        """By recv and write, and by splice: the faster counts."""
        fastest = None
        for words in ((), ('splice',)):
            folder = f'{place}/bare'
            os.mkdir(folder)
            once = Grid('', '', '')
            with Bare(self.load, 'bare', 'receive', folder, *words, *(('sync',) if synced else ())) as bare:
                self.octets(once, row, bare, 'put', size, streams, size=size)
            shutil.rmtree(folder)
            os.sync()
            fastest = max(fastest or (0, 0), *once.found[row, 'bare'])
        grid.add(row, 'bare, synced' if synced else 'bare', *fastest)

    # ---- the benches

    def run_large(self, tls=False):
        grid = Grid(f'FTP{"S" if tls else ""}, 1 GB', 'MB/s', 'CPU seconds a GB', cpu_asked=True)
        for where in ('tmpfs',) if tls else ('tmpfs', 'disk'):
            with self.place(where) as place, ExitStack() as stack:
                servers = self.servers(stack, place, tls, where == 'disk')
                path, size = self.large(place)
                for home in self.homes.values():
                    home.share(path)
                for streams in (1, 4):
                    self.large_rows(grid, where, place, servers, path, size, streams, {'tls': True} if tls else {})
            self.homes.clear()
        grid.report(self.table)

    def large_rows(self, grid, where, place, servers, path, size, streams, options):
        end = f'{where}, {streams} stream{"s" if streams > 1 else ""}'
        down, up, cold = f'RETR, {end}', f'STOR, {end}', f'RETR, {end}, cold'
        bare = [] if options else [('bare', 0.9)]
        grid.row(down, *(('pail', of, f) for of, f in [(f'best of {down}', 1), *bare]))
        if where == 'disk':
            grid.row(cold, ('pail', f'best of {cold}', 1))
            grid.row(up, (OFF, f'best of {up}', 1), (OFF, 'bare', 0.9), ('pail', 'bare, synced', 0.9))
        else:
            grid.row(up, *(('pail', of, f) for of, f in [(f'best of {up}', 1), *bare]))
        for _ in range(ROUNDS):
            for server in servers:
                if server.title != OFF:
                    self.octets(grid, down, server, 'get', size, streams, path='large', **options)
            if not options:
                with Bare(self.load, 'bare', 'send', path) as sender:
                    self.octets(grid, down, sender, 'get', size, streams)
            for server in servers:
                self.upload(grid, up, server, size, streams, **options)
            if not options:
                self.receive(grid, up, place, size, streams)
            if where == 'disk':
                self.receive(grid, up, place, size, streams, synced=True)
                for server in servers:
                    if server.title != OFF:
                        drop_page_cache()
                        self.octets(grid, cold, server, 'get', size, streams, path='large')

    def run_small(self):
        grid = Grid('FTP, 10,000 files of 1 KB, disk', 'files a second', 'ms of CPU a file')
        with self.place('disk') as place, ExitStack() as stack:
            servers = self.servers(stack, place, unsynced=True)
            path, n = self.small(place)
            for home in self.homes.values():
                home.share(path)
            self.small_down(grid, servers, n)
            for sessions in (1, 16):
                self.small_up(grid, place, servers, n, sessions)
        self.homes.clear()
        grid.report(self.table)

    def small_down(self, grid, servers, n):
        plain, ahead, block, both = ('RETR, one after another', 'RETR, 16 PASV and RETR ahead', 'RETR, MODE B, one after another',
                                     'RETR, MODE B, 16 ahead')
        octets = n * SMALL
        grid.row(plain, ('pail', f'best of {plain}', 1.5))
        for row in (ahead, block, both):
            grid.row(row, ('pail', f'best of {plain}', 5))
        for _ in range(ROUNDS):
            for server in servers:
                if server.title == OFF:
                    continue
                self.items(grid, plain, server, 'get', n, octets, path='small/f%d')
                if server.ahead:
                    self.items(grid, ahead, server, 'get', n, octets, path='small/f%d', in_flight=16)
                if isinstance(server, Pail):
                    self.items(grid, block, server, 'get', n, octets, path='small/f%d', mode='B')
                    self.items(grid, both, server, 'get', n, octets, path='small/f%d', mode='B', in_flight=16)

    def small_up(self, grid, place, servers, n, sessions):
        """Folders are not cleared before the end: ext4 is slow for minutes at creating after many files were deleted."""
        row = f'STOR, {sessions} session{"s" if sessions > 1 else ""}'
        if sessions == 1:
            grid.row(row, (OFF, f'best of {row}', 3), ('pail', 'bare, synced', 0.9))
        else:
            grid.row(row, ('pail', f'best of {row}', 1))
        for turn in range(ROUNDS):
            for server in servers:
                folder = os.path.basename(self.homes[server].folder_for_uploads())
                self.items(grid, row, server, 'put', n, n * SMALL, path=f'{folder}/f%d', size=SMALL, sessions=sessions)
            for title, *words in (['bare'], ['bare, synced', 'sync']):
                folder = f'{place}/{title.replace(", ", "-")}-{sessions}-{turn}'
                os.mkdir(folder)
                grid.add(row, title, *self.alone('files', folder, n, sessions, SMALL, *words))

    def alone(self, what, *words):
        """A bare program without a network: a second, ms of CPU each."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        got = subprocess.run([self.load.bare, what, *map(str, words)], check=True, capture_output=True, text=True).stdout.split()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return float(got[0].split('=')[1]), spent / words[1] * 1e3

    def run_lists(self):
        grid, times = Grid('FTP, listings of 10,000 entries', 'a second', 'ms of CPU each'), 20
        with self.place('disk') as place, ExitStack() as stack:
            servers = self.servers(stack, place)
            path, _ = self.small(place)
            for home in self.homes.values():
                home.share(path)
            for what in ('list', 'mlsd'):
                row = what.upper()
                grid.row(row, ('pail', f'best of {row}', 1), ('pail', 'bare', 1 / 1.5))
                for _ in range(ROUNDS):
                    for server in servers:
                        if what == 'list' or server.machine_lists:
                            self.items(grid, row, server, what, times, path='small')
                    grid.add(row, 'bare', *self.alone('list', path, times))
        self.homes.clear()
        grid.report(self.table)

    def run_sessions(self):
        grid = Grid('FTP, whole sessions: connect, sign in, PASV, RETR of 1 KB, QUIT', 'a second', 'ms of CPU each')
        with self.place('tmpfs') as place, ExitStack() as stack:
            servers = self.servers(stack, place)
            path = f'{place}/shared/one'
            with open(path, 'wb') as f:
                f.write(b'x' * SMALL)
            for home in self.homes.values():
                home.share(path)
            for sessions in (1, 8):
                row = f'{sessions} at once'
                grid.row(row, ('pail', f'best of {row}', 3))
                for _ in range(ROUNDS):
                    for server in servers:
                        n = self.bench.count(5000 if server.many else 200)
                        self.items(grid, row, server, 'session', n, n * SMALL, path='one', sessions=sessions)
        self.homes.clear()
        grid.report(self.table)

    def run_deflate(self):
        """Per core second, so CPU time is the figure; how small it becomes is the other side of it."""
        grid = Grid('FTP, MODE Z, 100 MB of text', 'MB of text a core second', 'CPU seconds a GB of text')
        row, left = 'RETR', 'what is left, of 1'
        grid.row(row, ('pail', f'best of {row}', 1))
        grid.row(left)
        with self.place('tmpfs') as place, ExitStack() as stack:
            servers = self.servers(stack, place, kinds=[Proftpd])
            path, size = f'{place}/shared/text', self.bench.count(TEXT)
            with open(path, 'w') as f:
                f.write(text(size))
            for home in self.homes.values():
                home.share(path)
            for _ in range(ROUNDS):
                for server in servers:
                    quiet(server)
                    got = self.run(server, 'get', path='text', mode='Z')
                    if not size / 20 < got['octets'] < size:
                        raise RuntimeError(f'{server.title}: {got["octets"]:.0f} octets of {size} deflated')
                    grid.add(left, server.title, got['octets'] / size, None)
                    grid.add(row, server.title, size / got['cpu'] / 1e6, got['cpu'] / size * GB)
        self.homes.clear()
        grid.report(self.table)

    def run_idle(self):
        rows, connections = [], {}
        for tls in (False, True):
            with self.place('tmpfs') as place, ExitStack() as stack:
                servers = self.servers(stack, place, tls)
                connections = {s: self.bench.count(5000 if s.many else 500) for s in servers}
                per, cpu = self.idle_minute(connections, tls)
                for s in servers:
                    asked = [('at most 28' if tls else 'at most 4', per[s] <= (28 if tls else 4))] if isinstance(s, Pail) else []
                    rows.append([f'{s.title}{", TLS" if tls else ""}', str(connections[s]), number(per[s]), number(cpu[s]),
                                 ''.join(f'{what}: {"yes" if met else "**no**"}' for what, met in asked)])
            self.homes.clear()
        self.table.table('FTP, idle sessions that are signed in', ['server', 'sessions', 'KB PSS each', '% of a core, all',
                                                                   'asked, met'], rows)

    def idle_minute(self, connections, tls):
        """They have yet to park, and what signing in needed is given back; then a minute is looked at."""
        quiet(*connections)
        empty = {server: server.pss() for server in connections}
        held = [self.load.hold('ftp', port=s.ftp, user=account(s), password=s.password, letters=n,
                               **({'tls': True} if tls else {})) for s, n in connections.items()]
        time.sleep(15)
        quiet(*connections)
        cpu, began = {server: server.cpu() for server in connections}, time.monotonic()
        time.sleep(60)
        cpu = {server: (server.cpu() - cpu[server]) / (time.monotonic() - began) * 100 for server in connections}
        for server, n in connections.items():
            if (stand := sockets(server.ftp, ESTABLISHED)) != n:
                raise RuntimeError(f'{server.title}: of {n} connections {stand} stand')
        per = {server: (server.pss() - empty[server]) / n for server, n in connections.items()}
        for client in held:
            client.stdin.close()
            client.wait()
        return per, cpu


def account(server):
    return server.account % 0 if isinstance(server, Pail) else server.account


def text(size):
    """Words as frequent as in a language, the same in every run."""
    rng = random.Random(7)
    words = [''.join(rng.choices('etaoinshrdlucmfw', k=rng.randint(2, 9))) for _ in range(3000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    part = ''
    while len(part) < min(size, 4 << 20):
        part += ' '.join(rng.choices(words, weights, k=12)) + '\n'
    return (part * (size // len(part) + 1))[:size]

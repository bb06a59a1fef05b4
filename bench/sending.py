"""Sending: letters relayed through, beside Postfix; and a queue of a million letters for a host that is dead."""
import subprocess
import threading
import time
from contextlib import ExitStack

from measure import PATIENCE, free_port, quiet
from peers import PostfixRelay
from under_test import Pail

ROUNDS = 3
RELAYED, DEAD, OTHER, HELD = 'away.test', 'dead.test', 'other.test', 'held.test'    # the domains letters go to
LOW_PORT, HIGH_PORT = 6000, 6900


class Sink:
    """with Sink(load) as sink: takes letters and counts them (load/sink.c)."""

    def __init__(self, load, chunking=True):
        self.port = free_port(low=LOW_PORT, high=HIGH_PORT)
        self.command = load.command('sink', port=self.port, **({'mode': 'chunking'} if chunking else {}))

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'listening\n':
            raise RuntimeError('load-sink did not start')
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def wait(self, letters):
        """Until so many more came: when the last did, connections=, most= at once."""
        patience = threading.Timer(PATIENCE * 5, self.process.kill)
        patience.start()
        try:
            self.process.stdin.write(f'{letters}\n')
            self.process.stdin.flush()
            words = self.process.stdout.readline().split()
        finally:
            patience.cancel()
        if not words:
            raise RuntimeError(f'the sink never had {letters} letters')
        got = {key: float(value) for key, value in (word.split('=') for word in words)}
        if got['letters'] != letters:
            raise RuntimeError(f'the sink had {got["letters"]:.0f} letters, not {letters}')
        return got


class Sending:
    def __init__(self, bench):
        self.bench, self.build, self.load, self.table = bench, bench.build, bench.load, bench.table

    # ---- relayed: in by SMTP, out by SMTP

    def relay(self, letters, peer_letters, size, sessions):
        bench = self.bench
        letters, peer_letters = bench.count(letters), bench.count(peer_letters)
        with ExitStack() as stack:
            sink = stack.enter_context(Sink(self.load))
            servers = {stack.enter_context(self.pail('relay', f'*=127.0.0.1:{sink.port}')): letters}
            if bench.peers:
                servers[stack.enter_context(PostfixRelay(self.build, sink.port))] = peer_letters
            found = {server: [] for server in servers}
            for rounds in range(ROUNDS + 1):    # the first only warms up, with few
                for server, n in servers.items():
                    n = n if rounds else n // 10
                    quiet(server)
                    got = self.relayed(server, sink, n, size, sessions)
                    if rounds:
                        found[server].append(got)
        self.told(f'Relayed, {size // 1024} KB, {sessions} sessions in', found)

    def told(self, title, found):
        pail, *peer = found
        name = peer[0].title if peer else ''

        def row(unit, key, promise, less=False):
            self.table.row(title, unit, [got[key] for got in found[pail]], [got[key] for got in found[peer[0]]] if peer else None,
                           name, promise, less=less)

        row('letters a second, from the first in to the last out', 'rate', 8)
        row('ms of CPU a letter', 'cpu', 1 / 8, True)
        row('letters a second in', 'rate_in', None)

    def relayed(self, server, sink, letters, size, sessions):
        cpu, began = server.cpu(), time.monotonic()
        got = self.load.run('smtp', port=server.smtp, account=f'u%d@{RELAYED}', letters=letters, size=size, sessions=sessions,
                            accounts=100)
        out = sink.wait(letters)
        quiet(server)   # what comes afterwards belongs to it: the last results are written down
        sink.wait(0)    # and no letter came twice
        return {'rate': letters / (out['last'] - began), 'cpu': (server.cpu() - cpu) * 1e3 / letters,
                'rate_in': got['per_second']}

    def pail(self, name, *routes, **options):
        """In the demo's set-up, with routes; what comes for these domains is taken as a backup MX takes it."""
        return Pail(self.build, name, 1, settings=(
            'routes=' + ' '.join(routes), 'hold-unrouted=no', f'relay-for={RELAYED} {OTHER} {HELD}'), **options)

    # ---- a million letters for one dead domain, and one for another

    def queue(self, letters, size):
        letters = self.bench.count(letters)
        nobody = free_port(low=LOW_PORT, high=HIGH_PORT)
        found = {}
        with ExitStack() as stack:
            sink = stack.enter_context(Sink(self.load))
            pail = stack.enter_context(self.pail(f'queue{letters}', f'{HELD}=hold', f'{DEAD}=127.0.0.1:{nobody}',
                                                 f'*=127.0.0.1:{sink.port}', keep=True))
            pail.stop()
            if pail.fresh:
                self.fill(pail, letters, size)
            for rounds in range(ROUNDS + 1):    # the first tries that host, the others know that it rests
                if rounds:
                    pail.stop()
                for key, value in self.awake(pail, sink).items():
                    found.setdefault(key, []).append(value)
        for (unit, most), values in found.items():
            self.table.row(f'{letters:,} letters of {size} octets for a dead host', unit, values, promise=most and ('most', most))

    def fill(self, pail, letters, size):
        """Straight into the outbox: how fast they come in is not asked."""
        print(f'filling an outbox with {letters} letters (kept for the next time)', flush=True)
        subprocess.run(['ninja', '-C', self.build, 'bench/bench_outbox'], check=True, capture_output=True)
        subprocess.run([f'{self.build}/bench/bench_outbox', f'{pail.folder}/outbox', str(letters), str(size), DEAD], check=True)
        pail.filled()

    def awake(self, pail, sink):
        """{(unit, what is asked): figure} of one start."""
        found, began = {}, time.monotonic()
        found['s to start', 2] = pail.start()
        self.one(pail, sink)
        found['s from the start until a letter to another domain has left', None] = time.monotonic() - began
        found['s until the next has left, the longest of five', 1] = max(self.one(pail, sink) for _ in range(5))
        quiet(pail)
        found['s until one has left, when all is quiet', 1] = self.one(pail, sink)
        found['MB PSS of the sender', 100] = pss_of(pail, 'sender') / 1e3
        self.load.run('smtp', port=pail.smtp, account=f'u%d@{HELD}', letters=1)
        time.sleep(1)
        found['s to the first line of `pail queue list`', 1], _ = self.listed(pail)
        found['s to the first line of `pail queue list --domain`, that one', 1], _ = self.listed(pail, '--domain', DEAD)
        found['s of all of `pail queue list --domain`, another one', 1] = self.listed(pail, '--domain', HELD, whole=True)[1]
        return found

    def one(self, pail, sink):
        """A letter to another domain: seconds until the sink has it."""
        began = time.monotonic()
        self.load.run('smtp', port=pail.smtp, account=f'u%d@{OTHER}', letters=1)
        return sink.wait(1)['last'] - began

    def listed(self, pail, *words, whole=False):
        """Seconds to the first line, and to the end if that is asked for."""
        began = time.monotonic()
        lister = subprocess.Popen([pail.binary, 'queue', 'list', *words, '--dir', pail.folder], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        line, first = lister.stdout.readline(), time.monotonic() - began
        if not line:
            raise RuntimeError(f'pail queue list {" ".join(words)}: nothing; {lister.stderr.read()}')
        if not whole:
            lister.kill()
        lister.communicate()
        return first, time.monotonic() - began


def pss_of(server, role):
    """KB of one role's process."""
    for pid in server.processes.pids():
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            words = f.read().split(b'\0')
        if role.encode() in words[2:3]:
            with open(f'/proc/{pid}/smaps_rollup') as f:
                return next(int(line.split()[1]) for line in f if line.startswith('Pss:'))
    raise RuntimeError(f'no {role}')

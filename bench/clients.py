"""The clients' benches: `pail ftp` beside lftp, curl and tnftp; `pail mail` beside mbsync and mutt. The same files and letters, each client
with a home of its own that is empty, one after another against the same server. What is asked of a client is asked where it runs: wall time
from its start to its end, its CPU, and the most memory it had."""
import fcntl
import itertools
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import threading
import time
from contextlib import ExitStack
from urllib.parse import quote

from ftp import GB, ROUNDS, SMALL, Ftp, Grid, account
from ftp_peers import Vsftpd
from measure import PATIENCE, drop_page_cache, quiet
from peers import Dovecot
from under_test import Pail

FOLDERS = 100
LETTER = 4096
# A subject of bench/load/letters.c: three words of its language in a row. A sender has only one.
SUBJECT = re.compile(rb'(?:(?:ba|ke|lin|mor|sa|tu|ver|wi|xo|zen|pra|dul|fi|gor|ha|jes){2,4} ){3}')
ESCAPE = re.compile(rb'\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78M])')


made = itertools.count()


def home_in(place):
    """An empty one."""
    home = f'{place}/home{next(made)}'
    os.makedirs(home)
    return home


def environment(home):
    return {'PATH': os.environ['PATH'], 'HOME': home, 'LANG': 'C.UTF-8', 'TERM': 'xterm'}


class Memory(threading.Thread):
    """The most memory a process had, KB, looked at again and again: what wait4 tells counts the runner's too."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            self.look()

    def look(self):
        try:
            with open(f'/proc/{self.pid}/status') as f:
                self.most = next((int(line.split()[1]) for line in f if line.startswith('VmHWM:')), self.most)
        except OSError:
            pass

    def end(self):
        self.over.set()
        self.join()
        return self.most


def run(title, command, home):
    """Seconds, CPU seconds, MB."""
    with open(f'{home}/said', 'w+') as said:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=home, env=environment(home), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                   start_new_session=True)
        memory = Memory(process.pid)
        patience = threading.Timer(PATIENCE * 5, process.kill)
        patience.start()
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        patience.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        most = memory.end()
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f'{title}: exit code {process.returncode}: {said.read()[-2000:]}')
    return took, used.ru_utime + used.ru_stime, most / 1e3


def installed(commands):
    """Of {title: command}, those whose program is here: tools/setup check installs all."""
    return {title: command for title, command in commands.items() if shutil.which(command[0])}


def url(server, path):
    return f'ftp://{quote(account(server), safe="")}:{server.password}@127.0.0.1:{server.ftp}/{path}'


def lftp(server, orders, settings=''):
    """In clear and not deflated, as the others: by itself it takes TLS and MODE Z where they are offered."""
    return ['lftp', '--norc', '-c', f'set ftp:ssl-allow no; set ftp:use-mode-z no; {settings}'
            f'open -u {account(server)},{server.password} -p {server.ftp} 127.0.0.1; {orders}']


class FtpClients(Ftp):
    """Servers and files as the FTP benches have them."""

    def both(self, stack, place):
        return self.servers(stack, place, kinds=[Vsftpd])

    # ---- a tree of small files

    def tree(self, place):
        n, path = self.bench.count(10000), f'{place}/shared/tree'
        for i in range(n):
            folder = f'{path}/folder {i % FOLDERS}'
            if i < FOLDERS:
                os.makedirs(folder)
            with open(f'{folder}/file {i}', 'wb') as f:
                f.write(b'small\n' * 170 + b'end\n')
        return path, n

    def mirrors(self, server, there, here, up=False):
        """{title: command}"""
        found = {}
        for parallel in (None, 16):
            words = ['--parallel', str(parallel)] if parallel else []
            places = [url(server, there), here]
            found[f'pail{f", --parallel {parallel}" if parallel else ""}'] = [
                f'{self.bench.build}/pail', 'ftp', 'mirror', *words, *(reversed(places) if up else places)]
        for parallel in (1, 4, 16):
            for ahead in (False, True):
                places = f'-R {here} {there}' if up else f'{there} {here}'
                found[f'lftp {parallel}{", ahead" if ahead else ""}'] = lftp(
                    server, f'mirror --parallel={parallel} {places}', f'set ftp:sync-mode {"off" if ahead else "on"}; ')
        return found

    def mirror(self):
        grid = Grid('FTP clients, mirror of 10,000 files of 1 KB in 100 folders', 'files a second', 'ms of CPU a file', memory='MB at most')
        for where in ('tmpfs', 'disk'):
            with self.place(where) as place, ExitStack() as stack:
                servers = self.both(stack, place)
                path, n = self.tree(place)
                for home in self.homes.values():
                    home.share(path)
                for _ in range(ROUNDS):
                    for server in servers:
                        row = f'from {server.title}, {where}'
                        grid.row(row, ('pail', f'best of {row}', 2))
                        for title, command in installed(self.mirrors(server, 'tree', 'here')).items():
                            home = home_in(place)
                            self.mirrored(grid, row, title, command, server, home, f'{home}/here', n)
                        row = f'to {server.title}, {where}'
                        grid.row(row, ('pail', f'best of {row}', 2))
                        for title in installed(self.mirrors(server, '', '')):
                            there = self.homes[server].folder_for_uploads()
                            command = self.mirrors(server, os.path.basename(there), path, up=True)[title]
                            self.mirrored(grid, row, title, command, server, home_in(place), there, n)
            self.homes.clear()
        grid.report(self.table)

    def mirrored(self, grid, row, title, command, server, home, made, n):
        quiet(server)
        took, cpu, memory = run(title, command, home)
        sizes = [os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(made) for name in names]
        if sizes != [SMALL] * n:
            raise RuntimeError(f'{title} {row}: {len(sizes)} files of {sum(sizes)} octets instead of {n} of {SMALL}')
        grid.add(row, title, n / took, cpu / n * 1e3, memory)

    # ---- one large file

    def gets(self, server):
        """{title: command}: the file is `large` afterwards."""
        return {
            'pail': [f'{self.bench.build}/pail', 'ftp', 'get', url(server, 'large')],
            'curl': ['curl', '-sS', '-o', 'large', url(server, 'large')],
            'lftp': lftp(server, 'get large'),
            'tnftp': ['tnftp', '-V', '-o', 'large', url(server, 'large')],
        }

    def get(self):
        grid = Grid('FTP clients, get of 1 GB', 'MB/s', 'CPU seconds a GB', memory='MB at most')
        for where in ('tmpfs', 'disk'):
            with self.place(where) as place, ExitStack() as stack:
                servers = self.both(stack, place)
                path, size = self.large(place)
                for home in self.homes.values():
                    home.share(path)
                for _ in range(ROUNDS):
                    for server in servers:
                        row = f'from {server.title}, {where}'
                        grid.row(row, ('pail', 'curl', 1))
                        for title, command in installed(self.gets(server)).items():
                            self.got(grid, row, title, command, server, place, size)
            self.homes.clear()
        grid.report(self.table)

    def got(self, grid, row, title, command, server, place, size):
        home = home_in(place)
        os.sync()   # what the one before left to the disk is not this one's burden
        quiet(server)
        took, cpu, memory = run(title, command, home)
        if os.path.getsize(f'{home}/large') != size:
            raise RuntimeError(f'{title} {row}: {os.path.getsize(f"{home}/large")} octets instead of {size}')
        shutil.rmtree(home)
        grid.add(row, title, size / took / 1e6, cpu / size * GB, memory)


class MailClients:
    def __init__(self, bench):
        self.bench, self.build, self.load, self.table = bench, bench.build, bench.load, bench.table

    def fill(self, server, letters):
        print(f'filling {server.title} with {letters} letters', flush=True)
        if isinstance(server, Dovecot):
            server.synced(False)
        self.load.steps(server, ['fill'], port=server.imap, user=server.account % 0, password=server.password, letters=letters, size=LETTER)
        if isinstance(server, Dovecot):
            server.synced(True)

    # ---- first sync

    def pail(self, server, home):
        os.makedirs(f'{home}/.config/pail')
        with open(os.open(f'{home}/.config/pail/mail', os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            user = server.account % 0
            f.write(f'[{user}]\nincoming = imap://{user}@127.0.0.1:{server.imap}\npassword = {server.password}\n')
        return [f'{self.build}/pail', 'mail', 'sync']

    def mbsync(self, server, home, synced=True):
        """All mailboxes into a Maildir; synced: as it does by default."""
        os.makedirs(f'{home}/Mail')
        with open(f'{home}/mbsyncrc', 'w') as f:
            f.write(f'''{"" if synced else "FSync no"}
IMAPAccount bench
Host 127.0.0.1
Port {server.imap}
User {server.account % 0}
Pass {server.password}
SSLType None
AuthMechs LOGIN

IMAPStore there
Account bench

MaildirStore here
Path {home}/Mail/
Inbox {home}/Mail/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns *
Create Near
SyncState *
''')
        return ['mbsync', '-c', f'{home}/mbsyncrc', '-q', 'all']

    def sync(self):
        letters = self.bench.count(10000)
        grid = Grid('Mail clients, first sync of 10,000 letters of 4 KB by IMAP, disk', 'letters a second', 'ms of CPU a letter',
                    memory='MB at most')
        with Ftp(self.bench).place('disk') as place, ExitStack() as stack:
            servers = [stack.enter_context(Pail(self.build, 'sync', 1))]
            if self.bench.peers:
                servers.append(stack.enter_context(Dovecot(self.build, 1)))
            for server in servers:
                self.fill(server, letters)
            for _ in range(ROUNDS):
                for server in servers:
                    row = f'from {server.title}'
                    grid.row(row, ('pail', 'mbsync', 1))
                    for title, prepare in (('pail', self.pail), ('mbsync', self.mbsync)):
                        home = home_in(place)
                        command = prepare(server, home)
                        os.sync()
                        quiet(server)
                        took, cpu, memory = run(title, command, home)
                        self.check(title, row, home, letters)
                        grid.add(row, title, letters / took, cpu / letters * 1e3, memory)
        grid.report(self.table)

    def check(self, title, row, home, letters):
        if title == 'mbsync':
            has = sum(len(os.listdir(f'{home}/Mail/INBOX/{inner}')) for inner in ('cur', 'new'))
        else:
            with open(f'{home}/said') as f:
                said = f.read()
            has = int((re.search(r'(\d+) fetched', said) or [0, 0])[1])
        if has != letters:
            raise RuntimeError(f'{title} {row}: {has} letters instead of {letters}')

    # ---- opening a folder

    def open(self):
        """The copy is made once and kept for the next time; nobody answers at the server's port while folders are opened."""
        letters, data = self.bench.count(100000), os.path.abspath(f'{self.build}/bench/data')
        homes = {title: f'{data}/{title}{letters}' for title in ('reader', 'mutt')}
        if not all(os.path.exists(f'{home}.filled') for home in homes.values()):
            self.copies(homes, letters)
        screens = {'pail': ([f'{self.build}/pail', 'mail'], homes['reader']),
                   'mutt, header cache': (['mutt', '-n', '-F', f'{homes["mutt"]}/muttrc', '-f', f'{homes["mutt"]}/Mail/INBOX'], homes['mutt'])}
        found = {}
        for title, (command, home) in screens.items():  # caches and indexes are made
            self.screen(title, command, home, settle=True)
        for turn in range(2 * ROUNDS):
            state = 'warm' if turn < ROUNDS else 'after a restart of the machine'
            for title, (command, home) in screens.items():
                if turn >= ROUNDS:
                    drop_page_cache()
                found.setdefault((state, title), []).append(self.screen(title, command, home))
        for state in ('warm', 'after a restart of the machine'):
            ours, theirs = (found[state, title] for title in screens)
            for i, unit in enumerate(('ms until the first row', 'ms of CPU', 'MB')):
                self.table.row(f'Opening a folder of {letters:,} letters, {state}', unit, [x[i] for x in ours], [x[i] for x in theirs],
                               list(screens)[1], ('most', 200) if i == 0 and state == 'warm' else None)

    def copies(self, homes, letters):
        print(f'making copies of {letters} letters (kept for the next time)', flush=True)
        for home in homes.values():
            shutil.rmtree(home, ignore_errors=True)
            os.makedirs(home)
        with Pail(self.build, 'open', 1) as server:
            self.fill(server, letters)
            for title, prepare in (('reader', self.pail), ('mutt', lambda server, home: self.mbsync(server, home, synced=False))):
                home = homes[title]
                run(title, prepare(server, home), home)
                self.check('mbsync' if title == 'mutt' else title, 'opening', home, letters)
        with open(f'{homes["mutt"]}/muttrc', 'w') as f:
            f.write(f'set header_cache={homes["mutt"]}/cache\nset quit=yes\nset mark_old=no\nset folder={homes["mutt"]}/Mail\n')
        for home in homes.values():
            open(f'{home}.filled', 'w').close()

    def screen(self, title, command, home, settle=False):
        """ms from its start until a subject is on the screen, ms of CPU and MB until then. settle: it is left alone until it rests."""
        began = time.monotonic()
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.execvpe(command[0], command, environment(home))
        try:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
            seen = b''
            while not SUBJECT.search(ESCAPE.sub(b'', seen)):
                if not select.select([terminal], [], [], PATIENCE)[0]:
                    raise RuntimeError(f'{title}: no row: {seen[-2000:]}')
                try:
                    seen += os.read(terminal, 65536)
                except OSError as why:      # it ended
                    raise RuntimeError(f'{title}: no row: {seen[-2000:]}') from why
            took = time.monotonic() - began
            cpu, memory = cpu_of(pid), Memory(pid)
            memory.look()
            most, now = memory.end(), cpu
            while settle:
                drain(terminal, 2)
                before, now = now, cpu_of(pid)
                settle = now - before > 5
        finally:
            end(pid, terminal)
        return took * 1e3, cpu, most / 1e3


def cpu_of(pid):
    """ms of CPU of all its threads."""
    ns = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/schedstat') as f:
            ns += int(f.read().split()[0])
    return ns / 1e6


def drain(terminal, seconds):
    """What it writes is read, so that it is not kept waiting."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0] and not os.read(terminal, 65536):
            return


def end(pid, terminal):
    """As a person ends it: q, and yes to what it may ask; else by a signal."""
    for key in (b'q', b'y'):
        try:
            os.write(terminal, key)
            drain(terminal, 0.5)
        except OSError:
            break
    for signal in (15, 9):
        for _ in range(50):
            if os.waitpid(pid, os.WNOHANG)[0]:
                os.close(terminal)
                return
            time.sleep(0.02)
        os.kill(pid, signal)
    os.waitpid(pid, 0)
    os.close(terminal)

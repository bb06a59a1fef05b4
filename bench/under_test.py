"""pail itself: `pail demo` on a folder and ports of its own, with domains of our own: each has an account."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from measure import PATIENCE, Processes, free_port, until

PASSIVE = 400   # ports for FTP's data connections


class Pail:
    """with Pail(build, port, name, accounts) as pail: ...  keep: the folder is there again in the next run. Folders go
    when all is over (clear): who deletes many files makes ext4 slow at creating some for minutes."""

    account, password = 'inbox@u%d.b.test', 'pail'      # what --domains makes
    machine_lists = ahead = many = True                 # as in ftp_peers.py

    made = 0

    def __init__(self, build, name, accounts, keep=False, settings=(), place=None, title='pail'):
        """place: a folder to have its folder in; whoever gives it clears it."""
        self.title = title
        if not keep:
            Pail.made += 1
            name = f'{name}.{os.getpid()}.{Pail.made}'
        self.binary = os.path.abspath(f'{build}/pail')
        self.folder = os.path.abspath(f'{place or f"{build}/bench/data"}/{name}')
        self.base = free_port((20, 21, 25, 110, 143, 465, 587, 989, 990, 993, 995), high=19000)
        self.smtp, self.pop3, self.pop3s = self.base + 25, self.base + 110, self.base + 995
        self.imap, self.imaps = self.base + 143, self.base + 993
        self.ftp = self.base + 21
        passive = free_port(range(PASSIVE), low=20000, high=32700 - PASSIVE)
        settings = (f'ftp-passive-low={passive}', f'ftp-passive-high={passive + PASSIVE - 1}', *settings)
        self.settings = [word for pair in settings for word in ('--set', pair)]
        self.log = None
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        self.accounts = accounts
        self.fresh = not os.path.exists(f'{self.folder}.filled')
        if self.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            names = ','.join(f'u{i}.b.test' for i in range(self.accounts))
            self.seconds_to_ready = self.start('--domains', names)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, *more):
        self.log = open(f'{self.folder}.log', 'w+')
        self.processes = Processes('pail')
        began = time.monotonic()
        popen = self.processes.start([self.binary, 'demo', '--dir', self.folder, '--base-port', str(self.base),
                                      *self.settings, *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=self.log, text=True)
        for line in popen.stdout:
            if line.startswith('pail: ready'):
                return time.monotonic() - began
        with open(f'{self.folder}.log') as f:
            raise RuntimeError('pail did not start:\n' + ''.join(f.readlines()[-5:]))

    def verb(self, *words, text=''):
        done = subprocess.run([self.binary, *words, '--dir', self.folder], input=text, text=True, capture_output=True,
                              timeout=PATIENCE * 10)
        if done.returncode:
            raise RuntimeError(f'pail {" ".join(words)}: {done.stderr.strip()}')
        return done.stdout

    def filled(self):
        """The folder is what a later run can begin with."""
        open(f'{self.folder}.filled', 'w').close()

    def count(self, account):
        """Letters of an account, as a reader sees them."""
        with socket.create_connection(('127.0.0.1', self.pop3), timeout=PATIENCE) as s:
            s.sendall(f'USER {self.account % account}\r\nPASS {self.password}\r\nSTAT\r\nQUIT\r\n'.encode())
            answer = b''
            while chunk := s.recv(4096):
                answer += chunk
        if found := re.search(rb'^\+OK (\d+) \d+\r$', answer, re.M):
            return int(found[1])
        raise RuntimeError(f'account {account}: {answer.decode(errors="replace")}')

    def wait_filed(self, wanted):
        """wanted: {account: letters}."""
        for account, n in wanted.items():
            until(f'pail filed {n} for u{account}', lambda: self.count(account) >= n)

    def stop(self):
        self.processes.end(signal.SIGTERM)
        self.log.close()

    def __exit__(self, *_):
        self.stop()

    def cpu(self):
        return self.processes.cpu()

    def pss(self):
        return self.processes.pss()


def clear(build):
    for entry in os.scandir(f'{build}/bench/data'):
        if entry.name.count('.') >= 2:
            shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

"""pail itself: `pail demo` on a folder and ports of its own, with accounts added by its own verbs."""
import os
import shutil
import signal
import socket
import subprocess
import time

from measure import PATIENCE, Processes, until
from peers import DOMAIN, PASSWORD


class Pail:
    """with Pail(build, port, folder, accounts) as pail: ...  The folder stays when keep is set."""

    def __init__(self, build, base, name, accounts, keep=False, settings=()):
        self.title = 'pail'
        self.binary = os.path.abspath(f'{build}/pail')
        self.folder = os.path.abspath(f'{build}/bench/data/{name}')
        self.base = base
        self.smtp, self.pop3, self.pop3s = base + 25, base + 110, base + 995
        self.keep = keep
        self.settings = [word for pair in settings for word in ('--set', pair)]
        self.log = None
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        self.accounts = accounts
        self.fresh = not os.path.exists(f'{self.folder}.filled')
        if self.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
            if self.fresh and self.accounts:
                self.add_accounts(self.accounts)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        self.log = open(f'{self.folder}.log', 'w+')
        self.processes = Processes('pail')
        began = time.monotonic()
        popen = self.processes.start([self.binary, 'demo', '--dir', self.folder, '--base-port', str(self.base),
                                      *self.settings], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=self.log, text=True)
        for line in popen.stdout:
            if line.startswith('pail: ready'):
                return time.monotonic() - began
        self.log.seek(0)
        raise RuntimeError('pail did not start: ' + self.log.read())

    def verb(self, *words, text=''):
        done = subprocess.run([self.binary, *words, '--dir', self.folder], input=text, text=True, capture_output=True,
                              timeout=PATIENCE * 10)
        if done.returncode:
            raise RuntimeError(f'pail {" ".join(words)}: {done.stderr.strip()}')
        return done.stdout

    def add_accounts(self, n):
        self.verb('account', 'add', '-', text=''.join(f'u{i}@{DOMAIN} {PASSWORD}\n' for i in range(n)))

    def filled(self):
        """The folder is what a later run can begin with."""
        open(f'{self.folder}.filled', 'w').close()

    def count(self, account):
        """Letters of an account, as a reader sees them."""
        with socket.create_connection(('127.0.0.1', self.pop3), timeout=PATIENCE) as s:
            s.sendall(f'USER u{account}@{DOMAIN}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n'.encode())
            answer = b''
            while chunk := s.recv(4096):
                answer += chunk
        for line in answer.split(b'\r\n'):
            words = line.split()
            if len(words) == 3 and words[0] == b'+OK' and words[1].isdigit() and words[2].isdigit():
                return int(words[1])
        raise RuntimeError(f'u{account}: {answer.decode(errors="replace")}')

    def wait_filed(self, wanted):
        """wanted: {account: letters}."""
        for account, n in wanted.items():
            until(f'pail filed {n} for u{account}', lambda: self.count(account) >= n)

    def stop(self):
        self.processes.end(signal.SIGTERM)
        self.log.close()

    def __exit__(self, *_):
        self.stop()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        return self.processes.cpu()

    def pss(self):
        return self.processes.pss()

"""`pail mail` as a program uses it, with a home of its own; and the servers it reads from: pail's demo, Dovecot."""
import email
import imaplib
import json
import os
import re
import signal
import subprocess
import sys

from pail import PAIL, PATIENCE, PEOPLE

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../bench'))

BUILD = os.path.dirname(os.path.abspath(PAIL))


class Server:
    """An account at a server: where, who; imap() is another client of it."""

    def __init__(self, imap, user, password, pop3=None, submission=None):
        self.port, self.user, self.password, self.pop3_port, self.submission = imap, user, password, pop3, submission

    def imap(self):
        connection = imaplib.IMAP4('127.0.0.1', self.port, timeout=PATIENCE)
        connection.login(self.user, self.password)
        return connection

    def fill(self, letters, folder='INBOX', flags=None):
        i = self.imap()
        for text in letters:
            assert i.append(folder, flags, None, text)[0] == 'OK'
        i.logout()

    def state(self, folder='INBOX'):
        """[(Message-ID, flags)] of all letters there, without \\Recent, sorted."""
        i = self.imap()
        try:
            answer, told = i.select(f'"{folder}"', readonly=True)
            assert answer == 'OK', told
            if told == [b'0']:
                return []
            found = []
            for part in i.uid('fetch', '1:*', '(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])')[1]:
                if isinstance(part, tuple):
                    flags = re.search(rb'FLAGS \(([^)]*)\)', part[0])
                    found.append([part[1].decode().split(':', 1)[1].strip(), flags.group(1).decode() if flags else None])
                elif found and found[-1][1] is None:
                    found[-1][1] = re.search(rb'FLAGS \(([^)]*)\)', part).group(1).decode()
            return sorted((name, tuple(sorted(f for f in flags.split() if f != r'\Recent'))) for name, flags in found)
        finally:
            i.logout()


def of_demo(pail, who):
    return Server(pail.port(143), who, PEOPLE[who], pail.port(110), pail.port(587))


class Reader:
    """A person's own machine: settings and copies in a folder of its own."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith('XDG_')}, 'HOME': self.folder,
                            'XDG_CONFIG_HOME': f'{self.folder}/config', 'XDG_DATA_HOME': f'{self.folder}/data', 'TZ': 'UTC'}

    def account(self, address, server, how='imap', more=''):
        """As `add` would write it, without asking the server."""
        os.makedirs(f'{self.folder}/config/pail', mode=0o700, exist_ok=True)
        port = server.pop3_port if how == 'pop3' else server.port
        outgoing = f'outgoing = submission://{server.user}@127.0.0.1:{server.submission}\n' if server.submission else ''
        path = f'{self.folder}/config/pail/mail'
        with open(path, 'a') as f:
            f.write(f'[{address}]\nincoming = {how}://{server.user}@127.0.0.1:{port}\n{outgoing}password = {server.password}\n{more}\n')
        os.chmod(path, 0o600)

    def start(self, *words, **how):
        """Without a terminal, also where the tests have one."""
        return subprocess.Popen([PAIL, 'mail', *map(str, words)], env=self.environment, cwd=self.folder, text=True, start_new_session=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)

    def run(self, *words, input='', code=0):
        process = self.start(*words)
        out, err = process.communicate(input, timeout=PATIENCE)
        assert process.returncode == code, f'{words}: {process.returncode}\n{out}{err}'
        return out if code == 0 else out + err

    def json(self, *words, **how):
        return json.loads(self.run(*words, '--json', **how))

    def list(self, folder='INBOX', *words):
        return self.json('list', folder, *words)['letters']

    def raw(self, folder, uid):
        return email.message_from_string(self.run('read', folder, uid, '--raw', '--peek'))

    def state(self, folder='INBOX'):
        """As Server.state, of the copy: what letter() has made."""
        return sorted((f'<{row["subject"].removeprefix("water ")}@town.com>', tuple(sorted(row['flags']))) for row in self.list(folder))

    def killed_sync(self, after):
        """kill -9 so many seconds in; did it still run?"""
        process = self.start('sync')
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL


def letter(number, text='Will you please fetch me a pail of water?', subject=None):
    return (f'From: Jack <jack@town.com>\r\nTo: jill@hill.com\r\nSubject: {subject or f"water {number}"}\r\nMessage-ID: <{number}@town.com>\r\n'
            f'Date: Fri, 20 Nov 2026 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0000\r\n\r\n{text} {number}\r\n').encode()

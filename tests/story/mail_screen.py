"""The screen of `pail mail` in a terminal of tmux's, and the home of whoever sits before it."""
import itertools
import os
import re
import shutil
import subprocess
import tempfile

from pail import PAIL, PATIENCE, until


class Home:
    """A person's home with these accounts, straight from the store of a pail."""

    def __init__(self, pail, *addresses):
        self.path = tempfile.mkdtemp(prefix='pail-home-')
        os.chmod(self.path, 0o755)
        os.makedirs(f'{self.path}/config/pail', mode=0o755)
        os.makedirs(f'{self.path}/files')
        os.chmod(f'{self.path}/files', 0o777)
        with open(f'{self.path}/config/pail/mail', 'w') as f:
            os.fchmod(f.fileno(), 0o600)
            for address in addresses:
                f.write(f'[{address}]\nname = {address.split("@")[0].title()} Hill\nincoming = {os.path.abspath(pail.folder)}\noutgoing = send\n\n')
        self.script('editor', 'echo "Written in the editor." >> "$1"')

    def accounts(self, *sections):
        """In place of those: (address, lines)."""
        with open(f'{self.path}/config/pail/mail', 'w') as f:
            for address, lines in sections:
                f.write(f'[{address}]\n{lines}\n\n')

    def run(self, *words, input=''):
        """A single command, without a terminal: (exit code, what it says)."""
        done = subprocess.run([PAIL, 'mail', *words], env=self.environment(), input=input, capture_output=True, text=True, timeout=PATIENCE,
                              start_new_session=True)
        return done.returncode, done.stdout + done.stderr

    def script(self, name, line):
        with open(f'{self.path}/{name}', 'w') as f:
            f.write(f'#!/bin/sh\n{line}\n')
            os.fchmod(f.fileno(), 0o755)
        return f'{self.path}/{name}'

    def environment(self, **more):
        return {'HOME': self.path, 'XDG_CONFIG_HOME': f'{self.path}/config', 'XDG_DATA_HOME': f'{self.path}/data', 'LANG': 'C.UTF-8',
                'PATH': os.environ['PATH'], 'TERM': 'screen-256color', 'EDITOR': f'{self.path}/editor', 'VISUAL': '', 'NO_COLOR': '', **more}

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


screens = itertools.count()


class Screen:
    def __init__(self, home, columns=100, rows=30, command='mail', shows='by received', **environment):
        self.socket = f'pail-{os.getpid()}-{os.path.basename(home.path)}-{next(screens)}'
        words = ' '.join(f"{name}='{value}'" for name, value in home.environment(**environment).items())
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns), '-y', str(rows), 'sh')
        self.tmux('set-option', '-g', 'remain-on-exit', 'on')
        self.environment, self.home = f'env -i {words} {os.path.abspath(PAIL)}', home
        self.line = f'{self.environment} {command}; echo "left with $?"'
        with open(f'{home.path}/begin', 'w') as f:
            f.write(self.line + '\n')
        self.begin(shows)

    def begin(self, shows='by received'):
        self.type(f'cd {self.home.path}/files; clear; . ../begin\n')
        self.shows(shows)

    def tmux(self, *words):
        done = subprocess.run(['tmux', '-L', self.socket, *words], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.text())
        self.tmux('kill-server')

    def text(self):
        return self.tmux('capture-pane', '-p')

    def rows(self):
        return self.text().split('\n')

    def keys(self, *names):
        self.tmux('send-keys', *names)

    def type(self, text):
        for piece in re.findall(r'[^\n\t]+|\n|\t', text):
            if piece in '\n\t':
                self.keys('Enter' if piece == '\n' else 'Tab')
            else:
                self.tmux('send-keys', '-l', '--', piece)

    def paste(self, text):
        """As a terminal's own paste: with marks around it, where it was told to."""
        with open(f'{self.home.path}/pasted', 'w') as f:
            f.write(text)
        self.tmux('load-buffer', f'{self.home.path}/pasted')
        self.tmux('paste-buffer', '-p', '-r')

    def shows(self, what, row=None):
        """Waits until it is seen, as a text or a pattern."""
        def look():
            text = self.text() if row is None else self.rows()[row]
            return what.search(text) if isinstance(what, re.Pattern) else what in text
        try:
            return until(f'{what} on the screen', look)
        except AssertionError:
            print(self.text())
            raise

    def shows_not(self, what):
        until(f'no {what} on the screen', lambda: what not in self.text())

    def is_usual(self):
        """The terminal as a shell wants it: no other screen, a cursor, lines that are edited, an echo."""
        state = self.tmux('list-panes', '-F', '#{alternate_on} #{cursor_flag} #{keypad_flag} #{pane_tty}').split()
        settings = subprocess.run(['stty', '-a', '-F', state[3]], capture_output=True, text=True).stdout.split()
        return state[:3] == ['0', '1', '0'] and {'icanon', 'echo', 'isig'} <= set(settings)

    def pid(self):
        """Of pail, below the shell."""
        shell = self.tmux('list-panes', '-F', '#{pane_pid}').strip()
        with open(f'/proc/{shell}/task/{shell}/children') as f:
            return int(f.read().split()[0])

"""A little FTP server that says and does what a test tells it to, for what no honest server would.

    with Liar({'a': b'...'}, listing=b'...') as liar: ...  liar.port
    cut: after so many bytes of the n-th transfer both connections are gone; greeting, replies: other words.
    room: so many sessions at once; others are told `crowded`, at the door (421) or at PASS (530).
"""
import socket
import struct
import threading


class Liar:
    def __init__(self, files=(), listing=b'', mlsd=None, cut=(), replies=None, greeting=b'220 ready\r\n', pasv=None, room=None,
                 crowded=b'421 too many\r\n'):
        self.files, self.listing, self.mlsd = dict(files), listing, mlsd
        self.cut, self.replies, self.greeting, self.pasv = list(cut), replies or {}, greeting, pasv
        self.room, self.crowded, self.there, self.refused = room, crowded, 0, 0
        self.commands, self.sessions, self.stored = [], 0, {}
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def url(self, path=''):
        return f'ftp://127.0.0.1:{self.port}/{path}'

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            self.there += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        self_state = {'rest': 0, 'data': None, 'extra': self.room is not None and self.there > self.room}
        try:
            if self_state['extra'] and self.crowded.startswith(b'421'):
                self.refused += 1
                conn.sendall(self.crowded)
                return
            conn.sendall(self.greeting)
            for line in conn.makefile('rb'):
                verb, _, word = line.rstrip(b'\r\n').partition(b' ')
                verb = verb.upper().decode()
                self.commands.append((verb, word.decode('utf-8', 'surrogateescape')))
                if isinstance(self.replies.get(verb), list):    # one a time, then as usual
                    told = self.replies[verb].pop(0)
                    if not self.replies[verb]:
                        del self.replies[verb]
                    conn.sendall(told)
                elif verb in self.replies:
                    conn.sendall(self.replies[verb])
                elif not self._answer(conn, self_state, verb, word.decode('utf-8', 'surrogateescape')):
                    return
        except OSError:
            pass
        finally:
            self.there -= 1
            conn.close()

    def _answer(self, conn, state, verb, word):
        def say(text):
            conn.sendall(text.encode('utf-8', 'surrogateescape') + b'\r\n')

        name = word.rsplit('/', 1)[-1]
        if verb == 'USER':
            say('331 who?')
        elif verb == 'PASS' and state['extra']:
            self.refused += 1
            conn.sendall(self.crowded)
        elif verb == 'PASS':
            say('230 in')
        elif verb == 'SYST':
            say('215 UNIX Type: L8')
        elif verb == 'FEAT':
            say('211-Features\r\n REST STREAM\r\n SIZE' + ('\r\n MLST type*;size*;' if self.mlsd is not None else '') + '\r\n211 End')
        elif verb == 'PWD':
            say('257 "/"')
        elif verb in ('TYPE', 'CWD', 'STRU', 'MODE', 'NOOP'):
            say('200 fine')
        elif verb == 'REST':
            state['rest'] = int(word)
            say('350 from there')
        elif verb == 'SIZE':
            body = self.stored.get(name, self.files.get(name))
            say('550 none' if body is None else f'213 {len(body)}')
        elif verb == 'PASV':
            state['data'] = socket.create_server(('127.0.0.1', 0))
            port = state['data'].getsockname()[1]
            say(self.pasv(port) if self.pasv else f'227 at (127,0,0,1,{port >> 8},{port & 255})')
        elif verb in ('LIST', 'MLSD', 'NLST'):
            if verb == 'MLSD' and self.mlsd is None:
                say('500 no')
            else:
                self._send(conn, state, self.mlsd if verb == 'MLSD' else self.listing, say)
        elif verb == 'RETR':
            if name not in self.files:
                say('550 none')
            else:
                return self._send(conn, state, self.files[name][state['rest']:], say, self.cut.pop(0) if self.cut else None)
        elif verb == 'STOR':
            say('150 come')
            data, _ = state['data'].accept()
            cut = self.cut.pop(0) if self.cut else None
            with data, data.makefile('rb') as f:
                self.stored[name] = self.stored.get(name, b'')[:state['rest']] + f.read(-1 if cut is None else cut)
            state['rest'] = 0
            if cut is not None:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                return False
            say('226 kept')
        elif verb == 'QUIT':
            say('221 bye')
            return False
        else:
            say('502 no')
        return True

    def _send(self, conn, state, body, say, cut=None):
        say('150 here')
        data, _ = state['data'].accept()
        state['rest'] = 0
        if cut is not None:
            data.sendall(body[:cut])
            data.shutdown(socket.SHUT_WR)       # what was sent arrives, and no 226 follows
            data.close()
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return False
        with data:
            data.sendall(body)
        say('226 done')
        return True

"""An IMAP server that says what a test wants it to say: as far as `pail mail sync` asks, and no further."""
import re
import socket
import socketserver
import threading


class Liar:
    """folders: name -> {uid: bytes}. What a test lays over it: `validity` and `capability`, `instead(verb, line)` gives the untagged lines of a
    command in place of the true ones (None: the true ones), and `bye_after` commands the connection ends in the middle of a line."""

    def __init__(self):
        self.folders = {'INBOX': {}}
        self.validity = lambda name: 7
        self.capability = 'IMAP4rev1 UIDPLUS'
        self.instead = lambda verb, line: None
        self.heard, self.appended, self.bye_after = [], 0, None
        liar = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    liar.serve(self)
                except OSError:
                    pass

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.server = Threads(('127.0.0.1', 0), Handler)
        self.port, self.pop3_port, self.submission = self.server.server_address[1], None, None
        self.user, self.password = 'jill@liar.test', 'measure'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, h):
        chosen, commands = None, 0
        h.wfile.write(f'* OK [CAPABILITY {self.capability}] ready\r\n'.encode())
        while line := h.rfile.readline(1 << 20):
            while (literal := re.search(rb'\{(\d+)\}\r\n$', line)) and b' APPEND ' not in line[:20].upper():
                h.wfile.write(b'+ go on\r\n')
                line = line[:literal.start()] + h.rfile.read(int(literal.group(1))) + h.rfile.readline(1 << 20)
            line = line.rstrip(b'\r\n').decode('utf-8', 'surrogateescape')
            tag, _, rest = line.partition(' ')
            verb = rest.upper().split(' ')[0]
            if verb == 'UID':
                verb = ' '.join(rest.upper().split(' ')[:2])
            self.heard.append(rest)
            commands += 1
            if self.bye_after is not None and commands > self.bye_after:
                h.wfile.write(b'* BYE I have\r\n* 1 FET')
                h.connection.shutdown(socket.SHUT_RDWR)
                return
            told, done = self.instead(verb, rest), 'OK done'
            if verb in ('SELECT', 'EXAMINE'):
                name = rest.split(' ', 1)[1].split(' (')[0].strip('"')
                chosen = name if name in self.folders else None
                done = 'NO there is none' if chosen is None else 'OK [READ-WRITE] done'
            if told is None:
                told = self.answer(verb, rest, chosen, h)
            h.wfile.write(b''.join(x if isinstance(x, bytes) else x.encode('utf-8', 'surrogateescape') for x in told))
            h.wfile.write(f'{tag} {done}\r\n'.encode())
            h.wfile.flush()
            if verb == 'LOGOUT':
                return

    def answer(self, verb, rest, chosen, h):
        if verb == 'CAPABILITY':
            return [f'* CAPABILITY {self.capability}\r\n']
        if verb == 'LIST':
            return [f'* LIST () "/" "{name}"\r\n' for name in self.folders]
        if verb in ('SELECT', 'EXAMINE') and chosen is not None:
            letters = self.folders[chosen]
            return [f'* {len(letters)} EXISTS\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [UIDVALIDITY {self.validity(chosen)}] .\r\n'
                    f'* OK [UIDNEXT {max(letters, default=0) + 1}] .\r\n']
        if verb == 'UID FETCH' and chosen is not None:
            return self.fetch(rest, self.folders[chosen])
        if verb == 'APPEND':
            size = int(re.search(r'\{(\d+)', rest).group(1))
            h.wfile.write(b'+ go on\r\n')
            h.rfile.read(size)
            h.rfile.readline()
            self.appended += 1
        if verb == 'CREATE':
            self.folders[rest.split(' ', 1)[1].strip('"')] = {}
        return []

    def fetch(self, rest, letters):
        asked = rest.split(' ')[2]
        part = re.search(r'BODY.PEEK\[(.*?)\]', rest)
        told = []
        for number, (uid, text) in enumerate(letters.items(), 1):
            if not in_set(uid, asked):
                continue
            facts = f'* {number} FETCH (UID {uid} FLAGS () INTERNALDATE "20-Nov-2026 10:00:00 +0000"'
            if not part:
                told.append(f'{facts} RFC822.SIZE {len(text)})\r\n')
                continue
            if part.group(1):
                text = text.split(b'\r\n\r\n')[0] + b'\r\n\r\n'
            told += [f'{facts} BODY[{part.group(1)}] {{{len(text)}}}\r\n', text, ')\r\n']
        return told


def in_set(uid, words):
    for part in words.split(','):
        first, _, last = part.partition(':')
        low = int(first)
        if low <= uid <= (float('inf') if last == '*' else int(last or first)):
            return True
    return False

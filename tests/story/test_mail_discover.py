"""`pail mail add`: the servers of an address by its domain's autoconfig file, over HTTPS, with an authority of one's own."""
import http.server
import os
import select
import socket
import threading

import pytest

from reader import Reader
from sending_tls import Authority
from test_mail_commands import Dns, account

WHERE = '127.0.0.94'
FILE = """<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="auto.example"><domain>auto.example</domain>
<incomingServer type="imap"><hostname>localhost</hostname><port>{imap}</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>
<outgoingServer type="smtp"><hostname>localhost</hostname><port>{smtp}</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></outgoingServer>
</emailProvider></clientConfig>"""


class Behind:
    """TLS at once before a server of the demo's."""

    def __init__(self, context, port):
        self.context, self.to = context, port
        self.listening = socket.create_server(('127.0.0.1', 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(peer,), daemon=True).start()

    def pass_on(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True) as inside, socket.create_connection(('127.0.0.1', self.to)) as server:
                while True:
                    ready = [inside] if inside.pending() else select.select([inside, server], [], [])[0]
                    for one, other in ((inside, server), (server, inside)):
                        if one in ready:
                            got = one.recv(65536)
                            if not got:
                                return
                            other.sendall(got)
        except OSError:
            pass


class Web:
    """Port 443 of autoconfig.auto.example and auto.example. answers: path -> (status, headers, text)."""

    def __init__(self, context):
        self.answers, self.asked = {}, []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.headers['Host'], self.path))
                status, headers, text = web.answers.get(self.headers['Host'], (404, {}, ''))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                peer, address = super().get_request()
                return context.wrap_socket(peer, server_side=True), address

            def handle_error(self, *_):
                pass

        self.server = Server((WHERE, 443), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root, for the port of HTTPS')
def test_the_file_of_the_domain(demo, tmp_path):
    authority = Authority(f'{tmp_path}/ca', 'Authority of the story')
    demo.verb('domain', 'add', 'auto.example')
    server = account(demo, 'me@auto.example')
    local = authority.certificate('localhost').context()
    imap, smtp = Behind(local, server.port), Behind(local, server.submission)
    web = Web(authority.certificate('autoconfig.auto.example', 'auto.example').context())
    dns = Dns({('autoconfig.auto.example', 'A'): [WHERE], ('auto.example', 'A'): [WHERE]})
    reader = Reader(tmp_path)
    add = ('add', 'me@auto.example', '--resolver', f'127.0.0.1@{dns.socket.getsockname()[1]}', '--save-password')
    file = FILE.format(imap=imap.port, smtp=smtp.port)
    config = f'{reader.folder}/config/pail/mail'
    try:
        web.answers = {'auto.example': (200, {}, file)}
        # by an authority that nobody knows nothing is believed
        said = reader.run(*add, input='\n\n', code=66)
        assert 'https://autoconfig.auto.example/mail/config-v1.1.xml: ' in said and 'ertificate' in said and not web.asked
        # who leads elsewhere is not followed
        web.answers = {'autoconfig.auto.example': (302, {'Location': 'https://auto.example/elsewhere'}, ''), 'auto.example': (500, {}, '')}
        said = reader.run(*add, '--ca', authority.path, input='\n\n', code=66)
        assert 'says 302' in said and 'says 500' in said and len(web.asked) == 2 and not os.path.exists(config)
        # the second place; what the first says is no file
        web.answers = {'autoconfig.auto.example': (200, {}, '<html>welcome</html>'), 'auto.example': (200, {}, file)}
        said = reader.json(*add, '--ca', authority.path, input='measure\n')
        assert said['incoming'] == f'imaps://me@auto.example@localhost:{imap.port}'
        assert said['outgoing'] == f'submissions://me@auto.example@localhost:{smtp.port}'
        assert web.asked[-1] == ('auto.example', '/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=me%40auto.example')
        with open(config) as f:
            assert f'ca = {authority.path}\n' in f.read()
        assert reader.json('send', '--to', 'me@auto.example', '--subject', 'by it', '--body', '-', input='x\n')['result'] == 'sent'
        assert 'fetched' in reader.json('sync')
        # and without the authority the servers are not believed either
        with open(config) as f:
            text = f.read()
        with open(config, 'w') as f:
            f.write(text.replace(f'ca = {authority.path}\n', ''))
        assert 'ertificate' in reader.run('sync', code=77)
    finally:
        web.server.shutdown()
        web.server.server_close()
        for one in (imap, smtp):
            one.listening.close()
        dns.socket.close()

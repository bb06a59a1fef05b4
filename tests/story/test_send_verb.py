"""pail send, as programs use /usr/sbin/sendmail: with a server and without one."""
import email
import email.policy
import os
import re
import subprocess

import pytest

from pail import PAIL, PATIENCE, Pail, until
from test_queue_verb import Sink

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM = 64, 65, 67, 69, 75, 77


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


@pytest.fixture(scope='module')
def sendmail(demo, tmp_path_factory):
    """A link of that name, run where the demo's folder is found."""
    here = tmp_path_factory.mktemp('links')
    os.chmod(here, 0o755)
    os.symlink(demo.folder, here / 'pail-demo')
    for name in 'sendmail', 'mailq', 'newaliases':
        os.symlink(os.path.abspath(PAIL), here / name)

    def run(*words, text=b'', name='sendmail'):
        return subprocess.run([str(here / name), *words], input=text, cwd=here, capture_output=True, timeout=PATIENCE)
    return run


def sent(demo, text, *words, code=0):
    done = subprocess.run([PAIL, 'send', '--dir', demo.folder, *words], input=text, capture_output=True, timeout=PATIENCE)
    assert done.returncode == code, done.stderr
    return done.stderr.decode()


def arrived(demo, who, subject):
    """The one letter with that subject, as bytes."""
    def look():
        return [text for text in demo.letters(who) if re.search(rb'^Subject: ' + subject.encode() + rb'\r$', text, re.M)]
    [text] = until(f'{subject} is filed', look)
    return text


def parsed(text):
    return email.message_from_bytes(text, policy=email.policy.default)


def test_a_program_sends(demo, sendmail):
    done = sendmail('-oi', '-em', '-FCron Daemon', '--', 'jill', text=b'Subject: nightly\n\nall is well\n.\nreally\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')
    text = arrived(demo, 'jill@hill.com', 'nightly')
    assert text.endswith(b'\r\n\r\nall is well\r\n.\r\nreally\r\n')
    letter = parsed(text)
    assert letter['From'].addresses[0].display_name == 'Cron Daemon'
    assert letter['Message-ID'] and letter['Date'].datetime


def test_a_dot_ends_it_without_i(demo):
    sent(demo, b'Subject: dotted\n\n.one\n..two\n.\nnever\n', 'jill@hill.com')
    assert arrived(demo, 'jill@hill.com', 'dotted').endswith(b'\r\n\r\n.one\r\n..two\r\n')


def test_what_the_header_has_is_kept(demo):
    sent(demo, b'From: Jack <jack@town.com>\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <me@town.com>\r\n'
         b'Subject: kept\r\n\r\nhello\r\n', '-fjack@town.com', 'jill@hill.com')
    text = arrived(demo, 'jill@hill.com', 'kept')
    assert text.startswith(b'Return-Path: <jack@town.com>\r\n')
    letter = parsed(text)
    assert (letter['From'], letter['Message-ID']) == ('Jack <jack@town.com>', '<me@town.com>')
    assert [len(letter.get_all(name)) for name in ('From', 'Date', 'Message-ID')] == [1, 1, 1]


def test_recipients_of_the_header(demo):
    sent(demo, b'To: "Hill, Jill" <jill@hill.com>,\n\tbob@hamburger.edu (Bob)\nBcc: alice@crepes.fr,\n\tjill@hill.com\n'
         b'Subject: header\nX-Last: kept\n\nhello\n', '-t', 'jack@town.com')
    for who in 'jill@hill.com', 'bob@hamburger.edu', 'alice@crepes.fr', 'jack@town.com':
        text = arrived(demo, who, 'header')
        assert b'alice' not in text and b'Bcc' not in text and b'\r\nX-Last: kept\r\n\r\nhello\r\n' in text


def test_sent_on(demo):
    """Resent- fields say where to (RFC 5322 section 3.6.6)."""
    sent(demo, b'Resent-To: bob@hamburger.edu\nTo: jill@hill.com\nSubject: resent\n\nhello\n', '-t')
    arrived(demo, 'bob@hamburger.edu', 'resent')
    assert not [t for t in demo.letters('jill@hill.com') if b'Subject: resent' in t]


def test_bytes_and_long_lines(demo):
    body = 'Käse ' * 40 + '\n' + 'x' * 5000 + '\n' + 'no end of line'
    sent(demo, b'Subject: bytes\n\n' + body.encode(), 'jill@hill.com')
    text = arrived(demo, 'jill@hill.com', 'bytes')
    assert text.endswith(body.replace('\n', '\r\n').encode() + b'\r\n')


def test_no_header_at_all(demo):
    sent(demo, b'just words: and more\nof them\n', '-fjack@town.com', 'alice@crepes.fr')
    text = until('it is there', lambda: [t for t in demo.letters('alice@crepes.fr') if b'just words' in t])[0]
    assert parsed(text)['From'] == 'jack@town.com'
    sent(demo, b'hello you\n', '-f<>', 'alice@crepes.fr')
    text = until('it is there', lambda: [t for t in demo.letters('alice@crepes.fr') if b'hello you' in t])[0]
    assert text.startswith(b'Return-Path: <>\r\n') and text.endswith(b'\r\n\r\nhello you\r\n')


def test_who_owns_the_folder_sends_anywhere(demo):
    sent(demo, b'Subject: far\n\nhello\n', '-fsomebody@else.example', 'far@away.example', '-Nfailure,delay', '-VQQ1')
    waiting = until('it waits', lambda: 'far@away.example' in demo.verb('queue').stdout)
    assert waiting
    demo.verb('queue', 'remove', '--domain', 'away.example')


def test_exit_codes(demo, sendmail):
    said = sent(demo, b'x\n', 'nobody@hill.com', code=EX_NOUSER)
    assert 'nobody@hill.com: 550 5.1.1' in said
    assert 'User unknown' in sent(demo, b'Subject: half\n\nx\n', 'nobody@hill.com', 'jill@hill.com', code=EX_NOUSER)
    arrived(demo, 'jill@hill.com', 'half')
    sent(demo, b'x\n', code=EX_USAGE)
    sent(demo, b'x\n', '-Z', code=EX_USAGE)
    sent(demo, b'x\n', '-f', code=EX_USAGE)
    sent(demo, b'Subject: nobody\n\nx\n', '-t', code=EX_USAGE)
    sent(demo, b'x\n', 'a b@c', code=EX_USAGE)
    assert sendmail('-bd').returncode == EX_USAGE
    assert sendmail(name='newaliases').returncode == 0


def test_the_conversation(demo):
    said = sent(demo, b'Subject: watched\n\nhello\n', '-v', '-fjack@town.com', 'jill@hill.com').splitlines()
    assert said[0].startswith('S: 220 ') and said[1].startswith('C: EHLO ')
    assert 'C: RCPT TO:<jill@hill.com>' in said and 'S: 250 2.0.0 Message accepted for delivery' in said
    assert said[-2:] == ['C: QUIT', said[-1]] and said[-1].startswith('S: 221 ')
    assert not any('hello' in line and line.startswith('C: h') for line in said)    # a body is told by its size


def test_smtp_on_stdin(demo, sendmail):
    done = sendmail('-bs', text=b'EHLO laptop\r\nMAIL FROM:<me@laptop.example>\r\nRCPT TO:<far@bs.example>\r\n'
                    b'RCPT TO:<nobody@hill.com>\r\nDATA\r\nSubject: bs\r\n\r\nhello\r\n.\r\nQUIT\r\n')
    lines = done.stdout.split(b'\r\n')
    assert done.returncode == 0 and lines[0].startswith(b'220 ') and lines[-2].startswith(b'221 ')
    assert b'550 5.1.1 <nobody@hill.com>... User unknown' in lines
    until('it waits', lambda: b'far@bs.example' in sendmail('-bp').stdout)
    assert b'far@bs.example' in sendmail(name='mailq').stdout
    assert sendmail('-q').returncode == 0
    demo.verb('queue', 'remove', '--domain', 'bs.example')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root becomes another user')
def test_others_send_like_strangers(demo):
    """The folder is not theirs: SMTP to the port that the settings name, to people here and to nobody else."""
    conf = os.path.join(demo.root, 'pail.conf')
    with open(conf, 'w') as f:
        f.write(f'data = {demo.folder}\nlisten = 127.0.0.1\nsmtp-port = {demo.port(25)}\n')

    def other(*words):
        return subprocess.run([PAIL, 'send', '--config', conf, *words], input=b'Subject: stranger\n\nhello\n', capture_output=True,
                              timeout=PATIENCE, user=12345, group=12345, extra_groups=[])
    done = other('-fme@laptop.example', 'jill@hill.com')
    assert done.returncode == 0, done.stderr
    arrived(demo, 'jill@hill.com', 'stranger')
    done = other('-fme@laptop.example', 'far@away.example')
    assert done.returncode == EX_NOPERM and b'Relaying denied' in done.stderr


# without a server


def test_straight_to_a_host(demo, sink):
    text = b'Subject: straight\n\nhello\n.dot\n'
    sent(demo, text, '-i', '--to-host', f'127.0.0.1:{sink.port}', '-fjack@town.com', 'ship@sea.example')
    [letter] = sink.letters
    assert letter.endswith(b'Subject: straight\r\n\r\nhello\r\n..dot\r\n.\r\n')
    sink.answer = '550 5.1.1 no such sailor'
    assert 'no such sailor' in sent(demo, text, '--to-host', f'localhost:{sink.port}', 'ship@sea.example', code=EX_NOUSER)
    sink.answer = '450 4.2.0 later'
    sent(demo, text, '--to-host', f'127.0.0.1:{sink.port}', 'ship@sea.example', code=EX_TEMPFAIL)
    sink.answer = '554 no'
    sent(demo, text, '--to-host', f'127.0.0.1:{sink.port}', 'ship@sea.example', code=EX_UNAVAILABLE)
    sink.socket.close()
    assert 'refused' in sent(demo, text, '--to-host', '127.0.0.1:1', 'ship@sea.example', code=EX_TEMPFAIL)


def test_no_server_runs(tmp_path, sink):
    """Routes of the settings; what is for here waits for the server."""
    os.chmod(tmp_path, 0o755)
    folder = tmp_path / 'data'
    subprocess.run([PAIL, 'init', 'hill.example', '--dir', folder], check=True, capture_output=True)
    conf = folder / 'pail.conf'
    conf.write_text(conf.read_text() + f'\nroutes = "sea.example=127.0.0.1:{sink.port} *=hold"\n')

    def send(*words):
        return subprocess.run([PAIL, 'send', '--dir', folder, '-v', *words], input=b'Subject: alone\n\nhello\n', capture_output=True,
                              timeout=PATIENCE)
    done = send('-fpostmaster', 'ship@sea.example')
    assert done.returncode == 0, done.stderr
    assert b'# 127.0.0.1' in done.stderr and b'C: MAIL FROM:<postmaster@hill.example>' in done.stderr
    assert len(sink.letters) == 1
    done = send('-fpostmaster', 'ship@sea.example', 'postmaster', 'far@away.example')
    assert done.returncode == EX_TEMPFAIL and len(sink.letters) == 2
    assert b'postmaster@hill.example: it is for here, and no server runs' in done.stderr
    assert b'far@away.example: its route is "hold"' in done.stderr


def test_a_demo_sends_nothing_off_this_machine():
    with Pail() as p:
        p.stop()
        said = sent(p, b'x\n', 'far@away.example', code=EX_TEMPFAIL)
        assert 'no server runs here' in said
        p.start()

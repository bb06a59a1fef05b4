"""pail ftp: certificates that are asked about, remembered and refused when they change; a second server; active mode; Ctrl-C while it connects."""
import os
import re
import socket
import subprocess

from ftp_wire import BOB, JILL, files_of, noise
from pail import PAIL, PEOPLE, Pail, until
from test_ftp_client import Prompt, environment, ftp, tree, url


def must_tls(demo, who, path=''):
    return url(demo, who, path).replace('ftp://', 'ftpes://')


def test_trust_on_first_use(demo, tmp_path):
    (tmp_path / 'secret').write_bytes(noise('tls', 300_000))
    known = tmp_path / '.config/pail/known-certificates'
    assert 'certificate' in ftp(tmp_path, 'put', 'secret', must_tls(demo, BOB, 'tls'), code=77)     # nobody can be asked
    with Prompt(tmp_path, '--tls', f'bob@127.0.0.1:{demo.port(21)}') as p:
        p(r'from now on \(y/N\)\? ', 'n')
        p('ftp> ', f'open ftpes://bob@127.0.0.1:{demo.port(21)}')
        p(r'from now on \(y/N\)\? ', 'y')
        p('Password:', PEOPLE[BOB], silent=True)
        p('ftp> ', 'tls')
        p('SHA-256 ', 'bye')
        said = p.end()
    shown = re.search(r'fingerprint is ([0-9A-F:]{95})', said)[1].replace(':', '').lower()
    assert f'127.0.0.1 {demo.port(21)} sha256:{shown} ' in known.read_text()
    # from now on without a question; files go by TLS, trees too
    ftp(tmp_path, 'put', 'secret', must_tls(demo, BOB, 'tls'))
    ftp(tmp_path, 'get', must_tls(demo, BOB, 'tls'), 'back')
    assert (tmp_path / 'back').read_bytes() == (tmp_path / 'secret').read_bytes()
    ftp(tmp_path, 'mirror', must_tls(demo, BOB), tmp_path / 'all')
    assert tree(tmp_path / 'all')['tls'] == tree(tmp_path)['secret']
    # by its authority no row is needed; with another certificate in the row it is refused
    known.write_text(known.read_text().replace(shown, 'ab' * 32))
    assert 'certificate' in ftp(tmp_path, 'ls', must_tls(demo, BOB), code=77)
    known.unlink()
    ftp(tmp_path, '--insecure', 'ls', must_tls(demo, BOB))
    ftp(tmp_path, '--ca', os.path.join(demo.folder, 'ca.pem'), 'ls', must_tls(demo, BOB).replace('127.0.0.1', 'localhost'))
    assert not known.exists()


def test_active_mode_and_the_default_port(demo, tmp_path):
    body = noise('active', 200_000)
    (tmp_path / 'a').write_bytes(body)
    said = ftp(tmp_path, '-nvdA', '127.0.0.1', demo.port(21),
               input=f'user {BOB} {PEOPLE[BOB]}\nput a\nget a b\nls\nactive off\nepsv\nget a c\n')
    assert '---> PORT 127,0,0,1,' in said and '---> EPSV' in said and '---> PASV' not in said
    assert (tmp_path / 'b').read_bytes() == (tmp_path / 'c').read_bytes() == body


def test_between_two_servers(tmp_path):
    body = noise('proxy', 500_000)
    (tmp_path / 'a').write_bytes(body)
    with Pail(settings={'ftp-foreign-data': 'yes'}) as pail:
        ftp(tmp_path, '-n', '127.0.0.1', pail.port(21), input=f"""user {BOB} {PEOPLE[BOB]}
put a
proxy open 127.0.0.1 {pail.port(21)}
proxy user {JILL} {PEOPLE[JILL]}
proxy get a crossed
proxy put crossed again
proxy close
""")
        for who, name in ((JILL, 'crossed'), (BOB, 'again')):
            with open(os.path.join(files_of(pail, who), name), 'rb') as f:
                assert f.read() == body
        assert '550' in ftp(tmp_path, '-n', '127.0.0.1', pail.port(21), input=f"""user {BOB} {PEOPLE[BOB]}
proxy open 127.0.0.1 {pail.port(21)}
proxy user {JILL} {PEOPLE[JILL]}
proxy get none
-pwd
proxy pwd
""", code=66)


def test_ctrl_c_while_it_connects(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as silent, Prompt(tmp_path) as p:
        p('ftp> ', f'open 127.0.0.1 {silent.getsockname()[1]}')
        p.child.expect(r'Connected to 127\.0\.0\.1\.')
        p.child.sendintr()
        p('stopped', 'status')
        p('Not connected', 'bye')
        p.end()
    assert p.child.exitstatus == 0


def test_a_transfer_without_a_prompt_ends_by_ctrl_c(demo, tmp_path):
    body = noise('ends', 20_000_000)
    (tmp_path / 'a').write_bytes(body)
    ftp(tmp_path, 'put', 'a', url(demo, JILL, 'ends'))
    child = subprocess.Popen([PAIL, 'ftp', '--rate', '2m', 'get', url(demo, JILL, 'ends')], cwd=tmp_path, env=environment(tmp_path))
    part = tmp_path / 'ends.pail-part'
    until('some of it came', lambda: part.exists() and part.stat().st_size)
    child.send_signal(2)
    assert child.wait() == 130
    ftp(tmp_path, 'get', '-c', url(demo, JILL, 'ends'))
    assert (tmp_path / 'ends').read_bytes() == body and not part.exists()

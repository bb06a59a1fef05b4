"""FTP's data connections: thieves, crowds of one address, ports that run out, TLS with and without the control connection's session."""
import os
import random
import ssl
import threading

import pytest
from ftp_wire import ALICE, BOB, JACK, JILL, Ftp, everything, noise, session
from pail import PATIENCE, Pail, free_ports, until

# --- passive ports ---

def test_a_stranger_cannot_steal_a_data_connection(demo):
    with session(demo) as f:
        f.stor('mine', b'mine' * 1000)
        for _ in range(20):
            where = f.pasv()
            thieves = [f.dial(where, source=f'127.0.0.{n}') for n in (50, 51, 52)]
            for thief in thieves:
                thief.settimeout(PATIENCE)
                try:
                    assert thief.recv(1) == b''
                except ConnectionResetError:
                    pass
            mine = f.dial(where)
            f.send('RETR mine')
            f.expect(150)
            assert everything(mine) == b'mine' * 1000
            f.expect(226)


def test_the_second_of_two_connections_is_turned_away(demo):
    with session(demo) as f:
        f.stor('once', b'once' * 1000)
        where = f.pasv()
        one = f.dial(where)
        try:
            two = f.dial(where)
        except ConnectionRefusedError:
            two = None
        f.send('RETR once')
        f.expect(150)
        got = [everything(one)]
        if two:
            try:
                got.append(everything(two))
            except ConnectionResetError:
                got.append(b'')
        f.expect(226)
        assert sorted(got)[-1] == b'once' * 1000 and not any(sorted(got)[:-1])


def test_ten_thousand_pasv_without_a_connection_cost_nothing(pail):
    with session(pail) as f:
        f.stor('still', b'here')
        pids = [pid for name, pid in pail.roles().items() if name.startswith('files')]
        before = [len(os.listdir(f'/proc/{pid}/fd')) for pid in pids]
        for _ in range(100):
            f.socket.sendall(b'PASV\r\n' * 100)
            for _ in range(100):
                f.expect(227)
        after = [len(os.listdir(f'/proc/{pid}/fd')) for pid in pids]
        assert all(a <= b + 20 for a, b in zip(after, before)), (before, after)
        assert f.retr('still') == b'here'
    sessions = [session(pail) for _ in range(40)]
    for f in sessions:          # a household of forty, each with a lease of its own
        f.where = f.pasv()
    assert len({f.where for f in sessions}) == len(sessions)
    for f in reversed(sessions):
        data = f.dial(f.where)
        f.send('RETR still')
        f.expect(150)
        assert everything(data) == b'here'
        f.expect(226)
        f.close()


def test_no_port_is_free(tmp_path):
    """Of a narrow range each client address may have all; the next PASV is 425, and goes well when one has ended."""
    low = free_ports(4)
    with Pail(settings={'workers': 1, 'ftp-passive-low': low, 'ftp-passive-high': low + 3}) as pail:
        sessions = [session(pail) for _ in range(5)]
        for f in sessions[:4]:
            f.pasv()
        assert sessions[4].code('PASV') == 425
        other = session(pail, source='127.0.0.77')
        other.stor('from-another-address', b'x')
        sessions[0].close()
        until('a port is free', lambda: sessions[4].code('PASV') == 227)
        sessions[1].stor('again', b'x')


def test_a_household_never_mixes(demo):
    """Many sessions of several people from one address at once, up and down: each gets its own."""
    wrong = []

    def member(number):
        who = (JILL, JACK, ALICE, BOB)[number % 4]
        try:
            with session(demo, who) as f:
                for i in range(15):
                    name = f'household-{number}-{i}'
                    octets = noise(name, 1 + random.Random(name).randrange(60_000))
                    f.stor(name, octets)
                    if f.retr(name) != octets:
                        wrong.append(name)
                    f.ok(f'DELE {name}')
        except Exception as e:      # noqa: BLE001 (told below)
            wrong.append(repr(e))

    threads = [threading.Thread(target=member, args=(i,)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE)
    assert not wrong


def test_from_one_server_to_another(demo):
    """RFC 959 section 5.2, figure 3: a client with two control connections lets them talk to each other."""
    with session(demo, JILL) as f, session(demo, JACK) as g:
        f.stor('third party', noise('third', 500_000))
        host, port = f.pasv()
        g.ok(f'PORT {host.replace(".", ",")},{port // 256},{port % 256}')
        g.send('STOR third party')
        f.send('RETR third party')
        for each in (f, g):
            each.expect(150)
            each.expect(226)
        assert g.retr('third party') == noise('third', 500_000)


# --- TLS session reuse ---

@pytest.mark.parametrize('reuse', ['off', 'prefer', 'require'])
@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_session_reuse(reuse, version):
    with Pail(settings={'ftp-data-tls-reuse': reuse}) as pail:
        f = Ftp(pail)
        f.tls_context().maximum_version = f.tls_context().minimum_version = version
        f.auth_tls().login(JILL)
        f.ok('TYPE I')
        for turn in range(3):       # the same session again and again
            data = f.passive()
            f.send(f'STOR x{turn}')
            data = f.secure(data)
            if reuse != 'off':
                assert data.session_reused
            f.expect(150)
            data.sendall(b'x')
            data.unwrap()
            data.close()
            f.expect(226)
        data = f.passive()
        f.send('STOR stranger')
        try:
            data = f.secure(data, resume=False)
            data.sendall(b'x')
            data.unwrap()
        except OSError:
            assert reuse == 'require'
        assert f.reply()[0] == 150
        code = f.reply()[0]
        if reuse == 'require':
            assert code == 522
            assert f.code('MDTM stranger') == 550
        else:
            assert code == 226
        # nor does the session of another control connection prove anything
        g = Ftp(pail)
        g.context = f.context
        g.auth_tls().login(JACK)
        data = f.passive()
        f.send('NLST')
        try:
            data = f.context.wrap_socket(data, server_hostname='localhost', session=g.socket.session)
            assert not data.session_reused
            everything(data)
        except OSError:
            assert reuse == 'require'
        assert [f.reply()[0], f.reply()[0]] == [150, 522 if reuse == 'require' else 226]


def test_a_handshake_that_never_comes(demo):
    """Neither the file nor the session suffers."""
    f = Ftp(demo).auth_tls().login(JILL)
    f.ok('TYPE I')
    data = f.passive()
    f.send('STOR never')
    data.close()
    f.expect(150)
    f.expect(522)
    assert f.code('MDTM never') == 550
    assert f.code('NOOP') == 200

"""NSD with a root zone of our own and the domains of the stories below it, signed by ldns; and a name server that lies. The domains end with
.example: .test is no domain for libunbound (RFC 6761)."""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

from pail import PAIL, PATIENCE, until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../bench'))
import peers  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(PAIL))
peers.PACKAGES['nsd'] = ['nsd', 'ldnsutils']
TTL = 1     # seconds; a story may publish at any time, under names that nobody asked for yet
NOTHING_TTL = 0     # of what is not there: a cached NSEC would deny names between its two that are published later (RFC 8198)


def tool(name):
    """The command to run a program of the unpacked packages, and its environment."""
    tree = peers.download('nsd', f'{BUILD}/peers/nsd')
    for folder in ('usr/sbin', 'usr/bin'):
        if os.path.exists(f'{tree}/{folder}/{name}'):
            libraries = [d for d, _, files in os.walk(f'{tree}/usr/lib') if any('.so' in f for f in files)]
            return f'{tree}/{folder}/{name}', {**os.environ, 'LD_LIBRARY_PATH': ':'.join(libraries)}
    raise FileNotFoundError(name)


def run(name, *words, cwd):
    path, environment = tool(name)
    return subprocess.run([path, *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout


def question(name, kind):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label)
    return struct.pack('>HHHHHH', 77, 0, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>HH', kind, 1)


class Dns:
    """with Dns(host, folder) as dns: dns.publish('crepes.fr', '@ MX 10 mx', 'mx A 10.77.0.3'); dns.anchor is the file for trust-anchors."""

    def __init__(self, host, folder):
        self.host, self.folder = host, str(folder)
        self.zones = {}     # name: (records, signed, spoil)
        self.serial = 1
        self.keys = {}
        self.changed = set()
        self.delegated = {}     # zone: address of its name server, when it is not NSD
        self.process = None
        self.lock = threading.Lock()

    def key(self, zone):
        if zone not in self.keys:
            self.keys[zone] = run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone or '.', cwd=self.folder).strip()
        return self.keys[zone]

    def write(self, zone, records, signed, spoil):
        path = f'{self.folder}/{zone or "root"}.zone'
        with open(path, 'w') as f:
            f.write(f'$ORIGIN {zone}.\n$TTL {TTL}\n'
                    f'@ SOA ns.example. postmaster.example. {self.serial} 3600 600 86400 {NOTHING_TTL}\n@ NS ns.example.\n')
            f.writelines(f'{record}\n' for record in records)
        if not signed:
            return path
        run('ldns-signzone', '-e', '20380101000000', '-i', '20200101000000', '-f', f'{path}.signed', path, self.key(zone), cwd=self.folder)
        if spoil:       # a record is another than the one that was signed
            with open(f'{path}.signed') as f:
                text = f.read()
            wrong, n = re.subn(*spoil, text)
            assert n, text
            with open(f'{path}.signed', 'w') as f:
                f.write(wrong)
        return f'{path}.signed'

    def write_all(self):
        root = [f'ns.example. A {self.host.ip}']
        for zone, (_, signed, _) in self.zones.items():
            if zone in self.delegated:
                root.append(f'{zone}. NS ns.{zone}.\nns.{zone}. A {self.delegated[zone]}')
                continue
            root.append(f'{zone}. NS ns.example.')
            if signed:
                self.key(zone)
                root += run('ldns-key2ds', '-n', '-2', f'{self.keys[zone]}.key', cwd=self.folder).strip().split('\n')
        served = {zone: f'{self.folder}/{zone}.zone{".signed" if how[1] else ""}' for zone, how in self.zones.items()
                  if zone not in self.delegated}
        for zone in self.changed & set(served):
            self.write(zone, *self.zones[zone])
        self.changed.clear()
        served[''] = self.write('', root, True, None)
        with open(f'{self.folder}/nsd.conf', 'w') as f:
            f.write(f'server:\n ip-address: {self.host.ip}\n username: ""\n chroot: ""\n zonesdir: "{self.folder}"\n database: ""\n'
                    f' pidfile: "{self.folder}/nsd.pid"\n zonelistfile: "{self.folder}/zone.list"\n xfrdfile: "{self.folder}/xfrd.state"\n'
                    f' xfrdir: "{self.folder}"\n server-count: 1\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n')
            f.writelines(f'zone:\n name: "{zone or "."}"\n zonefile: "{path}"\n' for zone, path in served.items())

    def publish(self, zone, *records, signed=True, spoil=None, server=None):
        """A domain, or other records of one. spoil: (pattern, other) for its signed text. server: the address of its name server."""
        with self.lock:
            self.serial += 1
            self.zones[zone] = (records, signed, spoil)
            self.changed.add(zone)
            if server:
                self.delegated[zone] = server
            else:
                self.delegated.pop(zone, None)
            if self.process:
                self.restart()

    def answers(self, s):
        """Asked once more: has any question been answered?"""
        try:
            s.sendto(question('.', 6), (self.host.ip, 53))
            return s.recv(4096)
        except OSError:
            return None

    def restart(self):
        self.stop()
        self.write_all()
        program, environment = tool('nsd')
        with self.host, open(f'{self.folder}/nsd.log', 'a') as log:
            self.process = subprocess.Popen([program, '-d', '-c', f'{self.folder}/nsd.conf'], env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        with self.host:
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking as s:
            s.settimeout(0.01)      # what comes while it starts is lost
            until('NSD answers', lambda: self.process.poll() is not None or self.answers(s))
        assert self.process.poll() is None, open(f'{self.folder}/nsd.log').read()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        with self.lock:
            self.key('')
            self.restart()
        self.anchor = f'{self.folder}/root.anchor'
        shutil.copy(f'{self.folder}/{self.keys[""]}.key', self.anchor)
        for path in (self.folder, self.anchor):
            os.chmod(path, 0o755)
        return self

    def __exit__(self, *_):
        self.stop()


class LyingDns:
    """A name server in Python: mode 'servfail', 'silent', or 'strip': it asks `behind`, and never for signatures. self.asked counts."""

    def __init__(self, host, address, mode, behind=None):
        self.mode, self.asked, self.host, self.behind = mode, 0, host, behind
        with host:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while (got := self.socket.recvfrom(4096))[0]:       # nothing: shut down
                try:
                    self.answer(*got)
                except OSError:
                    pass    # the one behind begins anew just now: it will be asked again
        except OSError:
            pass

    def answer(self, text, who):
        self.asked += 1
        end = 12
        while text[end]:
            end += 1 + text[end]
        if self.mode == 'strip':
            with self.host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(text[:4] + b'\0\1\0\0\0\0\0\0' + text[12:end + 5], (self.behind, 53))    # without EDNS, and so without its DO
                s.settimeout(1)
                answer = s.recv(4096)
            self.socket.sendto(answer[:2] + bytes([answer[2], answer[3] | 128]) + answer[4:], who)     # "recursion is available"
        elif self.mode == 'servfail':
            self.socket.sendto(text[:2] + b'\x80\x02\0\1\0\0\0\0\0\0' + text[12:end + 5], who)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)      # whoever waits in it wakes
        except OSError:
            pass
        self.socket.close()

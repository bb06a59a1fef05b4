"""Hosts for the sending stories: each in a network namespace of its own, joined by a bridge, made by root or, for others, in a user namespace
(tests/story/run enters it). Where that is not allowed the same hosts are addresses 127.77.0.x of this machine."""
import ctypes
import os
import signal
import socket
import subprocess
import threading

from pail import until

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


# As unshare -Urn, but who is in it keeps the own name: pail as root would become another user, and there is none.
USER_NAMESPACE = ['unshare', '--user', '--map-current-user', '--keep-caps', '--net', '--']


def namespaces(*prefix):
    """May this process, or one that is started so, make network namespaces?"""
    return subprocess.run([*prefix, 'unshare', '-n', 'ip', 'link', 'set', 'lo', 'up'], capture_output=True).returncode == 0


def loopback():
    """May this process listen on the ports of mail and DNS at an address of this machine that nobody uses?"""
    try:
        for port in (25, 53):
            with socket.socket() as s:
                s.bind(('127.77.255.254', port))
        return True
    except OSError:
        return False


def where():
    """(what to start the stories with, where their hosts are): None instead of the first: nowhere."""
    if namespaces():
        return [], 'network namespaces'
    if os.geteuid() and namespaces(*USER_NAMESPACE):
        return USER_NAMESPACE, 'network namespaces in a user namespace; Postfix and Exim need root'
    return ([], 'loopback addresses; no network namespaces here, so no Postfix and Exim') if loopback() else (None, 'none: neither namespaces nor port 25; they are skipped')


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


def _enter(fd):
    if libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), 'setns')


class Host:
    """with host: what is opened, and which programs are started, is opened and started there; of this thread."""

    def __init__(self, net, name, number):
        self.net, self.name, self.number = net, name, number
        self.ip, self.ip6 = net.address(number)
        self.entered = threading.local()
        self.holder = None
        if not net.apart:
            return
        self.holder = subprocess.Popen(['unshare', '-n', 'sleep', 'infinity'],
                                       preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        own = os.readlink('/proc/self/ns/net')
        path = f'/proc/{self.holder.pid}/ns/net'
        until('the namespace is there', lambda: os.readlink(path) != own)
        self.ns = os.open(path, os.O_RDONLY)
        with self:
            ip('link', 'set', 'lo', 'up')

    def join(self, switch):
        ip('link', 'add', 'name', 'eth0', 'netns', str(self.holder.pid), 'type', 'veth', 'peer', 'name',
           f'port{self.number}', 'netns', str(switch.holder.pid))
        with switch:
            ip('link', 'set', f'port{self.number}', 'master', 'switch', 'up')
        with self:
            ip('link', 'set', 'eth0', 'up')
            self.own(self.ip, self.ip6)

    def own(self, *addresses):
        """More addresses."""
        if self.net.apart:
            with self:
                for a in addresses:
                    ip('address', 'add', *([f'{a}/64', 'dev', 'eth0', 'nodad'] if ':' in a else [f'{a}/16', 'dev', 'eth0']))
        return addresses

    def another(self):
        """One more IPv4 address of this host, that nobody had before."""
        return self.own(self.net.fresh())[0]

    def __enter__(self):
        if self.net.apart:
            before = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
            self.entered.stack = getattr(self.entered, 'stack', []) + [before]
            _enter(self.ns)
        return self

    def __exit__(self, *_):
        if self.net.apart:
            before = self.entered.stack.pop()
            _enter(before)
            os.close(before)

    def connect(self, address, port, timeout=None):
        with self:
            return socket.create_connection((address, port), timeout=timeout)

    def answers(self, port, address=None):
        try:
            self.connect(address or self.ip, port, 5).close()
            return True
        except OSError:
            return False

    def end(self):
        if self.holder:
            os.close(self.ns)
            self.holder.kill()
            self.holder.wait()


class Net:
    """with Net() as net: net.host('mx.crepes.fr')."""

    def __init__(self):
        self.apart = namespaces()
        self.hosts = {}
        self.last = 0
        self.lock = threading.Lock()

    def address(self, number):
        """IPv4 and IPv6; None: there is no IPv6 here."""
        six = f'fd77::{number:x}' if self.apart and os.path.exists('/proc/sys/net/ipv6') else None
        return f'{"10" if self.apart else "127"}.77.0.{number}', six

    def fresh(self):
        with self.lock:
            self.last += 1
            return f'{"10" if self.apart else "127"}.77.{1 + self.last // 250}.{1 + self.last % 250}'

    def host(self, name):
        host = Host(self, name, len(self.hosts) + 1)
        self.hosts[name] = host
        if self.apart:
            host.join(self.switch)
        return host

    def __enter__(self):
        if self.apart:
            self.switch = Host(self, 'switch', 0)
            with self.switch:
                ip('link', 'add', 'switch', 'type', 'bridge')
                ip('link', 'set', 'switch', 'up')
        return self

    def __exit__(self, *_):
        for host in self.hosts.values():
            host.end()
        if self.apart:
            self.switch.end()

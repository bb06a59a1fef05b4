"""An authority for certificates, with openssl; and those that are wrong in one way each."""
import hashlib
import os
import ssl
import subprocess


def openssl(*words, cwd, input=None):
    return subprocess.run(['openssl', *words], cwd=cwd, check=True, capture_output=True, input=input)


class Certificate:
    def __init__(self, folder, name):
        self.chain, self.key = f'{folder}/{name}.pem', f'{folder}/{name}.key'

    def context(self, least=ssl.TLSVersion.TLSv1_2):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.minimum_version = least
        c.load_cert_chain(self.chain, self.key)
        return c

    def tlsa(self, usage=3):
        """Of the certificate: usage 3, its key's SHA-256 (RFC 7672 §3.1.1)."""
        key = subprocess.run(['openssl', 'x509', '-in', self.chain, '-noout', '-pubkey'], check=True, capture_output=True).stdout
        der = subprocess.run(['openssl', 'pkey', '-pubin', '-outform', 'DER'], input=key, check=True, capture_output=True).stdout
        return f'{usage} 1 1 {hashlib.sha256(der).hexdigest()}'


class Authority:
    def __init__(self, folder, name):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.folder, self.path, self.made = folder, f'{folder}/ca.pem', 0
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', f'/CN={name}',
                '-keyout', 'ca.key', '-out', 'ca.pem', cwd=folder)
        os.chmod(self.path, 0o644)

    def certificate(self, *names, expired=False):
        """For these names, signed by us."""
        self.made += 1
        c = Certificate(self.folder, f'{names[0]}-{self.made}')
        with open(f'{c.chain}.ext', 'w') as f:
            f.write('subjectAltName=' + ','.join(f'DNS:{name}' for name in names) + '\nbasicConstraints=CA:FALSE\n')
        openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', f'/CN={names[0]}',
                '-keyout', c.key, '-out', f'{c.chain}.csr', cwd=self.folder)
        openssl('x509', '-req', '-in', f'{c.chain}.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
                '-days', '-1' if expired else '30', '-extfile', f'{c.chain}.ext', '-out', c.chain, cwd=self.folder)
        return c

    def self_signed(self, name):
        self.made += 1
        c = Certificate(self.folder, f'{name}-{self.made}')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', f'/CN={name}',
                '-addext', f'subjectAltName=DNS:{name}', '-keyout', c.key, '-out', c.chain, cwd=self.folder)
        return c

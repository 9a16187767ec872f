"""Certificate authorities and signers with certificates, as files that `ext sign --chain` and `trust add` take."""

import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = datetime.timedelta(days=365)


def now():
    return datetime.datetime.now(datetime.UTC)


def usage(**allowed):
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


class Signer:
    """`key` and `chain` (leaf first) are paths; `public_key` too."""

    def __init__(self, folder, key, certificates):
        stem = folder / secrets.token_hex(4)
        self.key, self.chain, self.public_key = (stem.with_suffix(end) for end in (".key", ".chain.pem", ".pub"))
        self.key.touch(mode=0o600)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        self.chain.write_bytes(b"".join(one.public_bytes(pem) for one in certificates))
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_key.write_bytes(key.public_key().public_bytes(pem, spki))
        self.expires_at = certificates[0].not_valid_after_utc


class Authority:
    """A CA whose certificate is at `path`. `issuer` makes it an intermediate one."""

    def __init__(self, folder, name, issuer=None):
        self.folder, self.issuer = folder, issuer
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self.certificate_for(
            self.subject,
            self.key.public_key(),
            (now() - YEAR, now() + YEAR),
            x509.BasicConstraints(ca=True, path_length=None),
            usage(key_cert_sign=True, crl_sign=True),
            by=issuer or self,
        )
        self.certificate = signed
        self.path = folder / f"{secrets.token_hex(4)}.pem"
        self.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def certificate_for(subject, public_key, valid, constraints, key_usage, by, extended=None):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(constraints, critical=True)
            .add_extension(key_usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
        )
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=False)
        return builder.sign(by.key, hashes.SHA256())

    def signer(self, name="Signer", lasts=YEAR, began=YEAR / 2, purpose=ExtendedKeyUsageOID.CODE_SIGNING):
        """Whose certificate is valid from `began` ago on, for `lasts` from now (negative: it has expired)."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.certificate_for(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key.public_key(),
            (now() - began, now() + lasts),
            x509.BasicConstraints(ca=False, path_length=None),
            usage(digital_signature=True),
            by=self,
            extended=purpose,
        )
        chain, above = [leaf], self
        while above.issuer:  # the root is in the trust bundle
            chain.append(above.certificate)
            above = above.issuer
        return Signer(self.folder, key, chain)

"""Makes certificates that must not be accepted, like a good one but for what its file name says.

certificates.py CA.pem CA.key GOOD.pem OUT: writes OUT-expired.pem, OUT-early.pem (not yet valid),
OUT-unregistered.pem (in order, but nobody knows it) and OUT-stranger.pem (of another authority with the same name).
"""

import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def read(path):
    with open(path, "rb") as file:
        return file.read()


def another_key(key):
    if isinstance(key, rsa.RSAPrivateKey):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def like(good, ca, key, start, end):
    builder = (
        x509.CertificateBuilder()
        .subject_name(good.subject)
        .issuer_name(ca.subject)
        .public_key(good.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension in good.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def main():
    ca_file, key_file, good_file, out = sys.argv[1:]
    ca = x509.load_pem_x509_certificate(read(ca_file))
    key = serialization.load_pem_private_key(read(key_file), password=None)
    good = x509.load_pem_x509_certificate(read(good_file))
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    day = datetime.timedelta(days=1)
    made = {
        "expired": like(good, ca, key, now - 10 * day, now - datetime.timedelta(minutes=1)),
        "early": like(good, ca, key, now + day, now + 10 * day),
        "unregistered": like(good, ca, key, now - day, now + 10 * day),
        "stranger": like(good, ca, another_key(key), now - day, now + 10 * day),
    }
    for name, certificate in made.items():
        with open(f"{out}-{name}.pem", "wb") as file:
            file.write(certificate)


main()

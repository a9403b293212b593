"""Verifies an X-Road signature with signxml: verify_signature.py SIGNATURE CERTIFICATE URI FILE."""

import sys

from signxml.xades import XAdESVerifier


def main() -> None:
    signature, certificate, uri, part = sys.argv[1:5]

    def resolve(wanted: str) -> bytes:
        if wanted != uri:
            raise ValueError(f"unexpected reference {wanted}")
        with open(part, "rb") as file:
            return file.read()

    with open(signature, "rb") as file:
        document = file.read()
    with open(certificate, encoding="ascii") as file:
        pem = file.read()
    results = XAdESVerifier().verify(
        document, x509_cert=pem, uri_resolver=resolve, expect_references=2
    )
    print(len(results), "references verified")


main()

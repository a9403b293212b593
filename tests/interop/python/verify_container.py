"""Verifies ASiC-E containers with programs that nobody here wrote: zipfile, xmlsec1, signxml and openssl ts.
Arguments: certificate of the CA (PEM), certificate of the time-stamping authority (PEM), containers."""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier
from signxml import DigestAlgorithm, SignatureMethod

ca_file, tsa_file, *containers = sys.argv[1:]
NS = {
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xades": "http://uri.etsi.org/01903/v1.3.2#",
    "h": "http://cyber.ee/hashchain",
    "asic": "http://uri.etsi.org/02918/v1.2.1#",
}
ASIC_MANIFEST = "META-INF/ASiCManifest.xml"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def base64_of(element):
    import base64

    return base64.b64decode("".join(element.itertext()))


def with_xmlsec(folder, signature, references):
    """xmlsec1 resolves the detached references through a map from their names to the files."""
    maps = [f"--url-map:{uri}" for uri in references]
    arguments = [word for uri, option in zip(references, maps) for word in (option, str(folder / uri.lstrip("/")))]
    run("xmlsec1", "--verify", "--id-attr:Id", "SignedProperties", *arguments, "--trusted-pem", ca_file,
        "--enabled-key-data", "x509,rsa,ecdsa", "--X509-skip-strict-checks", str(signature))


def with_signxml(folder, document, references):
    pem = x509.load_der_x509_certificate(base64_of(document.find(".//ds:X509Certificate", NS)))
    config = XAdESSignatureConfiguration(expect_references=len(references) + 1)
    XAdESVerifier().verify(
        etree.tostring(document.find(".//ds:Signature", NS)),
        x509_cert=pem.public_bytes(serialization.Encoding.PEM).decode(),
        uri_resolver=lambda uri: (folder / uri.lstrip("/")).read_bytes(),
        expect_config=config,
    )


def time_stamp(folder, document):
    """The time stamp of one signature stands in it, that of a batch in a file with a manifest."""
    inside = document.find(".//xades:EncapsulatedTimeStamp", NS)
    if inside is not None:
        token = base64_of(inside)
        data = base64_of(document.find(".//ds:SignatureValue", NS))
    else:
        token = (folder / "META-INF/timestamp.tst").read_bytes()
        data = (folder / "ts-hashchainresult.xml").read_bytes()
        assert (folder / ASIC_MANIFEST).is_file(), "a time stamp of a batch without manifest"
    (folder / "token").write_bytes(token)
    (folder / "data").write_bytes(data)
    run("openssl", "ts", "-verify", "-in", folder / "token", "-token_in", "-data", folder / "data", "-CAfile", ca_file,
        "-untrusted", tsa_file)


for container in containers:
    with zipfile.ZipFile(container) as archive, tempfile.TemporaryDirectory() as name:
        first = archive.infolist()[0]
        assert first.filename == "mimetype" and first.compress_type == zipfile.ZIP_STORED, "mimetype is not first and stored"
        assert archive.read("mimetype") == b"application/vnd.etsi.asic-e+zip", "mimetype"
        assert archive.testzip() is None, "damaged"
        folder = pathlib.Path(name)
        archive.extractall(folder)
        signature = folder / "META-INF/signatures.xml"
        document = etree.parse(str(signature))
        references = [r.get("URI") for r in document.findall(".//ds:SignedInfo/ds:Reference", NS)]
        references = [uri for uri in references if not uri.startswith("#")]
        assert references, "the signature covers nothing"
        with_xmlsec(folder, signature, references)
        with_signxml(folder, document, references)
        time_stamp(folder, document)
        if "/sig-hashchainresult.xml" in references:
            chain = etree.parse(str(folder / "sig-hashchain.xml"))
            for part in chain.findall(".//h:DataRef", NS):
                file = folder / part.get("URI").lstrip("/")
                if file.is_file():
                    wanted = base64_of(part.find("ds:DigestValue", NS))
                    assert hashlib.sha512(file.read_bytes()).digest() == wanted, f"digest of {part.get('URI')}"
    print(f"{container}: verified")

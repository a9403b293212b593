"""Judges signed documents with programs that nobody here wrote, and signs one. Prints one JSON object a line.

  documents.py pdf ROOT TSA MOMENT FILE...        pyHanko, and openssl ts for every time-stamp
  documents.py archive ROOT MOMENT FILE...        pyHanko judges archived documents as of a later moment
  documents.py container ROOT TSA MOMENT FILE...  zipfile, xmlsec1, signxml, and openssl ts over what lxml canonicalises
  documents.py sign KEY CERT TSA-KEY TSA-CERT ROOT INPUT OUTPUT   pyHanko signs and time-stamps (PAdES B-T)

Certificates and keys are PEM files, moments are seconds since 1970."""
import base64
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from urllib.parse import unquote

NS = {
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xades": "http://uri.etsi.org/01903/v1.3.2#",
    "xades141": "http://uri.etsi.org/01903/v1.4.1#",
}
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def say(**found):
    print(json.dumps(found, ensure_ascii=False))


def passes(*command):
    return subprocess.run([str(word) for word in command], capture_output=True).returncode == 0


def time_stamp_holds(token, data, root, tsa, moment):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "token").write_bytes(token)
        (folder / "data").write_bytes(data)
        return passes("openssl", "ts", "-verify", "-in", folder / "token", "-token_in", "-data", folder / "data",
                      "-CAfile", root, "-untrusted", tsa, "-attime", moment)


# --- PDF -----------------------------------------------------------------------------------------------------------

def at(moment):
    return datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc)


def pdf(root, tsa, moment, *files):
    from pyhanko.keys import load_cert_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
    from pyhanko_certvalidator import ValidationContext

    anchor = load_cert_from_pemder(root)

    def context():
        return ValidationContext(trust_roots=[anchor], allow_fetching=False, moment=at(moment))

    for file in files:
        content = pathlib.Path(file).read_bytes()
        signatures, stamps = [], []
        try:
            with open(file, "rb") as handle:
                reader = PdfFileReader(handle)
                for found in reader.embedded_signatures:
                    if found.sig_object_type == "/DocTimeStamp":
                        status = validate_pdf_timestamp(found, context())
                        first, length, second, rest = found.byte_range
                        covered = content[first:length] + content[second:second + rest]
                        stamps.append(status.valid and status.trusted and time_stamp_holds(
                            content_info(found), covered, root, tsa, moment))
                        continue
                    status = validate_pdf_signature(found, context(), ts_validation_context=context())
                    signatures.append({"holds": bool(status.bottom_line), "summary": status.summary()})
                    for attribute in found.signer_info["unsigned_attrs"] or []:
                        if attribute["type"].native == "signature_time_stamp_token":
                            value = found.signer_info["signature"].native
                            token = attribute["values"][0].dump()
                            stamps.append(time_stamp_holds(token, value, root, tsa, moment))
            say(file=pathlib.Path(file).name, signatures=signatures, stamps=stamps)
        except Exception as error:  # what pyHanko refuses to read, it refuses
            say(file=pathlib.Path(file).name, signatures=[], stamps=[], error=f"{type(error).__name__}: {error}")


def content_info(found):
    from asn1crypto import cms
    return cms.ContentInfo({"content_type": "signed_data", "content": found.signed_data}).dump()


def archive(root, moment, *files):
    """The youngest document time-stamp is judged at the moment, the signature at the time that it proves, by nothing but
    the statuses within the document."""
    from pyhanko.keys import load_cert_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import DocumentSecurityStore, validate_pdf_signature, validate_pdf_timestamp
    from pyhanko_certvalidator import ValidationContext

    given = {"trust_roots": [load_cert_from_pemder(root)], "allow_fetching": False}
    for file in files:
        with open(file, "rb") as handle:
            reader = PdfFileReader(handle)
            stamp = reader.embedded_timestamp_signatures[-1]
            stamped = validate_pdf_timestamp(stamp, ValidationContext(moment=at(moment), **given))
            then = DocumentSecurityStore.read_dss(reader).as_validation_context(
                {"moment": stamped.timestamp, "revocation_mode": "hard-fail", **given})
            status = validate_pdf_signature(reader.embedded_regular_signatures[0], then)
            say(file=pathlib.Path(file).name, stamp=stamped.valid and stamped.trusted, signature=status.bottom_line,
                proven=status.timestamp_validity.timestamp.timestamp(), summary=status.summary())


def sign(key, cert, tsa_key, tsa_cert, root, source, target):
    from pyhanko.keys import load_cert_from_pemder, load_private_key_from_pemder
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import signers
    from pyhanko.sign.fields import SigSeedSubFilter
    from pyhanko.sign.timestamps import DummyTimeStamper
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    anchor = load_cert_from_pemder(root)
    registry = SimpleCertificateStore()
    registry.register_multiple([anchor])
    signer = signers.SimpleSigner(load_cert_from_pemder(cert), load_private_key_from_pemder(key, None), registry)
    stamper = DummyTimeStamper(load_cert_from_pemder(tsa_cert), load_private_key_from_pemder(tsa_key, None))
    with open(source, "rb") as handle:
        writer = IncrementalPdfFileWriter(handle)
        metadata = signers.PdfSignatureMetadata(
            field_name="PyHanko", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES, reason="Макулмун")
        out = signers.sign_pdf(writer, metadata, signer=signer, timestamper=stamper)
    pathlib.Path(target).write_bytes(out.getbuffer())
    say(file=pathlib.Path(target).name, signed=True)


# --- containers ----------------------------------------------------------------------------------------------------

def octets(element):
    return base64.b64decode("".join(element.itertext()))


def canonical(element, method):
    from lxml import etree
    return etree.tostring(element, method="c14n", exclusive=method == EXCLUSIVE, with_comments=False)


def stamped_data(folder, signature, stamp):
    """What a time-stamp has to be over (ETSI EN 319 132-1, 5.3 and 5.5.2.2), put together without our code."""
    method = stamp.find("ds:CanonicalizationMethod", NS).get("Algorithm")
    value = signature.find("ds:SignatureValue", NS)
    if stamp.tag == f"{{{NS['xades']}}}SignatureTimeStamp":
        return canonical(value, method)
    data = b""
    for reference in signature.findall("ds:SignedInfo/ds:Reference", NS):
        uri = reference.get("URI")
        if uri.startswith("#"):
            target = signature.xpath(f"//*[@Id='{uri[1:]}']")[0]
            data += canonical(target, reference.find("ds:Transforms/ds:Transform", NS).get("Algorithm"))
        else:
            data += (folder / unquote(uri)).read_bytes()
    for name in ["ds:SignedInfo", "ds:SignatureValue", "ds:KeyInfo"]:
        data += canonical(signature.find(name, NS), method)
    for other in stamp.getparent():
        if other is stamp:
            break
        data += canonical(other, method)
    return data


def with_xmlsec(document, folder, references, root, moment):
    maps = [word for uri in references for word in (f"--url-map:{uri}", folder / unquote(uri))]
    when = at(moment).strftime("%Y-%m-%d+%H:%M:%S")
    return passes("xmlsec1", "--verify", "--id-attr:Id", "SignedProperties", *maps, "--trusted-pem", root,
                  "--enabled-key-data", "x509,rsa,ecdsa", "--X509-skip-strict-checks", "--verification-gmt-time", when,
                  document)


def with_signxml(tree, folder, references):
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from lxml import etree
    from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

    certificate = x509.load_der_x509_certificate(octets(tree.find(".//ds:X509Certificate", NS)))
    try:
        XAdESVerifier().verify(
            etree.tostring(tree.find(".//ds:Signature", NS)),
            x509_cert=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            uri_resolver=lambda uri: (folder / unquote(uri)).read_bytes(),
            expect_config=XAdESSignatureConfiguration(expect_references=len(references) + 1))
        return True
    except Exception:
        return False


def container(root, tsa, moment, *files):
    from lxml import etree

    for file in files:
        found = {"file": pathlib.Path(file).name, "zip": False, "covered": False, "xmlsec": [], "signxml": [], "stamps": []}
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            try:
                with zipfile.ZipFile(file) as archive:
                    first = archive.infolist()[0]
                    found["zip"] = (first.filename == "mimetype" and first.compress_type == zipfile.ZIP_STORED
                                    and archive.read("mimetype") == b"application/vnd.etsi.asic-e+zip"
                                    and archive.testzip() is None)
                    archive.extractall(folder)
                    names = {n for n in archive.namelist() if n != "mimetype" and not n.startswith("META-INF/")}
                covered = True
                for document in sorted((folder / "META-INF").glob("*signatures*.xml")):
                    tree = etree.parse(str(document))
                    signature = tree.find(".//ds:Signature", NS)
                    references = [r.get("URI") for r in signature.findall("ds:SignedInfo/ds:Reference", NS)]
                    references = [uri for uri in references if not uri.startswith("#")]
                    covered = covered and {unquote(uri) for uri in references} == names
                    found["xmlsec"].append(with_xmlsec(document, folder, references, root, moment))
                    found["signxml"].append(with_signxml(tree, folder, references))
                    stamps = signature.findall(".//xades:SignatureTimeStamp", NS)
                    for stamp in stamps + signature.findall(".//xades141:ArchiveTimeStamp", NS):
                        token = octets(stamp.find("xades:EncapsulatedTimeStamp", NS))
                        data = stamped_data(folder, signature, stamp)
                        found["stamps"].append(time_stamp_holds(token, data, root, tsa, moment))
                found["covered"] = covered
            except Exception as error:
                found["error"] = f"{type(error).__name__}: {error}"
        say(**found)


{"pdf": pdf, "archive": archive, "container": container, "sign": sign}[sys.argv[1]](*sys.argv[2:])

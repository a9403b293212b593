"""A consumer's information system made with zeep: gets the WSDL through the Security Server and asks the population
register with it. Arguments: URL of the Security Server, client, provider (identifiers), personal number."""
import email
import secrets
import sys
import tempfile
import urllib.request

import zeep
from lxml import etree

url, client, provider, number = sys.argv[1:]
ENVELOPE, XROAD, IDENTIFIERS = (
    "http://schemas.xmlsoap.org/soap/envelope/",
    "http://x-road.eu/xsd/xroad.xsd",
    "http://x-road.eu/xsd/identifiers",
)
NAMES = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion")


def identifier(tag, kind, parts):
    element = etree.Element(f"{{{XROAD}}}{tag}", {f"{{{IDENTIFIERS}}}objectType": kind})
    for name, part in zip(NAMES, parts):
        etree.SubElement(element, f"{{{IDENTIFIERS}}}{name}").text = part
    return element


def header(code, version):
    elements = [identifier("client", "SUBSYSTEM", client.split("/"))]
    elements.append(identifier("service", "SERVICE", [*provider.split("/"), code, *([version] if version else [])]))
    for name, text in (("id", secrets.token_hex(8)), ("userId", "KG12"), ("protocolVersion", "4.0")):
        element = etree.Element(f"{{{XROAD}}}{name}")
        element.text = text
        elements.append(element)
    return elements


def get_wsdl(code, version):
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope")
    etree.SubElement(envelope, f"{{{ENVELOPE}}}Header").extend(header("getWsdl", None))
    body = etree.SubElement(etree.SubElement(envelope, f"{{{ENVELOPE}}}Body"), f"{{{XROAD}}}getWsdl")
    etree.SubElement(body, f"{{{XROAD}}}serviceCode").text = code
    etree.SubElement(body, f"{{{XROAD}}}serviceVersion").text = version
    message = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
    request = urllib.request.Request(url, message, {"Content-Type": "text/xml; charset=UTF-8"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        kind, content = answer.headers["Content-Type"], answer.read()
    parts = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
    assert parts.is_multipart(), f"getWsdl answered {kind}: {content[:2000]!r}"
    return parts.get_payload()[1].get_payload(decode=True)


with tempfile.NamedTemporaryFile(suffix=".wsdl") as file:
    file.write(get_wsdl("personByNumber", "v1"))
    file.flush()
    service_client = zeep.Client(file.name)
binding = next(iter(service_client.wsdl.bindings))
service = service_client.create_service(binding, url)

answer = service.personByNumber(number=number, _soapheaders=header("personByNumber", "v1"))
body = getattr(answer, "body", answer)
person = getattr(body, "person", body)
assert person.number == number, f"another person: {person}"
family, given = person.familyName.cyrillic, person.givenName.cyrillic
print(f"{number}: {given} {family}")

answer = service.verifyPerson(number=number, familyName=family, givenName=given, _soapheaders=header("verifyPerson", "v1"))
matches = getattr(getattr(answer, "body", answer), "matches", answer)
assert matches is True or getattr(answer, "body", None) is True, f"the person is not recognised: {answer}"

try:
    service.personByNumber(number="20000000000000", _soapheaders=header("personByNumber", "v1"))
    raise SystemExit("a number that nobody holds was answered")
except zeep.exceptions.Fault as fault:
    print(f"nobody: {fault.code}: {fault.message}")

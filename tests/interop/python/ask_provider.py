"""Asks the provider of provider.py through a Security Server. Arguments: URL, client, provider (identifiers), code,
version. Prints the answer.

The library takes only prefixes that it writes itself, and no XML declaration."""
import secrets
import sys
import urllib.request

url, client, provider, code, version = sys.argv[1:]
NAMES = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion")


def identifier(tag, kind, parts):
    inner = "".join(f"<iden:{name}>{part}</iden:{name}>" for name, part in zip(NAMES, parts))
    return f'<xro:{tag} iden:objectType="{kind}">{inner}</xro:{tag}>'


first, second, note = secrets.randbelow(1000), secrets.randbelow(1000), "ө" + secrets.token_hex(4)
message = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xro="http://x-road.eu/xsd/xroad.xsd" xmlns:iden="http://x-road.eu/xsd/identifiers"><soapenv:Header>'
    + identifier("client", "SUBSYSTEM", client.split("/"))
    + identifier("service", "SERVICE", [*provider.split("/"), code, version])
    + f"<xro:id>{secrets.token_hex(8)}</xro:id><xro:userId>KG1</xro:userId><xro:protocolVersion>4.0</xro:protocolVersion>"
    f"</soapenv:Header><soapenv:Body><{code}><First>{first}</First><Second>{second}</Second><Note>{note}</Note></{code}>"
    "</soapenv:Body></soapenv:Envelope>"
)
request = urllib.request.Request(url, message.encode(), {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": f'"{code}"'})
answer = urllib.request.urlopen(request, timeout=60).read().decode()
print(answer)
assert f"<Sum>{first + second}</Sum>" in answer and note in answer, "the answer is not the sum that was asked for"

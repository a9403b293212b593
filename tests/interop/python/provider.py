"""A provider's information system, made with fastapi-xroad-soap. Arguments: address, port."""
import sys

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService
from fastapi_xroad_soap.elements import Integer, String

soap = SoapService(name="Invoices", path="/service", this_namespace="urn:tunduk:interop")


class addNumbers(MessageBody):
    first = Integer()
    second = Integer()
    note = String()


class addNumbersResponse(MessageBody):
    sum = Integer()
    note = String()


@soap.action("addNumbers")
def add(body: addNumbers) -> addNumbersResponse:
    return addNumbersResponse(sum=body.first + body.second, note=body.note)


uvicorn.run(soap, host=sys.argv[1], port=int(sys.argv[2]), log_level="warning")

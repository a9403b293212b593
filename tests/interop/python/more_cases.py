"""Further wrong messages of a consumer's Security Server, sent with xrpeer's own parts; its arguments and output.

more_cases.py FOLDER_OF_XRPEER client --target HOST:5500 --conf peer.json ...
"""

import datetime
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
import xrpeer  # noqa: E402

REFUSED = "fault"
SIGNATURE = "fault:SignatureVerification.*"
NO_STATUS = "fault:SslAuthenticationFailed.*"

present = xrpeer.now
ocsp_for = xrpeer.Peer.ocsp_for


def ocsp_of_another_time(self, cert, status="good", url=None):
    """Also status answers of two hours ago, and of an hour ahead."""
    shift = {"stale": -120, "ahead": 60}.get(status)
    if shift is None:
        return ocsp_for(self, cert, status, url)
    xrpeer.now = lambda: present() + datetime.timedelta(minutes=shift)
    try:
        return ocsp_for(self, cert, "good", url)
    finally:
        xrpeer.now = present


xrpeer.Peer.ocsp_for = ocsp_of_another_time


def drop(kind):
    def change(parts):
        left = [part for part in parts if part[0].split(";")[0] != kind]
        assert len(left) < len(parts), kind
        parts[:] = left

    return change


def swapped(parts):
    def swap(body):
        first, second = re.findall(rb"\r\n\r\n([01] [^\r]+)", body)
        return body.replace(first, b"#").replace(second, first).replace(b"#", second)

    xrpeer.edit(parts, "multipart/mixed", swap)


def one_more(parts):
    def more(body):
        piece = re.search(rb"--\S+\r\ncontent-type: text/plain\r\n\r\n[01] [^\r]+\r\n", body)[0]
        return body.replace(piece, piece + piece, 1)

    xrpeer.edit(parts, "multipart/mixed", more)


def retyped(parts):
    parts[1] = ("application/json", parts[1][1])


def cases(peer):
    case = xrpeer.case
    auth = peer.auth[1]
    return [
        case("good", "ok"),
        case("attachments-swapped", SIGNATURE, atts=2, mutate=swapped),
        case("attachment-twice", SIGNATURE, atts=2, mutate=one_more),
        case("attachments-missing", SIGNATURE, atts=2, mutate=drop("multipart/mixed")),
        case("message-missing", REFUSED, mutate=drop("text/xml")),
        case("rest-part-missing", REFUSED, rest=1, mutate=drop(xrpeer.T_RREQ)),
        case("rest-body-missing", SIGNATURE, rest=1, mutate=drop(xrpeer.T_RBODY)),
        case("chain-missing", REFUSED, atts=2, mutate=drop(xrpeer.T_HC)),
        case("chain-result-missing", REFUSED, atts=2, mutate=drop(xrpeer.T_HCR)),
        case("message-of-another-type", REFUSED, mutate=retyped),
        case("signer-status-stale", SIGNATURE, status="stale"),
        case("signer-status-ahead", SIGNATURE, status="ahead"),
        case(
            "server-status-stale",
            NO_STATUS,
            mutate=lambda p: p.__setitem__(0, (xrpeer.T_OCSP, peer.ocsp_for(auth, "stale"))),
        ),
        case(
            "server-status-ahead",
            NO_STATUS,
            mutate=lambda p: p.__setitem__(0, (xrpeer.T_OCSP, peer.ocsp_for(auth, "ahead"))),
        ),
        case("good-again", "ok", rest=1),
    ]


xrpeer.client_cases = cases
sys.exit(xrpeer.main())

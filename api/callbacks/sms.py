"""Where the SMS gateway tells us what became of text messages; it signs nothing, so the address holds the secret."""

import base64
import hmac

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.deps import Signed, WorldDep
from kernel.crypto import Vault
from kernel.errors import UnauthenticatedError
from kernel.outside import NotConfigured
from notices.rules.reach import Channel
from notices.service import recording

log = structlog.get_logger()
router = APIRouter(prefix="/api/callbacks/sms", tags=["callbacks"])
MOST = 500


def secret_of(vault: Vault) -> str:
    """The last part of the callback's address, as it is given to the gateway (``houfu doctor`` shows it)."""
    return base64.urlsafe_b64encode(vault.key("sms-callback")[:18]).decode()


@router.post("/{secret}", dependencies=[Signed])
async def status(secret: str, request: Request, world: WorldDep) -> Response:
    """Take the status reports of text messages; a wrong secret changes nothing. It can only say what became of a text.

    The gateway repeats what is not answered with ``result`` 0; said again, a report changes nothing.
    """
    if not hmac.compare_digest(secret.encode(), secret_of(world.db.vault).encode()):
        raise UnauthenticatedError
    line = world.ports.reach.sms if world.ports.reach is not None else None
    if line is None:
        raise NotConfigured("sms")
    try:
        reports = line.decode_status(await request.body())[:MOST]
    except ValueError:
        log.error("sms.status", refused="unreadable")
        return JSONResponse({"result": 1, "errmsg": "unreadable"}, 422)
    for one in reports:
        async with world.db.begin() as tx:
            await recording.record_receipt(
                tx, Channel.SMS, one.serial_no, arrived=one.arrived, trouble=one.trouble or None
            )
    return JSONResponse({"result": 0, "errmsg": "OK"})

"""A stock XMPP client, slixmpp, driven by another program.

It reads commands from standard input, one JSON object per line, {"id": 1, "do": "ping", "jid": "gateway.xmpp.test"}, and writes to
standard output, one JSON object per line:

    {"id": 1, "result": {...}}                            the command's result
    {"id": 1, "error": {"condition": ..., "type": ..., "text": ...}}   the stanza error that it met
    {"id": 1, "failure": "..."}                           it could not be carried out
    {"event": "message", "from": ..., "type": ..., "id": ..., "body": ...}
    {"event": "presence", "from": ..., "type": ..., "id": ..., "show": ..., "status": ...}
    {"event": "receipt", "from": ..., "id": ...}          with the plugin xep_0184: of the message that was received
    {"event": "carbon", "from": ..., "to": ..., "sent": ..., "id": ..., "body": ...}   with the plugin xep_0280: of the message inside
    {"event": "disconnected", "from": ""}

The commands are the methods of Driver. It ends with its standard input.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

TIMEOUT = 20  # seconds that an answer may take


def write(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Driver:
    """Carries out commands; each method but those with a leading underscore is one."""

    def __init__(self):
        self._client = None

    async def login(self, jid, password, host, port, ca, plugins=()):
        """Sign in, fetch the roster and send presence. ca is the server's authority in PEM, plugins are further ones."""
        client = slixmpp.ClientXMPP(jid, password)
        for plugin in ("xep_0030", "xep_0092", "xep_0199", *plugins):
            client.register_plugin(plugin)
        # Subscriptions are the other program's to answer.
        client.roster.auto_authorize = None
        client.roster.auto_subscribe = False
        with tempfile.NamedTemporaryFile("w", suffix=".crt", delete=False) as f:
            f.write(ca)
        client.ca_certs = f.name
        client.enable_direct_tls = False  # the port is the one of STARTTLS
        client.register_handler(Callback("driver message", StanzaPath("message"), self._on_message))
        client.register_handler(Callback("driver presence", StanzaPath("presence"), self._on_presence))

        client.add_event_handler("receipt_received", self._on_receipt)
        client.add_event_handler("carbon_received", lambda m: self._on_carbon(m["carbon_received"], False))
        client.add_event_handler("carbon_sent", lambda m: self._on_carbon(m["carbon_sent"], True))

        outcome = asyncio.get_running_loop().create_future()

        def settle(error):
            if not outcome.done():
                outcome.set_result(error)

        client.add_event_handler("session_start", lambda _: settle(None))
        client.add_event_handler("failed_all_auth", lambda _: settle("every mechanism of authentication failed"))
        client.add_event_handler("connection_failed", lambda reason: settle(f"connection failed: {reason}"))
        client.add_event_handler("disconnected", lambda _: write({"event": "disconnected", "from": ""}))
        client.connect(host, port)
        try:
            error = await asyncio.wait_for(outcome, TIMEOUT)
        finally:
            os.unlink(f.name)
        if error:
            raise RuntimeError(error)
        self._client = client
        await client.get_roster(timeout=TIMEOUT)
        if "xep_0280" in plugins:
            await client["xep_0280"].enable(timeout=TIMEOUT)
        client.send_presence()
        return {"jid": client.boundjid.full}

    async def disco_info(self, jid, node=None):
        answer = await self._client["xep_0030"].get_info(jid=jid, node=node, local=False, cached=False, timeout=TIMEOUT)
        info = answer["disco_info"]
        return {
            "identities": [
                {"category": c, "type": t, "lang": lang or "", "name": name or ""}
                for c, t, lang, name in sorted(info["identities"], key=str)
            ],
            "features": sorted(info["features"]),
        }

    async def disco_items(self, jid, node=None):
        answer = await self._client["xep_0030"].get_items(jid=jid, node=node, local=False, timeout=TIMEOUT)
        return [
            {"jid": str(j), "node": n or "", "name": name or ""}
            for j, n, name in sorted(answer["disco_items"]["items"], key=str)
        ]

    async def iq(self, type, payload, to=None):
        """Send an IQ with any payload, given as XML, and return the answer as XML, be it a result or an error."""
        iq = self._client.make_iq(itype=type, ito=to)
        iq.append(ElementTree.fromstring(payload))
        try:
            answer = await iq.send(timeout=TIMEOUT)
        except IqError as e:
            answer = e.iq
        return {"xml": str(answer)}

    async def ping(self, jid):
        await self._client["xep_0199"].send_ping(jid, timeout=TIMEOUT)

    async def version(self, jid):
        answer = await self._client["xep_0092"].get_version(jid, timeout=TIMEOUT)
        v = answer["software_version"]
        return {"name": v["name"] or "", "version": v["version"] or "", "os": v["os"] or ""}

    async def roster(self):
        # Not get_roster, which names the version that it has and then gets nothing.
        answer = await self._client.make_iq_get(queryxmlns="jabber:iq:roster").send(timeout=TIMEOUT)
        items = answer["roster"]["items"]
        return [{"jid": str(j), "subscription": i["subscription"], "ask": i["ask"] or ""} for j, i in sorted(items.items(), key=str)]

    async def send_message(self, to, body, type="chat", receipt=False):
        message = self._client.make_message(mto=to, mbody=body, mtype=type)
        message["id"] = self._client.new_id()
        if receipt:
            message["request_receipt"] = True
        message.send()
        return {"id": message["id"]}

    async def send_presence(self, to=None, type=None, status=None, show=None):
        self._client.send_presence(pto=to, ptype=type, pstatus=status, pshow=show)

    async def logout(self):
        await self._client.disconnect()

    def _on_message(self, m):
        write({"event": "message", "from": str(m["from"]), "type": m["type"], "id": m["id"], "body": m["body"]})

    def _on_receipt(self, m):
        write({"event": "receipt", "from": str(m["from"]), "id": m["receipt"]})

    def _on_carbon(self, m, sent):
        write({"event": "carbon", "sent": sent, "from": str(m["from"]), "to": str(m["to"]), "id": m["id"], "body": m["body"]})

    def _on_presence(self, p):
        write({
            "event": "presence", "from": str(p["from"]), "type": p.xml.get("type", ""), "id": p["id"],
            "show": p["show"], "status": p["status"],
        })


async def carry_out(driver, command):
    number, name = command.pop("id"), command.pop("do")
    try:
        method = None if name.startswith("_") else getattr(driver, name, None)
        if method is None:
            raise LookupError(f"no command {name}")
        write({"id": number, "result": await method(**command)})
    except IqError as e:
        write({"id": number, "error": {"condition": e.condition, "type": e.etype, "text": e.text}})
    except IqTimeout:
        write({"id": number, "failure": f"{name}: no answer within {TIMEOUT} s"})
    except Exception as e:  # whatever it is, the other program has to know
        write({"id": number, "failure": f"{name}: {type(e).__name__}: {e}"})


async def main():
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    driver, tasks = Driver(), set()
    while line := await lines.readline():
        task = loop.create_task(carry_out(driver, json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())

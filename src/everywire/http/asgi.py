"""`asgi`: a node's objects as an ASGI application, to be mounted or run by any server; and the way of each request.

Limit, Host and Origin, login, then the resource of the path. Whatever fails on this way is answered by a problem.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from everywire.errors import Code, Fault
from everywire.http._starlette import make_router
from everywire.http.callers import connected, log_in
from everywire.http.exchange import PLACE, Answer, Exchange, Gone, Receive, Scope, Send, log
from everywire.http.guarding import Rules
from everywire.http.hosting import HttpHost
from everywire.http.problems import Problem, absent, not_allowed, problem_of
from everywire.http.rest import Resources
from everywire.http.showing import Showing
from everywire.model import Caller
from everywire.runtime import audit
from everywire.runtime.node import Node
from everywire.runtime.wires import ClientSession

Handler = Callable[..., Awaitable[Answer | None]]


class Resource:
    """One path: its handlers by method. HEAD is GET without its body, which the server leaves out."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers: Mapping[str, Handler] = {method.upper(): handler for method, handler in handlers.items()}
        allowed = [*self._handlers, *(["HEAD"] if "GET" in self._handlers else []), "OPTIONS"]
        self._allowed = ", ".join(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[PLACE]
        method = scope.get("method", "GET")  # a WebSocket begins as a GET
        if method == "OPTIONS":
            await exchange.answer(Answer(status=204, headers=((b"allow", self._allowed.encode()),)))
            return
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise not_allowed(self._allowed)
        answer = await handler(exchange, **scope["path_params"])
        if answer is not None:
            await exchange.answer(answer)


async def _nothing_here(*_: object) -> None:
    raise absent()


class Application:
    """The ASGI application of one `HttpHost`."""

    def __init__(self, host: HttpHost) -> None:
        self._host = host
        rest = Resources(host)
        show = Showing(host, rest)
        one = "/objects/{name}"
        resources = {
            f"{one}/slots/{{member}}": Resource(post=rest.call),
            f"{one}/properties/{{member}}": Resource(get=rest.read, put=rest.write),
            f"{one}/properties": Resource(get=rest.properties),
            f"{one}/signals/{{member}}": Resource(get=rest.signal),
            f"{one}/events": Resource(get=rest.listen),
            f"{one}/contract": Resource(get=rest.contract),
            f"{one}/thing": Resource(get=show.thing),
            one: Resource(get=rest.object),
            "/objects": Resource(get=rest.objects),
            "/openapi.json": Resource(get=show.openapi),
            "/.well-known/wot": Resource(get=show.well_known),
            "/": Resource(get=show.page),
            "/page.js": Resource(get=show.script),
            "/page.css": Resource(get=show.style),
        }
        self._router = make_router(resources, {f"{one}/events": Resource(get=rest.listen)}, _nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            await self._serve(exchange)
        except (Problem, Fault) as error:
            problem = problem_of(error) if isinstance(error, Fault) else error
            if problem.counted:
                self._host.node.refusals[problem.counted] += 1
            await exchange.refuse(problem)
        except Gone:
            return
        except Exception:  # noqa: BLE001  what is left is a bug, and costs its own request only
            log.exception("a request to %.200r failed", scope.get("path"))
            detail = "this failed; the host's log says why"
            await exchange.refuse(Problem(500, detail, Code.INTERNAL, may_have_run=True))

    async def _serve(self, exchange: Exchange) -> None:
        host = self._host
        caller = connected(exchange)
        if host.closing:
            if exchange.line is not None and not exchange.websocket:
                exchange.extra = ((b"connection", b"close"),)
            raise problem_of(Fault(Code.UNAVAILABLE, "the host is closing", may_have_run=False))
        host.requests.charge(caller)
        self._check_rules(exchange, caller)
        preflight = host.rules.preflight(exchange)
        if preflight:
            await exchange.answer(Answer(status=204, headers=preflight))
            return
        await log_in(exchange, caller, host.node.tokens)
        scope = exchange.scope
        if b"%2" in (raw := scope.get("raw_path") or b"") and b"%2f" in raw.lower():
            raise absent()  # servers decode it, so that one path would have two meanings
        scope[PLACE] = exchange
        await self._router(scope, exchange.receive, exchange.send)

    def _check_rules(self, exchange: Exchange, caller: Caller) -> None:
        try:
            self._host.rules.check(exchange)
        except Problem as problem:
            problem.counted = "host_or_origin"
            if problem.status != 400:
                what, header = ("host", b"host") if problem.status == 421 else ("origin", b"origin")
                audit.denied(what, caller, **{f"named_{what}": exchange.text(header)})
            raise


class _Joining:
    """How a mounted application becomes a server of its node: somebody else listens."""

    url = ""
    host: HttpHost

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def serve(self, node: Node) -> HttpHost:
        """Make the host."""
        self.host = HttpHost(node, self._rules)
        return self.host

    async def open(self, node: Node) -> ClientSession:
        """Raise: there is nothing to connect to."""
        raise NotImplementedError


class Mountable:
    """The ASGI application that `asgi` returns."""

    def __init__(self, node: Node, rules: Rules) -> None:
        self._node, self._rules = node, rules
        self._app: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._app is None:
            try:
                self._app = await self._begin()
            except Fault as fault:
                log.error("%s", fault.message)
                await Exchange(scope, receive, send).refuse(problem_of(fault))
                return
        await self._app(scope, receive, send)

    async def _begin(self) -> Application:
        node = self._node
        if not node.running_here:
            advice = (
                "the node of this application does not run in its server's loop: enter it there, "
                "for instance 'async with node: yield' in the lifespan of the application that mounts this one"
            )
            raise Fault(Code.UNAVAILABLE, advice, may_have_run=False)
        joining = _Joining(self._rules)
        await node.serve(joining)
        return Application(joining.host)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Run the node as long as the server runs, unless somebody has entered it already."""
        await receive()
        if self._node.running_here:
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        try:
            async with self._node:
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:  # noqa: BLE001  the server is told, and ends
            log.exception("the node of this application cannot run")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def asgi(node: Node, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> Mountable:
    """Return the published objects of *node* as an ASGI application, for `app.mount("/things", …)` or any server.

    The node must run in the server's loop: enter it in the lifespan of the application that mounts this one; alone
    under a server, the application does that itself. *hosts* are the names under which the server is reached, other
    than addresses and ``localhost``; *origins* the origins of foreign web pages that may use it.
    """
    return Mountable(node, Rules(hosts=hosts, origins=origins))

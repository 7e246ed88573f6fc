"""Records the calls of functions: tasks of a queue, RPC, jobs.

    recorded = usage_of(log)

    @recorded
    def send_mail(...): ...

Sync, async, generators of both kinds. A generator's call ends with the generator.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.usage.calls import Call, Calls
from app.usage.log import UsageLog

__all__ = ["usage_of"]

Function = TypeVar("Function", bound=Callable[..., Any])
Begun = Callable[..., Call]


def usage_of(log: UsageLog, user_of: Callable[..., str | None] | None = None) -> Callable[[Function], Function]:
    """A decorator. `user_of`: who calls, from the function's arguments. Method `CALL`, the URI is the function's full name."""
    calls = Calls(log, user_of and (lambda source: user_of(*source[0], **source[1])))

    def decorate(function: Function) -> Function:
        name = f"{function.__module__}.{function.__qualname__}"

        def begun(*given: Any, **named: Any) -> Call:
            return Call().begin(calls, (given, named), "CALL", name)

        return functools.wraps(function)(_wrapped(function, begun))  # type: ignore[return-value]  # the same signature

    return decorate


_END: Any = object()


async def _or_end(step: Awaitable[Any]) -> Any:
    try:
        return await step
    except StopAsyncIteration:
        return _END


def _wrapped(function: Callable[..., Any], begun: Begun) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):

        async def generates_async(*given: Any, **named: Any) -> Any:
            with begun(*given, **named):
                inner = function(*given, **named)
                value = await _or_end(anext(inner))
                while value is not _END:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:
                        value = await _or_end(inner.athrow(error))
                    else:
                        value = await _or_end(inner.asend(sent))

        return generates_async
    if inspect.isgeneratorfunction(function):

        def generates(*given: Any, **named: Any) -> Any:
            with begun(*given, **named):
                return (yield from function(*given, **named))

        return generates
    if inspect.iscoroutinefunction(function):

        async def awaits(*given: Any, **named: Any) -> Any:
            with begun(*given, **named):
                return await function(*given, **named)

        return awaits

    def calls(*given: Any, **named: Any) -> Any:
        with begun(*given, **named):
            return function(*given, **named)

    return calls

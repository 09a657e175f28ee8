"""How a synchronous twin is made from an asynchronous class: each method is wrapped, its signature is kept."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from automarket.sync.background import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

OriginalT = TypeVar("OriginalT")
T = TypeVar("T")
P = ParamSpec("P")

_END = object()


class Twin(Generic[OriginalT]):
    """The synchronous twin of an asynchronous object."""

    def __init__(self, original: OriginalT) -> None:
        self.original = original

    def __repr__(self) -> str:
        """Show the original."""
        return f"<sync {self.original!r}>"


def waits(
    method: Callable[Concatenate[OriginalT, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Twin[OriginalT], P], T]:
    """Give a method that waits for what the asynchronous one gives."""

    @wraps(method)
    def twin(self: Twin[OriginalT], *args: P.args, **kwargs: P.kwargs) -> T:
        return run(method(self.original, *args, **kwargs))

    return twin


def iterates(
    method: Callable[Concatenate[OriginalT, P], AsyncIterator[T]],
) -> Callable[Concatenate[Twin[OriginalT], P], Iterator[T]]:
    """Give a method that iterates over what the asynchronous one gives out."""

    @wraps(method)
    def twin(self: Twin[OriginalT], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return iterate(method(self.original, *args, **kwargs))

    return twin


def iterate_open(source: AsyncIterator[T]) -> Iterator[T]:
    """Give what an asynchronous iterator gives; leaving the iteration leaves it where it is."""
    while (item := run(_next(source))) is not _END:
        yield cast("T", item)


def iterate(source: AsyncIterator[T]) -> Iterator[T]:
    """Give what an asynchronous iterator gives; leaving the iteration closes it."""
    try:
        while (item := run(_next(source))) is not _END:
            yield cast("T", item)
    finally:
        close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(source, "aclose", None)
        if close is not None:
            run(close())


async def _next(source: AsyncIterator[T]) -> T | object:
    return await anext(source, _END)

"""What an environment needs of a client: a conversation in, one `Response` out.

A client of a provider fills in six conversions around one call; `get_response` is the order in which they run. This
module knows no provider and imports none.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from verifiers_tito.types import ClientConfig, Messages, Response, SamplingArgs, Tool, to_messages

ClientT = TypeVar("ClientT")
MessagesT = TypeVar("MessagesT")
ResponseT = TypeVar("ResponseT")
ToolT = TypeVar("ToolT")


class Client(ABC, Generic[ClientT, MessagesT, ResponseT, ToolT]):
    """Made from a provider's client (which stays its owner's to close) or from a `ClientConfig`."""

    authentication_errors: ClassVar[tuple[type[Exception], ...]] = ()
    """The provider's errors for a refused key: raised as they are, because they concern every rollout."""

    def __init__(self, client_or_config: ClientT | ClientConfig) -> None:
        self.logger = logging.getLogger(f"{type(self).__module__}.{type(self).__name__}")
        self.config: ClientConfig | None = None
        if isinstance(client_or_config, ClientConfig):
            self.config = client_or_config
            self._client = self.setup_client(client_or_config)
        else:
            self._client = client_or_config

    @property
    def client(self) -> ClientT:
        """The provider's own client."""
        return self._client

    @abstractmethod
    def setup_client(self, config: ClientConfig) -> ClientT: ...

    @abstractmethod
    async def to_native_tool(self, tool: Tool) -> ToolT: ...

    @abstractmethod
    async def to_native_prompt(self, messages: Messages) -> tuple[MessagesT, dict[str, Any]]:
        """The provider's messages, and keyword arguments for `get_native_response` that go with them."""

    @abstractmethod
    async def get_native_response(
        self,
        prompt: MessagesT,
        model: str,
        sampling_args: SamplingArgs,
        tools: list[ToolT] | None = None,
        **kwargs: Any,
    ) -> ResponseT: ...

    @abstractmethod
    async def raise_from_native_response(self, response: ResponseT) -> None:
        """Raises where the provider answered, but not with a completion."""

    @abstractmethod
    async def from_native_response(self, response: ResponseT) -> Response: ...

    @abstractmethod
    async def close(self) -> None:
        """Closes the provider's client if this object made it."""

    async def to_native_tools(self, tools: list[Tool] | None) -> list[ToolT] | None:
        return None if tools is None else [await self.to_native_tool(tool) for tool in tools]

    async def get_response(
        self,
        prompt: Messages,
        model: str,
        sampling_args: SamplingArgs | None = None,
        tools: list[Tool] | None = None,
        **kwargs: Any,
    ) -> Response:
        """One turn. `state` (keyword) is the rollout's state; clients that look back at the trajectory need it.

        Raises errors of `verifiers_tito.errors`, or the provider's own authentication errors.
        """
        native_prompt, extra = await self.to_native_prompt(to_messages(prompt))
        native_tools = await self.to_native_tools(tools)
        native = await self.get_native_response(
            native_prompt, model, sampling_args or {}, native_tools, **extra, **kwargs
        )
        await self.raise_from_native_response(native)
        return await self.from_native_response(native)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

"""Arguments of a tool as a pydantic model: the JSON schema that a model is shown, and the check of what it sends.

Values are converted as pydantic does ("3" for an int is 3); names that the function does not have are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaError

from verifiers_tito.errors import ConfigError, ToolParseError
from verifiers_tito.tools.inlining import inline_definitions
from verifiers_tito.tools.parameters import REQUIRED, FunctionParameter


class ArgumentModel:
    """The arguments of one tool. `takes_others`: any other name is fine, too."""

    def __init__(
        self,
        tool: str,
        parameters: Sequence[FunctionParameter],
        *,
        descriptions: Mapping[str, str] | None = None,
        takes_others: bool = False,
    ) -> None:
        self._tool = tool
        self._names = {f"argument_{number}": parameter.name for number, parameter in enumerate(parameters)}
        self._with_pydantic_default = {
            field for field, parameter in zip(self._names, parameters, strict=True) if _has_pydantic_default(parameter)
        }
        self._model = self._make_model(parameters, descriptions or {}, takes_others=takes_others)

    def json_schema(self) -> dict[str, Any]:
        """The schema of all arguments. Raises `ConfigError` for a type that JSON has no words for."""
        try:
            schema = self._model.model_json_schema(schema_generator=_UntitledSchema)
        except PydanticInvalidForJsonSchema as error:
            raise ConfigError(
                f"tool {self._tool}: a parameter's type has no JSON schema ({error.message}); "
                "annotate it otherwise, or hide it with StatefulToolEnv.add_tool(args_to_skip=...)"
            ) from error
        return {"type": "object", **inline_definitions(schema)}

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the function takes them, only those that were given.

        Raises `ToolParseError`, whose text says what is wrong with which argument.
        """
        try:
            model = self._model.model_validate(dict(values))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
            raise self.refusal("; ".join(wrong)) from error
        given = model.model_fields_set | self._with_pydantic_default
        known = {name: getattr(model, field) for field, name in self._names.items() if field in given}
        return {**known, **(model.model_extra or {})}

    def refusal(self, wrong: str) -> ToolParseError:
        """An error that says what is wrong, and which arguments there are."""
        known = ", ".join(self._names.values()) or "no arguments"
        return ToolParseError(f"{self._tool} was not called: {wrong}. It takes {known}")

    def _make_model(
        self, parameters: Sequence[FunctionParameter], descriptions: Mapping[str, str], *, takes_others: bool
    ) -> type[BaseModel]:
        """Fields have names of our own, because some (`schema`, `_x`) mean something else to pydantic."""
        fields: dict[str, Any] = {}
        for field, parameter in zip(self._names, parameters, strict=True):
            annotation = _described(parameter, descriptions.get(parameter.name))
            fields[field] = (annotation, ... if parameter.default is REQUIRED else parameter.default)
        config = ConfigDict(extra="allow" if takes_others else "forbid", arbitrary_types_allowed=True)
        try:
            return create_model(self._tool, __config__=config, **fields)
        except (PydanticSchemaGenerationError, SchemaError) as error:
            raise ConfigError(f"tool {self._tool}: a parameter's type cannot be checked: {error}") from error


class _UntitledSchema(GenerateJsonSchema):
    """Titles repeat the names: a prompt is shorter without them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - pydantic declares it so

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _described(parameter: FunctionParameter, from_docstring: str | None) -> Any:
    """The annotation with our alias; what the author wrote into it (`Field`, or a text as description) wins."""
    base, *metadata = get_args(parameter.annotation) if _is_annotated(parameter) else [parameter.annotation]
    texts = [item for item in metadata if isinstance(item, str)]
    description = next(iter(texts), from_docstring)
    ours = Field(description=description) if description else Field()
    others = [item for item in metadata if not isinstance(item, str)]
    return Annotated[(base, ours, *others, Field(alias=parameter.name))]


def _is_annotated(parameter: FunctionParameter) -> bool:
    return get_origin(parameter.annotation) is Annotated


def _has_pydantic_default(parameter: FunctionParameter) -> bool:
    """`x: int = Field(default=3)`: the function's own default is no value."""
    return isinstance(parameter.default, FieldInfo)

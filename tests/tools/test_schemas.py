"""What a model is shown of a function."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

import verifiers_tito as vf
from verifiers_tito.tools import FunctionTool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Circle(BaseModel):
    centre: Point
    radius: Annotated[float, Field(gt=0)]


class Label(TypedDict):
    text: str


@dataclass
class Tree:
    children: list[Tree] = field(default_factory=list)


def parameters_of(function: Callable[..., Any]) -> Any:
    return vf.convert_func_to_tool_def(function).parameters


def properties_of(function: Callable[..., Any]) -> dict[str, Any]:
    return parameters_of(function)["properties"]


def test_a_function_becomes_name_description_and_parameters() -> None:
    def add(a: int, b: int = 2) -> int:
        """Adds two numbers.

        It knows no others.

        Args:
            a: the first number,
                a whole one
            b (int): the second

        Returns:
            the sum
        """
        return a + b

    tool = vf.convert_func_to_tool_def(add)
    assert (tool.name, tool.strict) == ("add", None)
    assert tool.description == "Adds two numbers.\n\nIt knows no others."
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "the first number,\na whole one"},
            "b": {"type": "integer", "description": "the second", "default": 2},
        },
        "required": ["a"],
        "additionalProperties": False,
    }


NUMPY = """Finds.

Parameters
----------
a, b : int
    two numbers
"""
SPHINX = """Finds.

:param a: two numbers
:param int b: two numbers
"""


@pytest.mark.parametrize("docstring", [NUMPY, SPHINX])
def test_docstrings_of_other_styles_are_read(docstring: str) -> None:
    def find(a: int, b: int) -> None: ...

    find.__doc__ = docstring
    assert vf.convert_func_to_tool_def(find).description == "Finds."
    assert [entry["description"] for entry in properties_of(find).values()] == ["two numbers"] * 2


def test_a_function_without_hints_and_docstring_still_is_a_tool() -> None:
    def plain(anything, other=None): ...  # type: ignore[no-untyped-def]

    tool = vf.convert_func_to_tool_def(plain)
    assert tool.description == ""
    assert tool.parameters["properties"] == {"anything": {}, "other": {"default": None}}
    assert FunctionTool.of(plain).check_sent({"anything": [1, "x"]}) == {"anything": [1, "x"]}


def test_a_function_without_parameters_takes_none() -> None:
    def now() -> str: ...

    assert parameters_of(now) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_types_of_every_kind_have_schemas_without_references() -> None:
    def draw(
        circle: Circle,
        colours: list[Colour],
        label: Label,
        how: Literal["filled", "outlined"] = "filled",
        weight: Optional[int] = None,  # noqa: UP045
        implicit: int = None,  # type: ignore[assignment]  # noqa: RUF013
    ) -> None: ...

    schema = parameters_of(draw)
    assert "$ref" not in json.dumps(schema)
    assert schema["required"] == ["circle", "colours", "label"]
    shown = schema["properties"]
    assert shown["circle"]["properties"]["centre"]["properties"]["x"] == {"type": "integer"}
    assert shown["circle"]["properties"]["radius"]["exclusiveMinimum"] == 0
    assert shown["colours"] == {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}}
    assert shown["label"]["required"] == ["text"]
    assert shown["how"]["enum"] == ["filled", "outlined"]
    assert shown["weight"]["anyOf"] == [{"type": "integer"}, {"type": "null"}] == shown["implicit"]["anyOf"]


def test_a_type_that_holds_itself_keeps_its_reference() -> None:
    def plant(tree: Tree) -> None: ...

    schema = parameters_of(plant)
    assert schema["properties"]["tree"]["$ref"] == "#/$defs/Tree"
    jsonschema.validate({"tree": {"children": [{"children": []}]}}, schema)


def test_an_author_s_own_description_and_limits_win() -> None:
    def roll(
        sides: Annotated[int, Field(ge=2, description="from the annotation")],
        times: int = Field(default=3, description="from the default"),
        named: Annotated[str, "from the text"] = "x",
    ) -> tuple[int, int, str]:
        """Rolls.

        Args:
            sides: from the docstring
            times: from the docstring
            named: from the docstring
        """
        return sides, times, named

    shown = properties_of(roll)
    assert shown["sides"] == {"type": "integer", "minimum": 2, "description": "from the annotation"}
    assert shown["times"] == {"type": "integer", "default": 3, "description": "from the default"}
    assert shown["named"]["description"] == "from the text"
    assert FunctionTool.of(roll).check_sent({"sides": 6}) == {"sides": 6, "times": 3}


def test_names_that_mean_something_to_pydantic_are_names_like_others() -> None:
    def odd(schema: int, _hidden: int, model_config: int, json: int) -> None: ...

    tool = FunctionTool.of(odd)
    sent = {"schema": 1, "_hidden": 2, "model_config": 3, "json": 4}
    assert list(tool.definition.parameters["properties"]) == list(sent)
    assert tool.check_sent(sent) == sent


def test_a_default_that_is_no_json_is_not_shown() -> None:
    marker = object()

    def find(what: Any = marker) -> Any:
        return what

    assert properties_of(find) == {"what": {}}


class Searcher:
    """Searches."""

    async def __call__(self, query: str) -> str:
        return query

    def find(self, query: str) -> str:
        """Finds."""
        return query


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@logged
def greet(name: str, greeting: str = "Hello") -> str:
    """Greets."""
    return f"{greeting} {name}"


@pytest.mark.parametrize(
    ("function", "name", "description", "arguments"),
    [
        (Searcher(), "Searcher", "Searches.", ["query"]),
        (Searcher().find, "find", "Finds.", ["query"]),
        (greet, "greet", "Greets.", ["name", "greeting"]),
        (functools.partial(greet, greeting="Bye"), "greet", "Greets.", ["name"]),
        (functools.partial(greet, "Ann"), "greet", "Greets.", ["greeting"]),
        (Point, "Point", "Point(x: 'int', y: 'float' = 0.0)", ["x", "y"]),
    ],
)
def test_the_function_behind_a_callable_is_found(
    function: Any, name: str, description: str, arguments: list[str]
) -> None:
    tool = vf.convert_func_to_tool_def(function)
    assert (tool.name, tool.description, list(tool.parameters["properties"])) == (name, description, arguments)


def test_what_a_partial_has_bound_cannot_be_sent() -> None:
    def fetch(url: str, key: str, **options: Any) -> None: ...

    tool = FunctionTool.of(functools.partial(fetch, key="secret"))
    assert tool.check_sent({"url": "a", "depth": 2}) == {"url": "a", "depth": 2}
    with pytest.raises(vf.ToolParseError, match=r"fetch was not called: key: no such argument. It takes url"):
        tool.check_sent({"url": "a", "key": "mine"})


def takes_unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def takes_a_function(f: Callable[[int], int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: a, "a tool's name is made of letters, digits and _.-, got '<lambda>'; write it with def"),
        (takes_unknown, "tool takes_unknown: its signature cannot be read .*'Nowhere' is not defined"),
        (takes_a_function, "tool takes_a_function: a parameter's type has no JSON schema .*args_to_skip"),
        (int, "tool int: its signature cannot be read"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused(function: Any, message: str) -> None:
    with pytest.raises(vf.ConfigError, match=message):
        vf.convert_func_to_tool_def(function)


def test_hidden_parameters_are_not_in_the_schema_and_need_no_types() -> None:
    def move(to: Point, board: Nowhere, rule: Callable[[int], int]) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Moves.

        Args:
            to: where to
            board: the board
        """

    tool = FunctionTool.of(move, hidden=["board", "rule"])
    assert list(tool.definition.parameters["properties"]) == ["to"]
    assert "board" not in json.dumps(tool.definition.parameters)


def test_hiding_what_is_not_there_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    FunctionTool.of(greet, hidden=["stat"])
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "tool greet has no argument stat that could be hidden"
    ]


POINTS = st.fixed_dictionaries({"x": st.integers()}, optional={"y": st.floats(allow_nan=False, allow_infinity=False)})
TEXTS = st.text('aé {}"\\\n😀', max_size=20)
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    str: TEXTS,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    list[int]: st.lists(st.integers()),
    dict[str, bool]: st.dictionaries(TEXTS, st.booleans()),
    Optional[str]: st.none() | TEXTS,  # noqa: UP045
    Literal["a", 1]: st.sampled_from(["a", 1]),
    Colour: st.sampled_from(["red", "blue"]),
    Point: POINTS,
    list[Point]: st.lists(POINTS),
    Label: st.fixed_dictionaries({"text": TEXTS}),
    Any: st.recursive(st.none() | st.integers() | TEXTS, st.lists),
}
NAMES = ["a", "_b", "schema", "copy", "kind"]


@st.composite
def functions_with_arguments(draw: st.DrawFn) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function of up to five parameters, some of them with defaults, and values for all those that need one."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), max_size=len(NAMES)))
    required = draw(st.integers(0, len(kinds)))
    names = NAMES[: len(kinds)]
    written = [name if position < required else f"{name}=None" for position, name in enumerate(names)]
    made: dict[str, Any] = {}
    exec(f"def tool({', '.join(written)}): return locals()", made)
    made["tool"].__annotations__ = dict(zip(names, kinds, strict=True))
    given = [name for position, name in enumerate(names) if position < required or draw(st.booleans())]
    return made["tool"], {name: draw(KINDS[kinds[names.index(name)]]) for name in given}


@settings(max_examples=60, deadline=None)
@given(functions_with_arguments())
def test_the_schema_accepts_what_the_function_accepts(made: tuple[Callable[..., Any], dict[str, Any]]) -> None:
    function, sent = made
    tool = FunctionTool.of(function)
    jsonschema.validate(sent, tool.definition.parameters)
    assert tool.check_sent(json.loads(json.dumps(sent))).keys() == sent.keys()
    for name in sent.keys() & set(tool.definition.parameters.get("required", [])):
        without = {key: value for key, value in sent.items() if key != name}
        with pytest.raises(vf.ToolParseError, match=f"{name}: Field required"):
            tool.check_sent(without)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(without, tool.definition.parameters)

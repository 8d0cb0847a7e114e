"""Templates are read once, into functions. Source: Apache Velocity user guide; API Gateway developer guide, "Mapping
template overrides" for what may be set."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from nextpick.gateway.velocity import nodes
from nextpick.gateway.velocity.expressions import Reader
from nextpick.gateway.velocity.methods import LARGEST_TEXT, TooLarge
from nextpick.gateway.velocity.nodes import Node, Run, Stop, TemplateError

_LARGEST_TEMPLATE = 300 * 1024  # Source: API Gateway quotas, "Mapping template size"
_DEEPEST = 50
_PIECE = re.compile(
    r"(?P<comment>##[^\n]*\n?|#\*.*?\*#)|(?P<escaped>\\[$#])"
    r"|#(?:\{(?P<braced>[a-z]+)\}|(?P<directive>set|if|elseif|else|end|foreach|break|stop)(?![A-Za-z0-9_]))"
    r"|(?P<reference>\$!?(?:\{[A-Za-z]|[A-Za-z]))",
    re.S,
)
_REST_OF_LINE = re.compile(r"[ \t]*\n")


class Template:
    """A template that was read. ``render`` may be called by many at once."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def render(self, variables: Mapping[str, Any]) -> str:
        """Return the text. Raises TemplateError."""
        run = Run(variables)
        try:
            self.node(run)
        except Stop:
            pass
        except (TooLarge, RecursionError):
            raise TemplateError(f"The template makes more than {LARGEST_TEXT} characters.") from None
        except nodes.Break:
            raise TemplateError("#break stands outside of #foreach.") from None
        return "".join(run.output)


@functools.lru_cache(maxsize=512)
def compile_template(source: str) -> Template:
    """Read a template. Raises TemplateError saying what is wrong, and at which line."""
    if len(source) > _LARGEST_TEMPLATE:
        raise TemplateError(f"The template is larger than {_LARGEST_TEMPLATE} characters.")
    parser = _Parser(source)
    node, ended = parser.block(0)
    if ended != "":
        raise parser.wrong(f"#{ended} has no #if or #foreach before it")
    return Template(node)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source, self.at = source, 0

    def block(self, depth: int) -> tuple[Node, str]:
        """Read up to the directive that ends a block; return the block and that directive, "" at the end."""
        if depth > _DEEPEST:
            raise self.wrong("blocks are nested too deeply")
        parts: list[Node] = []
        while True:
            match = _PIECE.search(self.source, self.at)
            text = self.source[self.at : match.start() if match else None]
            if text:
                parts.append(lambda run, text=text: run.write(text))
            if match is None:
                self.at = len(self.source)
                return _sequence(parts), ""
            self.at = match.end()
            if match["escaped"]:
                parts.append(lambda run, text=match["escaped"][1]: run.write(text))
            elif match["reference"]:
                self.at = match.start()
                parts.append(self.written())
            elif not match["comment"]:
                name = match["braced"] or match["directive"]
                if name in ("end", "else", "elseif"):
                    self.eat_line()
                    return _sequence(parts), name
                parts.append(self.directive(name, depth))

    def directive(self, name: str, depth: int) -> Node:
        if name == "set":
            node = self.set()
        elif name == "if":
            return self.condition(depth)
        elif name == "foreach":
            return self.loop(depth)
        elif name in ("break", "stop"):
            node = _raising(nodes.Break if name == "break" else Stop)
        else:
            raise self.wrong(f"#{name} is not known")
        self.eat_line()
        return node

    def written(self) -> Node:
        start = self.at
        is_quiet = self.source.startswith("$!", start)
        reader = self.reader()
        value = reader.reference()
        self.at = reader.at
        return nodes.written(self.source[start : self.at], value, is_quiet)

    def set(self) -> Node:
        reader = self.reader()
        reader.expect("(")
        name, links = reader.target()
        reader.expect("=")
        value = reader.expression()
        reader.expect(")")
        self.at = reader.at
        if not links:

            def assign(run: Run) -> None:
                run.variables[name] = nodes.known(value(run))

            return assign
        holder, (last, index) = nodes.reference(name, links[:-1]), links[-1]

        def put(run: Run) -> None:
            held = nodes.known(holder(run))
            key = last if last is not None else index(run)  # type: ignore[operator, misc]
            if isinstance(held, dict):
                held[key] = nodes.known(value(run))

        return put

    def condition(self, depth: int) -> Node:
        branches: list[tuple[nodes.Value | None, Node]] = []
        test: nodes.Value | None = self.bracketed()
        while True:
            self.eat_line()
            node, ended = self.block(depth + 1)
            branches.append((test, node))
            if ended == "end":
                break
            if ended == "" or test is None:
                raise self.wrong("#if has no #end")
            test = self.bracketed() if ended == "elseif" else None

        def choose(run: Run) -> None:
            run.step()
            for condition, node in branches:
                if condition is None or nodes.is_true(condition(run)):
                    node(run)
                    return

        return choose

    def loop(self, depth: int) -> Node:
        reader = self.reader()
        reader.expect("(")
        name, links = reader.target()
        if links or not reader.word("in"):
            raise self.wrong("#foreach needs ($name in list)")
        values = reader.expression()
        reader.expect(")")
        self.at = reader.at
        self.eat_line()
        node, ended = self.block(depth + 1)
        if ended != "end":
            raise self.wrong("#foreach has no #end")

        def each(run: Run) -> None:
            found = nodes.known(values(run))
            items = list(found.values()) if isinstance(found, dict) else found
            if not isinstance(items, list):
                return
            held = {key: run.variables.get(key, nodes.ABSENT) for key in (name, "foreach", "velocityCount")}
            for n, item in enumerate(list(items)):
                run.step()
                last = n == len(items) - 1
                told = {"index": n, "count": n + 1, "hasNext": not last, "first": n == 0, "last": last}
                run.variables.update({name: item, "foreach": told, "velocityCount": n + 1})
                try:
                    node(run)
                except nodes.Break:
                    break
            for key, before in held.items():
                if before is nodes.ABSENT:
                    run.variables.pop(key, None)
                else:
                    run.variables[key] = before

        return each

    def bracketed(self) -> nodes.Value:
        reader = self.reader()
        reader.expect("(")
        value = reader.expression()
        reader.expect(")")
        self.at = reader.at
        return value

    def reader(self) -> Reader:
        return Reader(self.source, self.at, self.wrong)

    def eat_line(self) -> None:
        """Leave out the rest of a directive's line where nothing stands in it."""
        match = _REST_OF_LINE.match(self.source, self.at)
        if match:
            self.at = match.end()

    def wrong(self, what: str, at: int | None = None) -> TemplateError:
        line = self.source.count("\n", 0, self.at if at is None else at) + 1
        return TemplateError(f"The template cannot be read at line {line}: {what}.")


def _sequence(parts: list[Node]) -> Node:
    if len(parts) == 1:
        return parts[0]

    def follow(run: Run) -> None:
        for part in parts:
            part(run)

    return follow


def _raising(kind: type[Exception]) -> Node:
    def leave(run: Run) -> None:
        raise kind

    return leave

"""Mapping templates: the Velocity Template Language, over JSON values and nothing else."""

from nextpick.gateway.velocity.nodes import TemplateError
from nextpick.gateway.velocity.parse import Template, compile_template

__all__ = ["Template", "TemplateError", "compile_template"]

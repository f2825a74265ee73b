"""Template texts and values → text. An undefined value is an error that names the template and the value, never an empty string."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, TemplateNotFound

from orchestrator.errors import RenderFailed
from orchestrator.rendering.values import Templates


def render_text(templates: Templates, name: str, values: Mapping[str, object]) -> str:
    """Render one template. Raises RenderFailed."""
    try:
        return _environment(templates).get_template(name).render(values)
    except TemplateNotFound:
        known = ", ".join(template for template, _ in templates.texts) or "none"
        raise RenderFailed(
            f"templates/{name} does not exist (there are: {known})",
            next_step="Put the file back, or install genesis-fleet again.",
        ) from None
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f"templates/{name}:{line}" if line else f"templates/{name}"
        raise RenderFailed(f"{place}: {error.message}", next_step="Correct the template.") from error


@lru_cache(maxsize=8)
def _environment(templates: Templates) -> Environment:
    """Build the environment once for the same texts: compiling costs more than all rendering."""
    return Environment(  # noqa: S701 - configuration files are no HTML; nothing here may be escaped
        loader=DictLoader(dict(templates.texts)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

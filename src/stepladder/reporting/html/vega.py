"""Vega's scripts for a page with charts, as one text: what vl-convert takes two seconds to put together is kept."""

from hashlib import sha256
from importlib.metadata import version

import vl_convert

from stepladder._base.machine import require_address_space
from stepladder.engines.jit.code import object_cache
from stepladder.reporting.vega_lite import VEGA_BYTES

GLOBALS = "window.vegaEmbed = vegaEmbed;"  # what the bundle is to leave behind for the page's own scripts


def vega_script() -> str:
    """The bundle: the one in the user's cache, or made anew and kept there.

    It is run, if only in a browser, and so trusted as little as machine code. Raises StepladderError where vl-convert
    would end the process for want of address space.
    """
    key = sha256(f"Vega of vl-convert {version('vl-convert-python')}\n{GLOBALS}".encode()).hexdigest()
    if (kept := object_cache.read(key)) is not None:
        return kept.decode()
    require_address_space(VEGA_BYTES, "a page with charts")
    made: str = vl_convert.javascript_bundle(GLOBALS)
    object_cache.write(key, made.encode())
    return made

"""Pictures that a camera does not take: transparent, animated, flat."""

from __future__ import annotations

import pyvips

from proxy.samples.darkroom import vector

PETAL = '<path d="M600 600C430 470 430 250 600 130C770 250 770 470 600 600z" fill-opacity=".62"'
SOFT = """<filter id="soft" x="-20%" y="-20%" width="140%" height="140%">
<feGaussianBlur stdDeviation="26"/></filter>"""


def logo() -> pyvips.Image:
    """Glass petals with soft shadows: every kind of alpha, from none to full."""
    colours = ("#e8453c", "#f7a325", "#f6dc3b", "#3fb568", "#2d7dd2", "#8447b8")
    turned = [f'{PETAL} fill="{c}" transform="rotate({60 * i} 600 600)"/>' for i, c in enumerate(colours)]
    shadow = f'<g filter="url(#soft)" opacity=".38" transform="translate(0 34)">{"".join(turned)}</g>'
    eye = '<circle cx="600" cy="600" r="92" fill="#fff"/><circle cx="600" cy="600" r="52" fill="#17202b"/>'
    return vector(1200, 1200, SOFT + shadow + "".join(turned) + eye)


FRAME = """<rect width="1200" height="900" fill="#e9ecef"/><g fill="none" stroke="#adb5bd" stroke-width="22">
<rect x="380" y="270" width="440" height="360" rx="28"/><path d="M380 560l130-140 110 110 70-70 130 130"/>
<circle cx="690" cy="370" r="36"/></g>"""

FACE = """<circle cx="240" cy="240" r="222" fill="#fdfaf3" stroke="#22313f" stroke-width="16"/>
<g stroke-linecap="round" stroke="#22313f" stroke-width="9">"""


def clock() -> pyvips.Image:
    """One turn of a hand in 24 frames, for ever, with a rest at twelve (delays in ms). Nothing around it."""
    marks = "".join(f'<path d="M240 50v34" transform="rotate({30 * hour} 240 240)"/>' for hour in range(12))
    hour, hand = '<path d="M240 250V130" stroke-width="15"', '<path d="M240 270V76" stroke="#e03e36"'
    frames = [
        f'{FACE}{marks}{hour} transform="rotate({300 + turn / 12} 240 240)"/>'
        f'{hand} transform="rotate({turn} 240 240)"/></g><circle cx="240" cy="240" r="15" fill="#e03e36"/>'
        for turn in range(0, 360, 15)
    ]
    stack = pyvips.Image.arrayjoin([vector(480, 480, frame) for frame in frames], across=1)
    stack.set_type(pyvips.GValue.gint_type, "page-height", 480)
    stack.set_type(pyvips.GValue.array_int_type, "delay", [600] + [80] * (len(frames) - 1))
    stack.set_type(pyvips.GValue.gint_type, "loop", 0)
    return stack


def placeholder() -> pyvips.Image:
    """What a page shows where there is nothing to show."""
    return vector(1200, 900, FRAME)

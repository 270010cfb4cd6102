"""Pictures of several megapixels that are as hard to decode, to crop and to encode as a camera's."""

from __future__ import annotations

import random
from itertools import cycle

import pyvips

from proxy.samples.darkroom import (
    SLOPE_KERNEL,
    developed,
    glow,
    gradient,
    line,
    mix,
    noise,
    over,
    reflected,
    step,
)


def firs(width: int, height: int, level: float, size: float, seed: int) -> str:
    """The outline of a row of fir trees of about `size` px that stand on `level`, as an SVG path."""
    draw = random.Random(seed)  # noqa: S311  the same wood every time, not a secret
    rows, x = [f"M0 {level - size * 0.04}H{width}V{height}H0Z"], 0.0
    while x < width + size:
        tall = size * draw.uniform(0.55, 1.15)
        tiers = int(9 + size / 75)
        left: list[str] = []
        right: list[str] = []
        for tier in range(1, tiers + 1):
            y = level - tall * (1 - tier / tiers)
            for side, turn in (left, -1), (right, 1):
                reach = turn * tall * 0.19 * (tier / tiers) ** 0.85 * draw.uniform(0.7, 1.25)
                side += [f"L{x + reach:.1f} {y:.1f}", f"L{x + reach * 0.45:.1f} {y - tall * 0.012:.1f}"]
        rows.append(f"M{x:.1f} {level - tall:.1f}{''.join(right + left[::-1])}Z")
        x += size * draw.uniform(0.1, 0.42)
    return "".join(rows)


def mountains() -> pyvips.Image:
    """A lake at sunrise."""
    width, shore = 4000, 2050
    y = pyvips.Image.xyz(width, shore)[1]
    scene = gradient(width, shore, "#2f5f9e", "#5d86bb", "#9db4cd", "#f6d0ab", "#ffd9a0", "#ffe6bd")
    cloud = step(noise(width, shore, 420, 6, 3, stretch=3), 0.02, 0.75) * step(y, 1500, 100)
    scene = mix(scene, [255, 236, 222], cloud * 0.85)
    scene += glow(width, shore, 2900, 1000, 900) * [80, 46, 8] + glow(width, shore, 2900, 1000, 130) * 150
    ranges = [(1420, 560, 700, (140, 140, 166)), (1640, 760, 900, (98, 104, 134))]
    ranges += [(1800, 420, 800, (62, 78, 104)), (1960, 260, 600, (40, 60, 68))]
    for index, (level, swing, cell, rock) in enumerate(ranges):
        peaks = (1 - line(width, cell, 9, 41 + index, 0.45).abs() * 1.6) * -swing
        crest = peaks * (line(width, cell * 1.7, 1, 118 + index) + 0.7) + level
        relief = 1 - noise(width, shore, 380, 7, 60 + index, rough=0.46).abs()
        light = relief.conv(pyvips.Image.new_from_array(SLOPE_KERNEL)) * 4.5 + 0.75
        face = light * list(rock)
        if index < 2:
            snow = step(light * 260 + relief * 300 - y, -1110, -940)
            face = mix(face, light * [96, 88, 88] + [142, 142, 156], snow)
        haze = step(y, level - swing * 0.7, level + 260) * (0.75 - index * 0.13)
        scene = mix(scene, mix(face, [246, 214, 190], haze), step(y - crest.zoom(1, shore), 0, 3))
    scene = over(scene, f'<path d="{firs(width, shore, 1995, 110, 0)}" fill="#2c3e42"/>')
    scene = over(scene, f'<path d="{firs(width, shore, 2040, 190, 1)}" fill="#101e20"/>')
    return developed(reflected(scene, 3000, 80, (24, 48, 66)), 1)


def houses(width: int, shore: int, colour: str, lit: float, tallest: float, seed: int) -> str:
    """A row of towers as SVG, with light in `lit` of their windows."""
    draw = random.Random(seed)  # noqa: S311  the same town every time, not a secret
    walls, panes, x = "", dict.fromkeys(("#ffd98a", "#ffe9b8", "#a87a4c", "#b9cdf0"), ""), -60
    while x < width:
        wide, tall = draw.randint(90, 260), tallest * draw.uniform(0.3, 1)
        top = int(shore - tall * (1.2 - abs(x / width - 0.62) * 1.1))
        spire = f"l{wide // 2} -{tall * 0.3:.0f}L{x + wide} {top}" if draw.random() < 0.25 else f"h{wide}"
        walls += f"M{x} {top}{spire}V{shore}H{x}Z"
        for pane_y in range(top + 18, shore - 30, 26):
            for pane_x in range(x + 12, x + wide - 16, 22):
                if draw.random() < lit:
                    panes[draw.choice(tuple(panes))] += f"M{pane_x} {pane_y}h11v14h-11z"
        x += wide + draw.randint(-10, 40)
    lights = "".join(f'<path d="{path}" fill="{light}"/>' for light, path in panes.items())
    return f'<path d="{walls}" fill="{colour}"/>{lights}'


def harbour() -> pyvips.Image:
    """A city after sunset, seen across the water."""
    width, shore = 4500, 1900
    y = pyvips.Image.xyz(width, shore)[1]
    scene = gradient(width, shore, "#0b1430", "#18224f", "#2b3a74", "#a85f86", "#f08f6a", "#ffc27a")
    cloud = step(noise(width, shore, 300, 6, 11, stretch=5), 0.1, 0.9) * step(y, 300, 1500)
    scene = mix(scene, [255, 128, 110], cloud * 0.7)
    scene += glow(width, shore, 1500, shore, 1300) * [70, 40, 10]
    for index, row in enumerate([("#6d5a86", 0.04, 620), ("#3a3866", 0.2, 820), ("#15172f", 0.42, 700)]):
        scene = over(scene, houses(width, shore, *row, 7 + index))
        scene = mix(scene, [240, 146, 110], step(y, shore - 420, shore) * (0.4 - index * 0.2))
    lamps = "".join(
        f'<circle cx="{x}" cy="{shore - 14}" r="9" fill="#fff0c0"/>' for x in range(70, width, 190)
    )
    scene = over(scene, f'<path d="M0 {shore - 26}H{width}V{shore}H0" fill="#0c0d1c"/>{lamps}')
    return developed(reflected(scene, 3000, 21, (14, 22, 52)), 2)


SHADE = """<radialGradient id="shade" cx=".32" cy=".3" r=".85">
<stop offset="0" stop-color="#fff" stop-opacity=".45"/><stop offset=".45" stop-color="#fff" stop-opacity="0"/>
<stop offset="1" stop-color="#210" stop-opacity=".62"/></radialGradient>"""


def hot_air(x: int, y: int, size: float, *colours: str) -> str:
    """A balloon as SVG, `size` px in radius: its stripes are ever narrower drops, one upon the other."""
    drops = [
        f"M0-100C{bow}-100 {bow} 25 {mouth} 125H-{mouth}C-{bow} 25-{bow}-100 0-100z"
        for bow, mouth in ((136, 20), (120, 17), (95, 14), (63, 9), (27, 4))
    ]
    fills = [*zip(drops, cycle(colours), strict=False), (drops[0], "url(#shade)")]
    silk = "".join(f'<path d="{drop}" fill="{fill}"/>' for drop, fill in fills)
    ropes = '<path d="M-18 125L-11 162M18 125L11 162" stroke="#4b3a2c"/>'
    basket = '<rect x="-13" y="160" width="26" height="20" rx="3" fill="#7a5230"/>'
    return f'<g transform="translate({x} {y}) scale({size / 100})">{silk}{ropes}{basket}</g>'


def balloon() -> pyvips.Image:
    width, height = 2400, 3600
    y = pyvips.Image.xyz(width, height)[1]
    scene = gradient(width, height, "#3f86cf", "#6ea7dd", "#9cc8ea", "#ddd8d0", "#fde5c0", "#ffe9c8")
    cloud = step(noise(width, height, 620, 6, 5, stretch=2), 0, 0.7) * step(y, 2900, 1500)
    scene = mix(scene, [248, 246, 248], cloud * 0.9)
    hills = [(2980, 260, (150, 176, 196)), (3150, 240, (112, 150, 132)), (3330, 200, (92, 132, 66))]
    for index, (level, swing, colour) in enumerate(hills):
        crest = line(width, 900, 3, 90 + index, 0.35) * swing + level
        field = noise(width, height, 120, 6, 95 + index, stretch=3) * (16 + 12 * index) + list(colour)
        scene = mix(scene, field, step(y - crest.zoom(1, height), 0, 3))
    far = hot_air(1790, 2080, 150, "#f4f1e8", "#2a7f8e") + hot_air(420, 2330, 90, "#f2b134", "#d4542b")
    near = hot_air(960, 1130, 640, "#c8342c", "#f6d04d", "#e4572e", "#fbe9b0")
    return developed(over(scene, SHADE + far + near), 4)


def dunes() -> pyvips.Image:
    """Sand in the evening sun."""
    width, height = 3600, 2400
    place = pyvips.Image.xyz(width, height)
    scene = gradient(width, height, "#2e6fb7", "#a1a3ad", "#f3cda5", "#ffe0b0", "#ffe0b0", "#ffe0b0")
    scene += glow(width, height, 860, 750, 560) * [60, 40, 0]
    for index, (level, swing) in enumerate([(1010, 150), (1200, 300), (1570, 440), (2080, 400)]):
        cell, margin = 900 + 360 * index, 32
        profile = line(width + 2 * margin, cell, 2, 20 + index, 0.2)
        crest = (profile.abs() * 2 - 0.6) * swing + level
        down = place[1] - crest.crop(margin, 0, width, 1).zoom(1, height)
        bend = noise(width, height, 660, 3, 30 + index, stretch=2)
        across = place[0] + down * (0.35 + 0.3 * index) + bend * 120 + margin
        steep = profile.conv(pyvips.Image.new_from_array(SLOPE_KERNEL)).zoom(1, 4) * cell
        lit = steep.mapim(across.clamp(min=margin / 2, max=width + margin).bandjoin(place[1] * 0 + 1))
        ripple = ((down * (0.4 - 0.07 * index) + bend * 60) * 40).sin() * (2 + 2.2 * index)
        light = step(lit, -2, 2) * 0.62 + bend * 0.12 + 0.44
        sand = light * [250, 150 - 6 * index, 66 - 8 * index] + ripple
        haze = step(down, 560, 0) * (0.5 - index * 0.14)
        scene = mix(scene, mix(sand, [250, 206, 164], haze), step(down, 0, 3))
    return developed(scene, 6)


def aurora() -> pyvips.Image:
    """Northern lights over a wood."""
    width, height = 2400, 1600
    y = pyvips.Image.xyz(width, height)[1]
    stars = pyvips.Image.gaussnoise(width, height, sigma=1, mean=0, seed=8).gaussblur(0.8)
    scene = gradient(width, height, "#040a1e", "#0b2440", "#1d4a5c") + step(stars, 1.15, 1.7) * 230
    for index, (level, tall) in enumerate([(900, 620), (1120, 520), (700, 400)]):
        above = line(width, 1100, 4, 50 + index).zoom(1, height) * 420 + level - y
        streaks = (line(width, 170, 6, 60 + index, 0.6) * 0.75 + 0.6).clamp().zoom(1, height)
        veil = (above.clamp(min=0, max=height) / -tall * 2.6).exp() * step(above, -25, 45) * streaks
        scene += veil * (step(above, 0, tall) * [90, -112, 45] + [30, 160, 98])
    scene = over(
        scene.clamp(min=0, max=255), f'<path d="{firs(width, height, 1440, 170, 3)}" fill="#091622"/>'
    )
    return developed(over(scene, f'<path d="{firs(width, height, 1540, 330, 4)}" fill="#02060a"/>'), 5, 2)


def clouds() -> pyvips.Image:
    width, height = 2400, 1600
    heap = noise(width, height, 560, 8, 31, stretch=2, rough=0.52)
    light = heap.conv(pyvips.Image.new_from_array(SLOPE_KERNEL).rot90()) * 3 + heap * -22
    cover = step(heap + pyvips.Image.xyz(width, height)[1] / height * 0.5, 0.12, 0.75)
    return developed(mix(gradient(width, height, "#1c5fae", "#5d9cdc", "#b9daf2"), light + 232, cover), 7, 2)

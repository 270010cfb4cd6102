"""
A face that is nobody's: the mean of a hundred photographs, 25x25 px of grey, which a detector knows for one.
"""

from __future__ import annotations

import zlib
from base64 import b85decode

import pyvips

from tests.pictures import photo

SIDE = 25
_MEAN = (
    "c-jGR0*?I*3MO5Xx6j$(=<f0I?$^Vsj8P^OA~#1{2@g7Tr^nvy_VxMx|MuzDyP0h|79KA_Rss=BgR9Bg>-6{b`}ptX*TkxTL"
    ">Ck)JW>S_OpUF_+2`@}_xSnp>D|k+j!hH~87of!4^)w}$lB@i_V)Jk>f+SNwTxC42p1_v0S;M`s=LV7=kW0B+sC=JtfY=&76"
    "TJ2Mg$97f|8Y&p}WV+z^IXjij|g*aTx&`DoGF)UwVFZY-@U(p_zMTV`FZ5iFPRr8aPrHAY*b`N<~Xxho72rQd2}sWrck}BQ8"
    "QmAv1Y>Wo2@5f|$Iun0|kUkejQIR5n9VPB24+sH>!+sj0cq&%3d*xWvuLpJF~pO-MjYh_}tr%f`sj-P+I6(BtFY$)aXTR8LG"
    "lO@FxB;^foC&C=1z$<*TL+q{)(QCm<*Lq>0_%-qqsw7R*xzP!7}(8#QdWmaTMMM^+ko3y&HsFI6|h>@J6vaqk7e_~f#M@>FA"
    "PKBJBo}Q7Bh=i1$o}Zwdn0HfCRZC4iE;x0Nl9G{_o0*r7n39N;pP6w;JW5JKJ}WO~jg@?EbA5z_gM)5;n52?uJv2v6QadUsP"
    "KlU~cW`)vhkIysjiH%{S2Q|4QB*Z58ZmE>l#r2<k(Q5@mzSW3b2~FXKSfS4Egl_Aev6!%l#!E|o~EFYdsR3vK0!uDF)b?|Fj"
    "j+~sI9NCv$e6Ke`rB8I5j*%OC&BcBq%>+jHk82z`eJqiDXPdL^CfbE;k$}G&3$gOkjkaqNkvffn7sPOhqp!DK9P<BsoApQcO"
    "xwUutS*S4KZpUtdftEGjNAl{qe_"
)


def face(side: int) -> pyvips.Image:
    """Chin to brows, `side` px wide and high."""
    mean = pyvips.Image.new_from_memory(zlib.decompress(b85decode(_MEAN)), SIDE, SIDE, 1, "uchar")
    grown = mean.resize(side / SIDE, kernel="cubic").crop(0, 0, side, side)
    return grown.copy(interpretation="b-w").colourspace("srgb")


def crowd(width: int, height: int, *faces: tuple[int, int, int]) -> pyvips.Image:
    """Faces, each given by left, top and side, before something without any."""
    picture = photo(width, height, seed=3).linear(0.3, 90).cast("uchar")
    for left, top, side in faces:
        picture = picture.insert(face(side), left, top)
    return picture.copy(interpretation="srgb")

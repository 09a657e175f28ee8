"""Codes of languages: ISO 639-3, as some vendors give them, to the BCP 47 tags that the mesh uses."""

from __future__ import annotations

from typing import Final

_PAIRS: Final = """
afr:af amh:am ara:ar asm:as aze:az bak:ba bel:be ben:bn bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cym:cy dan:da
deu:de ell:el eng:en est:et eus:eu fas:fa fao:fo fil:fil fin:fi fra:fr ful:ff gle:ga glg:gl guj:gu hat:ht hau:ha
heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id isl:is ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khm:km kir:ky
kor:ko kur:ku lao:lo lat:la lav:lv lin:ln lit:lt ltz:lb lug:lg mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi
msa:ms mya:my nep:ne nld:nl nno:nn nor:no nya:ny oci:oc ori:or pan:pa pol:pl por:pt pus:ps ron:ro rus:ru san:sa
sin:si slk:sk slv:sl sna:sn snd:sd som:so spa:es sqi:sq srp:sr sun:su swa:sw swe:sv tam:ta tat:tt tel:te tgk:tg
tgl:tl tha:th tuk:tk tur:tr ukr:uk urd:ur uzb:uz vie:vi wol:wo xho:xh yid:yi yor:yo zho:zh cmn:zh zul:zu
"""
_TAGS: Final[dict[str, str]] = {pair[:3]: pair[4:] for pair in _PAIRS.split()}


def tag_of(code: str) -> str:
    """Give the BCP 47 tag of an ISO 639-3 code, or the code itself where it has no shorter one: "eng" is "en"."""
    return _TAGS.get(code.lower(), code)

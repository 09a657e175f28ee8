"""Languages as vendors name them, to the BCP 47 tags that the mesh uses: ISO 639-3 codes, and English names."""

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
_NAMES: Final = """
english:en chinese:zh german:de spanish:es russian:ru korean:ko french:fr japanese:ja portuguese:pt turkish:tr
polish:pl catalan:ca dutch:nl arabic:ar swedish:sv italian:it indonesian:id hindi:hi finnish:fi vietnamese:vi
hebrew:he ukrainian:uk greek:el malay:ms czech:cs romanian:ro danish:da hungarian:hu tamil:ta norwegian:no
thai:th urdu:ur croatian:hr bulgarian:bg lithuanian:lt latin:la maori:mi malayalam:ml welsh:cy slovak:sk
telugu:te persian:fa latvian:lv bengali:bn serbian:sr azerbaijani:az slovenian:sl kannada:kn estonian:et
macedonian:mk breton:br basque:eu icelandic:is armenian:hy nepali:ne mongolian:mn bosnian:bs kazakh:kk
albanian:sq swahili:sw galician:gl marathi:mr punjabi:pa sinhala:si khmer:km shona:sn yoruba:yo somali:so
afrikaans:af occitan:oc georgian:ka belarusian:be tajik:tg sindhi:sd gujarati:gu amharic:am yiddish:yi lao:lo
uzbek:uz faroese:fo pashto:ps turkmen:tk nynorsk:nn maltese:mt sanskrit:sa luxembourgish:lb myanmar:my
tibetan:bo tagalog:tl malagasy:mg assamese:as tatar:tt hawaiian:haw lingala:ln hausa:ha bashkir:ba javanese:jv
sundanese:su cantonese:yue
"""
_TAGS: Final[dict[str, str]] = {pair[:3]: pair[4:] for pair in _PAIRS.split()}

_TAGS_BY_NAME: Final[dict[str, str]] = {pair.partition(":")[0]: pair.partition(":")[2] for pair in _NAMES.split()}


def tag_of(code: str) -> str:
    """Give the BCP 47 tag of an ISO 639-3 code, or the code itself where it has no shorter one: "eng" is "en"."""
    return _TAGS.get(code.lower(), code)


def tag_of_name(name: str) -> str:
    """Give the BCP 47 tag of a language by its English name, or the name itself where it is none that is known."""
    return _TAGS_BY_NAME.get(name.lower(), name)

"""The console's words: both catalogues have the same keys, none is empty, and every key that the sources ask for is there."""
import json
import pathlib
import re

SRC = pathlib.Path(__file__).resolve().parents[2] / "console/src"
WORDS = {name: json.loads((SRC / f"i18n/{name}.json").read_text()) for name in ("vi", "en")}
SOURCES = "\n".join(p.read_text() for p in SRC.rglob("*.js"))


def test_the_same_keys():
    assert set(WORDS["vi"]) == set(WORDS["en"])
    assert all(text.strip() for words in WORDS.values() for text in words.values())


def test_the_same_places_to_fill_in():
    for key, text in WORDS["vi"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", WORDS["en"][key])), key


def test_what_the_sources_ask_for_is_there():
    asked = set(re.findall(r'\bt\("([^"]+)"', SOURCES)) | set(re.findall(r'\bt\([^()"`]*\? "([^"]+)" : "[^"]+"', SOURCES))
    asked |= set(re.findall(r'\bt\([^()"`]*\? "[^"]+" : "([^"]+)"', SOURCES)) | set(re.findall(r': \["((?:key|do|nav|case)\.[^"]+)"', SOURCES))
    assert len(asked) > 100 and asked <= set(WORDS["en"]), asked - set(WORDS["en"])
    for group in set(re.findall(r't\(`(\w+\.)\$', SOURCES)) | {f"{g}." for g in re.findall(r'\bword\("(\w+)"', SOURCES)}:
        assert any(key.startswith(group) for key in WORDS["en"]), group


def test_no_markup_is_made_of_text():
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "document.write", "eval("):
        assert word not in SOURCES, word

"""Folding a text before it is judged: docs/judgement.md section 2.1. Leaves out the way back to the raw text."""
import pathlib
import re
import unicodedata

JOINED_BY_SIGN = re.compile(r"[a-z0-9]([-_*·])[a-z0-9](?:\1[a-z0-9])+")
JOINED_BY_DOTS = re.compile(r"[a-z0-9](?:\.{1,3}[a-z0-9]){2,}")
RUN = re.compile(r"[a-z0-9@$!|]+")
SIGNS = dict(zip("0134578@$!|", "oieastbasii"))
FILLERS = "\u115f\u1160"
WRONG_CASE = re.compile(r"(?<=[A-Z])l(?=[A-Z])|(?<=[a-z])I(?=[a-z])")
ENDS = ".,;:!?\"'()[]{}"
SEPARATORS = set("-_*.,;:'\"~^/\\+")
READ_AS = dict(zip("01345678 9@$!|".replace(" ", ""), "oieasbtbgasii"))
TELEX = re.compile("aa|ee|oo|dd|aw|ow|uw")


def read_homoglyphs(path):
    """The table of docs/rules.md, last section: one character to ASCII text."""
    table = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").split("\n"):
        if line == "" or line.startswith("#"):
            continue
        point, text = line.split("\t")[:2]
        table[chr(int(point, 16))] = text.lower()
    return table


def letters(text):
    return sum("a" <= c <= "z" for c in text)


def fold_character(c, table):
    """Steps 1 to 3."""
    out = []
    for d in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", c).casefold()):
        category = unicodedata.category(d)
        if category in ("Mn", "Me", "Cf") or d in FILLERS:
            continue
        if category in ("Cc", "Zs", "Zl", "Zp") or d == "\u2800":
            out.append(" ")
        elif d == "đ":
            out.append("d")
        else:
            out.append(table.get(d, d) if d > "\x7f" else d)
    return "".join(out)


def join_spaced(text):
    """Step 6."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if JOINED_BY_SIGN.fullmatch(word) or JOINED_BY_DOTS.fullmatch(word):
            single = re.sub(r"[^a-z0-9]", "", word)
            if letters(single) >= 2:
                words[i] = single
    out, i = [], 0
    while i < len(words):
        j = i
        while j < len(words) and re.fullmatch("[a-z0-9]", words[j]):
            j += 1
        row = "".join(words[i:j])
        if j - i >= 3 and letters(row) >= 2:
            out.append(row)
            i = j
        elif j > i:
            out.extend(words[i:j])
            i = j
        else:
            out.append(words[i])
            i += 1
    return " ".join(out)


def signs_for_letters(text):
    """Step 7: all signs are judged on the text as it came."""
    out = list(text)
    for run in RUN.finditer(text):
        a, b = run.span()
        if a >= 2 and text[a - 1] in "./:" and text[a - 2] != " ":
            continue
        if b + 1 < len(text) and text[b] in "./:" and text[b + 1] != " ":
            continue
        for i in range(a + 1, b - 1):
            if text[i] in SIGNS and "a" <= text[i - 1] <= "z" and "a" <= text[i + 1] <= "z":
                out[i] = SIGNS[text[i]]
    return "".join(out)


def telex(word, words):
    flat = TELEX.sub(lambda m: m.group(0)[0], word)
    if flat in words:
        return words[flat]
    vowel = re.search("[aeiouy]", flat)
    for i in range(vowel.end() if vowel else len(flat), len(flat)):
        if flat[i] in "sfrxj" and flat[:i] + flat[i + 1 :] in words:
            return words[flat[:i] + flat[i + 1 :]]
    return None


def meaning(core, words):
    """Step 8 for one piece; None: it stays."""
    if not 2 <= len(core.encode()) <= 24:
        return None
    if re.fullmatch("[a-z]+", core):
        if core in words:
            return words[core]
        if "j" in core and core.replace("j", "i") in words:
            return words[core.replace("j", "i")]
        return telex(core, words) if TELEX.search(core) or set(core) & set("fjwz") else None
    if letters(core) < 2 or any(not ("a" <= c <= "z" or c in READ_AS or c in SEPARATORS) for c in core):
        return None
    read = "".join(READ_AS.get(c, c) for c in core if c not in SEPARATORS)
    return words.get(read) if len(read) >= 3 else None


def words_in_disguise(text, words):
    out = []
    pieces = text.split(" ")
    for i, piece in enumerate(pieces):
        core = piece.strip(ENDS)
        in_link = (i > 0 and pieces[i - 1] == ".") or (i + 1 < len(pieces) and pieces[i + 1][:1] == ".")
        found = None if in_link else meaning(core, words)
        if found is not None:
            at = len(piece) - len(piece.lstrip(ENDS))
            piece = piece[:at] + found + piece[at + len(core) :]
        out.append(piece)
    return " ".join(out)


def cut(content, limit=4096):
    """The content's first bytes, cut at a character border, as text."""
    return content[:limit].decode("utf-8", errors="ignore") if len(content) > limit else content.decode("utf-8")


def fold(text, table, words=None):
    text = WRONG_CASE.sub(lambda m: "i" if m.group(0) == "l" else "l", text)
    text = "".join(fold_character(c, table) for c in text)
    text = re.sub(" +", " ", text).strip(" ")
    text = signs_for_letters(join_spaced(text))
    return words_in_disguise(text, words) if words else text
